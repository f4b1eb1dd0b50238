/**
 * `npm run test:qemu`: devices of the model in a virtual machine. QEMU of trixie-backports boots a stock Debian kernel (TCG), to which `vsim serve` serves an
 * NVMe disk, edu and a device file; scripts/qemu/init.sh uses them, with the C programs beside it, and says what it finds. All of it stands in a folder of its own, made
 * once by debootstrap. `--probe` makes that folder and says what is in it; it exits 3, with the reason, where that cannot be had.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { archive } from './newer-packages.mjs';
import { ROOT, bundledNode, environment, setUp } from './lib.mjs';

const DEBIAN = join(ROOT, 'node_modules', '.cache', 'vsim', 'qemu-debian');
/** The example's device, which is changed while the guest runs. */
const FOLDER = mkdtempSync(join(tmpdir(), 'vsim-qemu-'));
const FILE = join(FOLDER, 'device.ts');
const MODULES = [
  'crypto/crc32c_generic', 'lib/crc16', 'fs/mbcache', 'fs/jbd2/jbd2', 'fs/ext4/ext4', 'drivers/nvme/common/nvme-auth', 'drivers/nvme/host/nvme-core', 'drivers/nvme/host/nvme',
  'virt/lib/irqbypass', 'drivers/vfio/vfio', 'drivers/vfio/vfio_iommu_type1', 'drivers/vfio/pci/vfio-pci-core', 'drivers/vfio/pci/vfio-pci',
];
const MODEL = 'vsim NVMe';
/** What the guest has to say, in its order. */
const WANTED = [
  'nvme model', '16 MiB', 'message-signalled interrupts', 'after a reset',
  'edu identification', 'edu liveness', 'edu msi', 'edu factorial', 'edu dma', 'edu unplugged', 'edu plugged again', 'edu without its server', 'edu with a new server',
  'capitals', 'capitals with new code', 'capitals counts on', 'after a reboot',
];
const GUEST_MS = 300_000;
const SETUP_MS = 900_000;

/** Resolves once edu's server has no client any more. QEMU waits for a server's answer before it lets go of a device that was unplugged: one that serves it still never answers. */
let free = Promise.resolve();
/** What the guest may ask for (init.sh). */
const WISHES = {
  unplug: async (qmp) => {
    const server = running.get('edu');
    if (server.signalCode === null) free = says(server, 'client gone');
    await qmp('device_del', { id: 'edu' });
  },
  kill: async () => running.get('edu').kill('SIGKILL'),
  plug: async (qmp) => {
    if (running.get('edu').signalCode !== null) await serve('edu');
    await free;
    await qmp('device_add', device('edu'));
  },
  edit: async () => writeFileSync(FILE, readFileSync(FILE, 'utf8').replace('byte - 0x20', 'byte | 0x80')),
};

const running = new Map();
try {
  provide();
  const { stdout } = spawnSync('chroot', [DEBIAN, 'qemu-system-x86_64', '--version'], { encoding: 'utf8' });
  console.log(`${stdout.split('\n')[0]}, Linux ${kernel()}`);
  if (!process.argv.includes('--probe')) {
    setUp();
    process.exitCode = (await test()) ? 0 : 1;
  }
} catch (error) {
  console.error(`test-qemu: ${error.message}`);
  process.exitCode = error.cannot === true ? 3 : 1;
} finally {
  for (const child of running.values()) child.kill();
  rmSync(FOLDER, { recursive: true });
}

function kernel() {
  return readdirSync(join(DEBIAN, 'lib/modules'))[0];
}

/** The folder with Debian in it: made whole, or not there. */
function provide() {
  if (process.platform !== 'linux' || process.getuid() !== 0) throw cannot('debootstrap wants root on Linux');
  if (existsSync(DEBIAN)) return;
  const { uri, signedBy = '/usr/share/keyrings/debian-archive-keyring.gpg' } = archive();
  if (!existsSync('/usr/sbin/debootstrap')) {
    spawnSync('apt-get', ['-q', 'update'], { stdio: 'ignore', timeout: SETUP_MS });
    must('apt-get', ['-q', '-y', 'install', '--no-install-recommends', 'debootstrap']);
  }
  const half = `${DEBIAN}.half`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true });
  must('debootstrap', ['--variant=minbase', `--keyring=${signedBy}`, '--force-check-gpg', 'trixie', half, uri]);
  writeFileSync(join(half, 'etc/apt/sources.list.d/backports.list'), `deb ${uri} trixie-backports main\n`);
  const install = (...args) => must('chroot', [half, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q', '-y', 'install', '--no-install-recommends', ...args]);
  must('chroot', [half, 'apt-get', '-q', 'update']);
  install('-t', 'trixie-backports', 'qemu-system-x86', 'seabios');
  install('busybox-static', 'linux-image-amd64', 'cpio', 'xz-utils', 'gcc', 'libc6-dev');
  renameSync(half, DEBIAN);
}

function must(command, args) {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: SETUP_MS, stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw cannot(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? status}`);
}

function cannot(why) {
  return Object.assign(new Error(why), { cannot: true });
}

async function test() {
  const release = kernel();
  makeInitramfs(release);
  cpSync(join(ROOT, 'examples/served-device/device.ts'), FILE);
  for (const name of ['nvme', 'edu', 'capitals']) await serve(name);
  const started = Date.now();
  const output = await boot(release);
  const said = new Map([...output.matchAll(/vsim: ([^:\n]+): (.*?)\r?\n/g)].map(([, name, what]) => [name, what]));
  for (const name of WANTED) console.log(`${said.get(name) === 'ok' ? 'ok     ' : 'FAILED '} ${name}${said.get(name) === 'ok' ? '' : `: ${said.get(name) ?? 'the guest did not say'}`}`);
  for (const [, words] of output.matchAll(/^vsim= (.*?)\r?$/gm)) console.log(words);
  const good = WANTED.filter((name) => said.get(name) === 'ok').length;
  if (good < WANTED.length) console.log(output.split('\n').slice(-40).join('\n'));
  console.log(`test-qemu: ${good} of ${WANTED.length}, Linux ${release}, ${Math.round((Date.now() - started) / 1000)} s`);
  return good === WANTED.length;
}

function makeInitramfs(release) {
  const root = join(DEBIAN, 'tmp', 'initramfs');
  rmSync(root, { recursive: true, force: true });
  for (const name of ['bin', 'dev', 'mnt', 'modules', 'proc', 'sys']) mkdirSync(join(root, name), { recursive: true });
  cpSync(join(DEBIAN, 'usr/bin/busybox'), join(root, 'bin/busybox'));
  cpSync(join(ROOT, 'scripts/qemu/init.sh'), join(root, 'init'));
  for (const name of ['edu', 'random-reads']) {
    cpSync(join(ROOT, `scripts/qemu/${name}.c`), join(DEBIAN, `tmp/${name}.c`));
    must('chroot', [DEBIAN, 'gcc', '-static', '-O1', '-Wall', '-Werror', '-o', `/tmp/initramfs/bin/${name}`, `/tmp/${name}.c`]);
  }
  const names = MODULES.map((module) => `${module.split('/').at(-1)}.ko`);
  for (const [i, module] of MODULES.entries()) {
    const packed = join(DEBIAN, 'lib/modules', release, 'kernel', `${module}.ko.xz`);
    cpSync(packed, join(root, 'modules', `${names[i]}.xz`));
  }
  writeFileSync(join(root, 'modules/order'), `${names.join('\n')}\n`);
  must('chroot', [DEBIAN, 'sh', '-c', 'cd /tmp/initramfs && unxz modules/*.xz && chmod +x init && find . | cpio -o -H newc --quiet | gzip -1 > /tmp/initramfs.gz']);
}

/** Starts a server; resolves when it waits for its client. */
function serve(name) {
  const path = join(DEBIAN, 'tmp', `${name}.sock`);
  rmSync(path, { force: true });
  const words = { nvme: ['nvme', '--size', '256M'], edu: ['edu'], capitals: [FILE, '--watch'] }[name];
  const server = spawn(bundledNode(), [join(ROOT, 'apps/cli/dist/bin.js'), 'serve', ...words, '--socket', path], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  running.set(name, server);
  return new Promise((resolve, reject) => {
    server.on('exit', (code) => reject(new Error(`the server of ${name} ended with ${code}`)));
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        if (text.includes('listening')) resolve();
        process.stdout.write(text.replaceAll(/^(?=.)/gm, `${name}: `));
      });
    }
  });
}

/** Resolves once a server says so. */
function says(server, words) {
  return new Promise((resolve) => {
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => { if (text.includes(words)) resolve(); });
  });
}

/** What QEMU's `-device` and device_add take. */
function device(name) {
  return { driver: 'vfio-user-pci', id: name, bus: `${name}-port`, socket: { type: 'unix', path: `/tmp/${name}.sock` } };
}

/** Runs the guest to its end. @returns what its console said */
function boot(release) {
  const port = (name, chassis) => ['-device', JSON.stringify({ driver: 'pcie-root-port', id: `${name}-port`, chassis })];
  const args = [
    DEBIAN, 'qemu-system-x86_64', '-M', 'q35,memory-backend=ram', '-accel', 'tcg', '-m', '256', '-object', 'memory-backend-memfd,id=ram,size=256M,share=on',
    '-nodefaults', '-display', 'none', '-serial', 'stdio', '-qmp', 'unix:/tmp/qmp.sock,server=on,wait=off', '-device', 'intel-iommu,caching-mode=on',
    ...['nvme', 'edu', 'capitals'].flatMap((name, i) => [...port(name, i + 1), '-device', JSON.stringify(device(name))]),
    '-kernel', `/boot/vmlinuz-${release}`, '-initrd', '/tmp/initramfs.gz', '-append', `console=ttyS0 quiet panic=-1 intel_iommu=on iommu=pt memmap=1M$0xe000000 vsim.model=${MODEL.replaceAll(' ', '_')}`,
  ];
  return new Promise((resolve, reject) => {
    const qemu = spawn('chroot', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.set('qemu', qemu);
    let qmp;
    let output = '';
    for (const stream of [qemu.stdout, qemu.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        const from = output.lastIndexOf('\n') + 1;
        output += text;
        for (const [, wish] of output.slice(from, output.lastIndexOf('\n') + 1).matchAll(/^vsim! (\w+)/gm)) {
          qmp ??= connect(join(DEBIAN, 'tmp/qmp.sock'));
          WISHES[wish](qmp).catch(reject);
        }
      });
    }
    const timer = setTimeout(() => qemu.kill('SIGKILL'), GUEST_MS);
    qemu.on('error', reject);
    qemu.on('close', () => {
      clearTimeout(timer);
      resolve(output);
    });
  });
}

/** QEMU's machine protocol. @returns a function that resolves with a command's answer */
function connect(path) {
  const socket = createConnection(path);
  const waiting = [];
  let text = '';
  socket.setEncoding('utf8').on('data', (more) => {
    const lines = (text + more).split('\n');
    text = lines.pop();
    for (const { return: value, error } of lines.map((line) => JSON.parse(line))) {
      if (error !== undefined) waiting.shift().reject(new Error(error.desc));
      else if (value !== undefined) waiting.shift().resolve(value);
    }
  });
  const command = (execute, parameters) =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      socket.write(JSON.stringify({ execute, arguments: parameters }));
    });
  const ready = command('qmp_capabilities');
  return (execute, parameters) => ready.then(() => command(execute, parameters));
}
