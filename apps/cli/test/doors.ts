/** The doors of the command for fuzzers: arguments, folders of sysfs, and those of cli-doors.ts and doctor-pastes-door.ts. */
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Random } from '@vsim/vfio-core';
import { pick, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { called as told } from './called.ts';
import { CLI_DOORS } from './cli-doors.ts';
import { DOCTOR_PASTES } from './doctor-pastes-door.ts';

// Arguments

const ARGUMENTS = ['demo', 'groups', 'lspci', 'replay', 'help', '__proto__', '--help', '-h', '--json', '--json=1', '--seed', '--seed=2', '--devices', '--vcpus', '--iommu', '--iommu=none', '--no-intremap', '--dump', '--first', '--case', '--profile', '--host', '--', '-', '--swap', '--without', '--fail-at'];
/** Options that there are; a value comes after them. */
const OPTIONS = [['groups', '--iommu'], ['groups', '--no-intremap'], ['lspci', '--dump'], ['demo', '--seed'], ['migrate', '--instant', '1', '--devices'], ['migrate', '--instant', '1', '--swap'], ['migrate', '--instant', '1', '--without'], ['migrate', '--instant', '1', '--corrupt'], ['replay', '--profile'], ['replay', '--first'], ['replay']] as const;
const VALUES = ['1', '2', '0', '-1', '1e9', '99999999999999999999', 'vt-d', 'amd', 'none', 'gicv4', 'linux-6.1', '__proto__', 'constructor', '', '/dev/null', '/', 'x'.repeat(5000), '\u0000', '\n', 'é'];

/** Exit code 0, 1 or 2; with 2 one line that says why, else none. */
class Arguments implements World<readonly string[]> {
  generate(random: Random): readonly string[] {
    const command = pick(random, ['groups', 'lspci', 'replay', 'migrate', 'demo', pick(random, ARGUMENTS)]);
    const rest = Array.from({ length: random.below(3) }, () => pick(random, random.below(2) === 0 ? ARGUMENTS : VALUES));
    const option = pick(random, OPTIONS);
    return random.below(2) === 0 ? [option[0], ...option.slice(1), pick(random, VALUES)] : [command, ...rest];
  }

  check(args: readonly string[]): Depth {
    // Nobody types here: what would wait for standard input is no input.
    if (args.includes('-')) return 'past';
    return called(args, '/');
  }
}

/** What the parser of arguments says, and of a folder its first file. */
const FIRST_CHECK = /unknown command|Unknown option|Unexpected argument|ambiguous|does not take an argument|argument missing|^$|config: /;

function called(args: readonly string[], cwd: string): Depth {
  const { code, err } = told(args, { cwd });
  if (code !== 0 && code !== 1 && code !== 2) throw new Error(`exit ${code}`);
  // Without a command it is the help that says why: one text of lines.
  if (code === 2 && err.length !== 1) throw new Error(`exit 2 with ${err.length} lines`);
  if (err.some((line) => line.replaceAll(/[\n]/g, '').length !== line.length && !args.some((argument) => argument.includes('\n')))) throw new Error(`more than a line: ${err.join()}`);
  if (/is not a function|Cannot read propert|is not iterable|Invalid (array|typed)|call stack/i.test(err.join())) throw new Error(err[0]);
  if (code !== 2) return 'succeeded';
  return FIRST_CHECK.test(err[0] ?? '') ? 'refused' : 'past';
}

// Folders

type FolderInput = readonly (readonly [path: string, kind: 'file' | 'folder' | 'link', content: string])[];

class Folders implements World<FolderInput> {
  generate(random: Random): FolderInput {
    const out: [string, 'file' | 'folder' | 'link', string][] = [];
    for (let n = 1 + random.below(3); n > 0; n -= 1) {
      const address = `0000:${pick(random, ['00', '01'])}:${random.below(8).toString().padStart(2, '0')}.${random.below(2)}`;
      const config = Array.from(random.bytes(pick(random, [256, 256, 256, 256, 256, 256, 64, 4096, 100])), (byte, i) => String.fromCharCode(i === 14 ? byte & 0x81 : i === 6 ? byte & 0xef : byte)).join('');
      if (random.below(24) > 0) out.push([`${address}/config`, 'file', config]);
      for (let i = random.below(4); i > 0; i -= 1) {
        const [name, content] = pick(random, [
          ['vendor', pick(random, ['0x8086\n', 'zzz', '', '0x1ffff'])],
          ['device', '0x1234\n'],
          ['irq', pick(random, ['11\n', '-1', '1e9', '99999999999'])],
          ['resource', pick(random, ['0x0000000000000000 0x0000000000000000 0x0000000000000000\n', '0x00000000f0000000 0x00000000f0000fff 0x0000000000040200\n', '0x1 0x2\n', 'x y z\n', '0xf0000fff 0xf0000000 0x40200\n', '0x0000000000001001 0xffffffffffffffff 0x0000000000040200\n'])],
          ['driver', pick(random, ['nvme', '__proto__', '../../x', '', 'a b'])],
          ['iommu_group', pick(random, ['7', 'x', '../../9999999999'])],
          ['physfn', pick(random, ['../0000:00:00.0', `../${address}`, 'x'])],
        ] as const);
        out.push([`${address}/${name}`, pick(random, ['file', 'file', 'file', 'link', 'folder']), content]);
      }
    }
    return out;
  }

  check(input: FolderInput): Depth {
    const root = mkdtempSync(join(tmpdir(), 'vsim-fuzz-'));
    for (const [path, kind, content] of input) {
      const at = join(root, path);
      try {
        mkdirSync(join(at, '..'), { recursive: true });
        if (kind === 'folder') mkdirSync(at);
        else if (kind === 'link') symlinkSync(content, at);
        else writeFileSync(at, content, 'latin1');
      } catch {
        // The same name twice, or a link to nowhere: what is there first stays.
      }
    }
    const depths = [called(['groups', root], '/'), called(['lspci', '--dump', root], '/')];
    return depths.includes('succeeded') ? 'succeeded' : depths.includes('past') ? 'past' : 'refused';
  }
}

export const DOORS: readonly Door[] = [
  { name: 'arguments', length: 20, open: () => new Arguments() },
  { name: 'sysfs-folder', length: 20, open: () => new Folders() },
  ...CLI_DOORS,
  DOCTOR_PASTES,
];
