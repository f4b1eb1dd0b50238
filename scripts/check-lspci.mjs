/**
 * Debian's lspci decodes what `vsim lspci --dump` prints as it decoded the recorded machine: `lspci -F DUMP -vvvnn` is compared with
 * recordings/lspci, and `lspci -Dnnvvxxxx` of it goes into the bundle of `vsim groups`. Exit code 3: there is no lspci, or one of another release, which words things otherwise.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ROOT } from './lib.mjs';

const RELEASE = '3.9.0';
const CANNOT = 3;
/** Names of pci.ids alone, as they were recorded: a machine with udev has some of its own. */
const NAMES = ['-O', 'hwdb.disable=1'];

const version = spawnSync('lspci', ['--version'], { encoding: 'utf8' });
if (version.error !== undefined || !version.stdout.includes(RELEASE)) {
  console.log(`lspci: needs pciutils ${RELEASE}, there is ${version.error === undefined ? version.stdout.trim() : 'none'}`);
  process.exit(CANNOT);
}

const node = join(ROOT, 'node_modules', '.bin', 'node');
const dump = spawnSync(node, ['--conditions=@vsim/source', 'apps/cli/src/bin.ts', 'lspci', '--dump'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 24, stdio: ['ignore', 'pipe', 'pipe'] });
if (dump.status !== 0) {
  console.error(dump.stderr);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'vsim-lspci-'));
writeFileSync(join(folder, 'dump'), dump.stdout);
let different = 0;
for (const [name, option] of [['host.vvvnn.txt', '-vvvnn'], ['host.tree.txt', '-tv']]) {
  const expected = gunzipSync(readFileSync(join(ROOT, 'apps/conformance/recordings/lspci', `${name}.gz`))).toString('utf8').split('\n');
  const actual = spawnSync('lspci', [...NAMES, '-F', join(folder, 'dump'), option], { encoding: 'utf8', maxBuffer: 1 << 24 }).stdout.split('\n');
  const at = expected.findIndex((line, i) => line !== actual[i]);
  if (at < 0 && actual.length === expected.length) {
    console.log(`${name}: ${expected.length - 1} lines, all equal`);
    continue;
  }
  different += 1;
  console.error(`${name}:${at + 1}: expected ${JSON.stringify(expected[at])}, got ${JSON.stringify(actual[at])}`);
}

// What people type: the command as it is published reads what lspci prints.
spawnSync(process.execPath, ['scripts/bundle-cli.mjs'], { cwd: ROOT, stdio: 'inherit' });
const pasted = spawnSync('lspci', ['-F', join(folder, 'dump'), '-Dnnvvxxxx'], { encoding: 'utf8', maxBuffer: 1 << 24 }).stdout;
const piped = spawnSync(process.execPath, ['apps/cli/bundle/vsim.mjs', 'groups', '--json'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 24, input: pasted });
const wanted = [...pasted.matchAll(/^([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) /gm)].map(([, address]) => address);
const told = piped.status === 0 ? JSON.parse(piped.stdout).groups.flatMap(({ devices }) => devices) : [];
if (wanted.length > 0 && wanted.toSorted().join() === told.toSorted().join()) console.log(`lspci -Dnnvvxxxx | vsim groups: ${told.length} devices, all told`);
else {
  different += 1;
  console.error(`lspci -Dnnvvxxxx | vsim groups: ${wanted.length} devices, ${told.length} told ${piped.stderr}`);
}
rmSync(folder, { recursive: true });
process.exit(different === 0 ? 0 : 1);
