/**
 * Debian packages of trixie-backports, newer than the machine's own: Linux 7.3's headers. They are unpacked into a folder of their own and
 * nothing is installed. `node scripts/newer-packages.mjs NAME...` prints where each is; exit 3 where they cannot be had.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './lib.mjs';

const SUITE = 'trixie-backports';
const CACHE = join(ROOT, 'node_modules', '.cache', 'vsim', SUITE);
const APT = join(CACHE, '.apt');

/** Where a package is unpacked. @throws Error that says why it cannot be had */
export function newerPackage(name) {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  const options = aptOptions();
  run('apt-get', [...options, '-q', 'update']);
  const half = `${folder}.half`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true });
  run('apt-get', [...options, '-q', 'download', name], half);
  const [archive] = readdirSync(half).filter((file) => file.endsWith('.deb'));
  run('dpkg-deb', ['-x', archive, '.'], half);
  rmSync(join(half, archive));
  renameSync(half, folder);
  return folder;
}

/** apt with a list, a state and a cache of its own, so that the machine's stay as they are. The archive is the one that the machine uses. */
function aptOptions() {
  const { uri, signedBy } = archive();
  for (const folder of ['lists/partial', 'archives/partial']) mkdirSync(join(APT, folder), { recursive: true });
  writeFileSync(join(APT, 'sources.list'), `deb ${signedBy === undefined ? '' : `[signed-by=${signedBy}] `}${uri} ${SUITE} main\n`);
  return [
    `-oDir::Etc::sourcelist=${join(APT, 'sources.list')}`,
    '-oDir::Etc::sourceparts=/dev/null',
    `-oDir::State=${APT}`,
    `-oDir::Cache=${APT}`,
    '-oDir::State::status=/dev/null',
    // Who downloads into a folder of root's is root.
    '-oAPT::Sandbox::User=root',
  ];
}

/** The machine's Debian archive: that of its first suite that is no security one. @throws Error where it has none */
export function archive() {
  const folder = '/etc/apt/sources.list.d';
  for (const file of existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.sources')) : []) {
    for (const stanza of readFileSync(join(folder, file), 'utf8').split(/\n\s*\n/)) {
      const field = (name) => new RegExp(`^${name}: *(\\S+)`, 'm').exec(stanza)?.[1];
      const uri = field('URIs');
      if (uri?.includes('debian') && !stanza.includes('-security')) return { uri, signedBy: field('Signed-By') };
    }
  }
  const list = existsSync('/etc/apt/sources.list') ? readFileSync('/etc/apt/sources.list', 'utf8') : '';
  const uri = /^deb (?:\[[^\]]*\] )?(\S*debian\S*) (?!\S*-security)/m.exec(list)?.[1];
  if (uri === undefined) throw new Error('this machine has no Debian archive');
  return { uri, signedBy: undefined };
}

function run(command, args, cwd = ROOT) {
  const { status, error, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 180_000, stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${command} ${args.at(-1)}: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? status}`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    for (const name of process.argv.slice(2)) console.log(newerPackage(name));
  } catch (error) {
    console.error(`newer-packages: ${error.message}`);
    process.exitCode = 3;
  }
}
