/**
 * The parts, in order. `run` is a command; `results`, where it leaves the tests that it ran; `apt`,
 * Debian packages that it wants and a file that shows that they are there; `probe`, of a foreign part, a command that says whether it can be had here: where
 * it fails the part is skipped, and where it does not, nothing of the part is.
 */
export const PARTS = [
  { name: 'test', run: ['npm', 'test'], minutes: 10, results: 'test.json' },
  { name: 'coverage', run: ['npm', 'run', 'coverage', '--', '--check'], minutes: 1 },
  { name: 'lint', run: ['npm', 'run', 'lint'], minutes: 5 },
  { name: 'typecheck', run: ['npm', 'run', 'typecheck'], minutes: 3 },
  { name: 'api', run: ['npm', 'run', 'api-report', '--', '--check'], minutes: 3 },
  { name: 'pkgcheck', run: ['npm', 'run', 'pkgcheck'], minutes: 4 },
  { name: 'sizes', run: ['npm', 'run', 'sizes', '--', '--check'], minutes: 2 },
  { name: 'release', run: ['npm', 'run', 'release', '--', '--dry-run'], minutes: 3 },
  { name: 'examples', run: ['npm', 'run', 'check:examples'], minutes: 10 },
  { name: 'gic-remote', run: ['npm', 'run', 'test:gic-remote'], minutes: 5 },
  { name: 'demo', run: ['npm', 'run', 'demo'], minutes: 2 },
  {
    name: 'bench',
    run: ['npm', 'run', 'bench', '--', '--slack', '1.5'],
    minutes: 3,
    apt: { packages: ['gcc', 'libc6-dev'], file: '/usr/include/stdio.h' },
  },
  { name: 'test:long', run: ['npm', 'run', 'test:long'], minutes: 30, results: 'test-long.json' },
  {
    name: 'browser',
    run: ['node', 'scripts/check-browser.mjs'],
    minutes: 4,
    apt: { packages: ['chromium'], file: '/usr/bin/chromium' },
  },
  {
    name: 'web',
    run: ['node', 'scripts/check-web.mjs'],
    minutes: 5,
    apt: { packages: ['chromium'], file: '/usr/bin/chromium' },
  },
  {
    name: 'site',
    run: ['node', 'scripts/site.mjs', '--check'],
    minutes: 4,
    apt: { packages: ['chromium'], file: '/usr/bin/chromium' },
  },
  {
    name: 'qemu',
    probe: ['node', 'scripts/test-qemu.mjs', '--probe'],
    run: ['npm', 'run', 'test:qemu'],
    minutes: 12,
  },
  {
    name: 'uapi',
    run: ['node', 'scripts/check-uapi.mjs'],
    minutes: 2,
    apt: { packages: ['gcc', 'libc6-dev'], file: '/usr/include/stdio.h' },
  },
  {
    name: 'lspci',
    run: ['node', 'scripts/check-lspci.mjs'],
    minutes: 1,
    apt: { packages: ['pciutils'], file: '/usr/bin/lspci' },
  },
  {
    name: 'perfetto',
    run: ['node', 'scripts/check-perfetto.mjs'],
    minutes: 2,
    apt: { packages: ['protobuf-compiler'], file: '/usr/bin/protoc' },
  },
];
