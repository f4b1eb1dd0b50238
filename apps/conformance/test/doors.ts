/** The doors of the replayer for fuzzers: recordings that are none, and captured messages that are spoiled. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Random } from '@vsim/vfio-core';
import { bounded } from '../../../testing/cost.ts';
import { pick, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { CAPTURES_DOOR } from './captures-door.ts';
import { RECORDINGS, replay, ReplayError, type ReplayChoices } from '../src/index.ts';

const CHOICES: Omit<ReplayChoices, 'paths'> = { profile: undefined, hostFile: undefined, first: 0, casePrefix: undefined, json: false, mcLog: false };
const STEPS = 40;
const WORDS = ['__proto__', 'constructor', 'toString', '', '0x', '/dev/vfio/0', 'x'.repeat(2000)];
const NUMBERS = ['-1', '1.5', '65536', '1073741824', '1099511627776', '9007199254740991', '1e300', '"0xffffffffffffffff"'];

/** The first lines of a few recordings, each whole by itself. */
const SEEDS: readonly string[] = [
  ['vfio/info.jsonl.gz', STEPS],
  ['vfio/sriov_native.jsonl.gz', STEPS],
  ['vfio-user/qemu11.1.3-js-mmap.jsonl.gz', 2 * STEPS],
].map(([path, count]) => {
  const lines = gunzipSync(readFileSync(join(RECORDINGS, String(path)))).toString('utf8').split('\n').slice(0, Number(count));
  // Without the spaces that some have.
  return lines.map((line) => (line === '' ? '' : JSON.stringify(JSON.parse(line)))).join('\n');
});

class Recordings implements World<string> {
  readonly #file = join(mkdtempSync(join(tmpdir(), 'vsim-fuzz-')), 'x.jsonl');

  generate(random: Random): string {
    let text = pick(random, SEEDS);
    for (let n = 1 + random.below(3); n > 0; n -= 1) text = spoiled(random, text);
    return text;
  }

  check(text: string): Depth {
    const packed = text.length % 5 === 0;
    const file = packed ? `${this.#file}.gz` : this.#file;
    writeFileSync(file, packed ? gzipSync(text) : text);
    let complaint: string | undefined;
    bounded(`${text.length} characters`, () => {
      try {
        replay({ ...CHOICES, paths: [file] }, { out: () => undefined, cwd: '/' });
      } catch (error) {
        if (!(error instanceof ReplayError)) throw error;
        complaint = error.message;
      }
    });
    if (complaint === undefined) {
      if (text.includes('"room":1073741824')) throw new Error('a room of 2^30 is taken');
      return 'succeeded';
    }
    if (complaint.includes('\n')) throw new Error(`more than a line: ${complaint.slice(0, 300)}`);
    if (/is not a function|Cannot read propert|is not iterable|Invalid (array|typed)|call stack/i.test(complaint)) throw new Error(complaint);
    return /jsonl(\.gz)?:1?[^0-9]/.test(complaint) ? 'refused' : 'past';
  }
}

function spoiled(random: Random, text: string): string {
  const fields = [...text.matchAll(/"([a-z_]+)":("[^"]*"|-?\d+)/g)];
  const field = fields[random.below(fields.length)];
  if (field === undefined || random.below(8) === 0) return text.slice(0, random.below(text.length));
  const value = field[2]!.startsWith('"') && random.below(3) > 0 ? JSON.stringify(pick(random, WORDS)) : pick(random, NUMBERS);
  const replaced = random.below(6) === 0 ? '' : `"${field[1]!}":${value}`;
  const at = field.index;
  return `${text.slice(0, at)}${replaced}${text.slice(at + field[0].length)}`;
}

export const DOORS: readonly Door[] = [{ name: 'replay', length: 10, open: () => new Recordings() }, CAPTURES_DOOR];
