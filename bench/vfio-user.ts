/**
 * A server of vfio-user over a UNIX socket: how long a client waits for a register of 4 bytes.
 *
 * The client is a program in C (vfio-user.c), and so is the floor, a server that answers each message without a look at it: only the servers differ.
 * Rounds are taken in turn, and the least median counts, as other programs only ever add to a time. Target: ours is at most 1.5 times the floor. Without gcc it is
 * SKIPPED.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { report, type Target } from './measure.ts';
import { nvmeReads } from './nvme-reads.ts';

const ROUNDS = 5;
const READS = 10_000;
const SERVER = join(import.meta.dirname, 'vfio-user-server.mjs');
const DISK = 2 ** 26;

const folder = mkdtempSync(join(tmpdir(), 'vsim-bench-'));
const servers: ChildProcess[] = [];

/** Starts a server, and waits for its socket. */
function serve(name: string, command: string, ...words: readonly string[]): string {
  const path = join(folder, name);
  servers.push(spawn(command, [...words, path], { stdio: ['ignore', 'ignore', 'inherit'] }));
  for (let tries = 0; !existsSync(path); tries += 1) {
    if (tries > 200) throw new Error(`${name} does not listen`);
    spawnSync('sleep', ['0.05']);
  }
  spawnSync('sleep', ['0.2']);
  return path;
}

const targets: Target[] = [];
const program = join(folder, 'ping');
try {
  if (spawnSync('gcc', ['--version']).status !== 0) console.log('SKIPPED vfio-user beside a server in C: there is no gcc');
  else {
    execFileSync('gcc', ['-O2', '-o', program, join('bench', 'vfio-user.c')]);
    const paths = [serve('floor', program, 'serve'), serve('ours', process.execPath, SERVER, 'edu')];
    const best = paths.map(() => [Infinity, Infinity, Infinity]);
    for (let round = 0; round < ROUNDS; round += 1) {
      paths.forEach((path, i) => {
        const told = execFileSync(program, ['ping', path, String(READS)], { encoding: 'utf8' }).trim().split(' ').map(Number);
        best[i] = best[i]!.map((ns, n) => Math.min(ns, told[n]!));
      });
    }
    ['in C', 'ours'].forEach((name, i) => {
      const [median, late, all] = best[i]!;
      console.log(`${name}: ${Math.round((READS * 1e9) / all!).toLocaleString('en')} reads of 4 bytes a second, p50 ${(median! / 1000).toFixed(1)} us, p99 ${(late! / 1000).toFixed(1)} us`);
    });
    console.log(`NVMe: ${Math.round(nvmeReads(serve('nvme', process.execPath, SERVER, 'nvme'), DISK, READS)).toLocaleString('en')} random reads of 4 KiB a second, one at a time, from memory`);
    targets.push(['a read of 4 bytes, p50, as from a server in C', best[1]![0]! / best[0]![0]!, 1.5]);
  }
} finally {
  for (const server of servers) server.kill();
  rmSync(folder, { recursive: true });
}
process.exitCode = report(targets) ? 0 : 1;
