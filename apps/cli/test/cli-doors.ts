/** Doors of the command for fuzzers: counts of devices (R17), files that are larger than they look (R19), and streams that end (R16). */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Random } from '@vsim/vfio-core';
import { pick, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { called } from './called.ts';

/** `migrate` with any count: from 1 to 256 devices it migrates and loses nothing; whatever else was written is one line. */
class Counts implements World<readonly [devices: string, vcpus: string]> {
  generate(random: Random): readonly [string, string] {
    const count = pick(random, [1 + random.below(8), 30 + random.below(8), 60 + random.below(10), 1 + random.below(256)]);
    return [random.below(4) > 0 ? String(count) : pick(random, ['0', '257', '-1', '1e1', '0x10', '', ' 3', '33.5', '99999999999']), pick(random, ['1', '2', '3', '3', '4'])];
  }

  check([devices, vcpus]: readonly [string, string]): Depth {
    const good = /^[0-9]+$/.test(devices) && Number(devices) >= 1 && Number(devices) <= 256 && vcpus !== '4';
    const { code, out, err } = called(['migrate', `--devices=${devices}`, '--vcpus', vcpus, '--instant', '5']);
    same('exit code and lines that say why', [code, err.length], good ? [0, 0] : [2, 1]);
    if (good) same('interrupts that were lost or doubled', out.join().includes('lost 0, doubled 0'), true);
    return good ? 'succeeded' : 'refused';
  }
}

const LIMIT = 0x400_0000;
const MIB = 0x10_0000;
/** Memory of this process that a file may take, in MiB: a few times the limit, as bytes, text and lines. */
const MOST_MEMORY = 600;

interface FileInput {
  readonly kind: 'packed' | 'sparse' | 'cut';
  /** In MiB, and bytes more. */
  readonly size: number;
  readonly more: number;
  readonly command: 'groups' | 'lspci' | 'replay' | 'host';
}

/** A file of zeros is no input; one with more than 64 MiB in it is refused for that, and takes no more memory than the limit. */
class Files implements World<FileInput> {
  readonly #folder = mkdtempSync(join(tmpdir(), 'vsim-fuzz-'));
  readonly #mebibyte = gzipSync(new Uint8Array(MIB));

  generate(random: Random): FileInput {
    return {
      kind: pick(random, ['packed', 'packed', 'packed', 'sparse', 'cut']),
      size: pick(random, [random.below(4), 63 + random.below(3), random.below(300)]),
      more: pick(random, [0, 0, 1, random.below(MIB)]),
      command: pick(random, ['groups', 'lspci', 'replay', 'host']),
    };
  }

  check({ kind, size, more, command }: FileInput): Depth {
    const name = join(this.#folder, kind === 'sparse' ? 'x.jsonl' : 'x.jsonl.gz');
    // A packed file is one after another of them: each mebibyte of zeros is a thousand bytes.
    const packed = [...Array.from({ length: size }, () => this.#mebibyte), gzipSync(new Uint8Array(more))];
    writeFileSync(name, kind === 'sparse' ? '' : Buffer.concat(packed).subarray(0, kind === 'cut' ? -1 : undefined));
    const bytes = size * MIB + more;
    if (kind === 'sparse') {
      const fd = openSync(name, 'r+');
      ftruncateSync(fd, bytes);
      closeSync(fd);
    }
    const args = { groups: ['groups', name], lspci: ['lspci', '--dump', name], replay: ['replay', name], host: ['replay', '--host', name, 'vfio/info.jsonl.gz'] }[command];
    const before = process.resourceUsage().maxRSS;
    const { code, err } = called(args);
    const memory = (process.resourceUsage().maxRSS - before) / 1024;
    same('exit code and lines that say why', [code, err.length, err[0]?.includes('\n')], [2, 1, false]);
    if (memory > MOST_MEMORY) throw new Error(`${bytes} bytes took ${Math.round(memory)} MiB`);
    // Of a member that is cut nobody knows how much comes out before its end is missed.
    const open = kind === 'cut' && size * MIB <= LIMIT && bytes > LIMIT;
    if (command !== 'host' && !open) same(`whether ${bytes} bytes are too many`, err[0]!.includes('more than 67108864 bytes'), bytes > LIMIT);
    return bytes > LIMIT ? 'past' : 'refused';
  }
}

const BIN = fileURLToPath(new URL('../src/bin.ts', import.meta.url));

interface StreamsInput {
  readonly args: readonly string[];
  /** What the output goes to: somebody who reads some bytes and leaves, a disk that is full, or nobody. */
  readonly out: number | 'full' | 'closed';
  readonly errFull: boolean;
}

/** The bin itself: who stops reading is told nothing, a full disk is one line, and the exit code is what it would have been, or 2. */
class Ends implements World<StreamsInput> {
  generate(random: Random): StreamsInput {
    return {
      args: pick(random, [['lspci', '--dump'], ['groups', '/nowhere'], ['--help'], ['frobnicate'], ['groups'], ['lspci', '--dump']]),
      out: pick(random, [0, 0, 1, random.below(100_000), 'full', 'full', 'closed']),
      errFull: random.below(4) === 0,
    };
  }

  check({ args, out, errFull }: StreamsInput): Depth {
    const folder = mkdtempSync(join(tmpdir(), 'vsim-fuzz-'));
    const plain = called(args);
    const to = typeof out === 'number' ? `| head -c ${out} > /dev/null` : out === 'full' ? '> /dev/full' : '>&-';
    const script = `{ "$@" 2> ${errFull ? '/dev/full' : `${folder}/err`}; echo $? > ${folder}/code; } < /dev/null ${to}`;
    spawnSync('/bin/sh', ['-c', script, 'sh', process.execPath, '--conditions=@vsim/source', BIN, ...args], { stdio: 'ignore' });
    const code = Number(readFileSync(join(folder, 'code'), 'utf8'));
    const err = errFull ? [] : readFileSync(join(folder, 'err'), 'utf8').split('\n').slice(0, -1);
    const full = out === 'full' && plain.out.length > 0;
    same('the exit code', code, full ? 2 : plain.code);
    if (!errFull) same('what is said', err, full ? [...plain.err, 'vsim: standard output: ENOSPC'] : plain.err);
    return plain.out.length === 0 ? 'refused' : full ? 'past' : 'succeeded';
  }
}

export const CLI_DOORS: readonly Door[] = [
  { name: 'device-counts', length: 4, most: 30, open: () => new Counts() },
  { name: 'large-files', length: 8, most: 20, open: () => new Files() },
  { name: 'ended-streams', length: 2, most: 10, open: () => new Ends() },
];
