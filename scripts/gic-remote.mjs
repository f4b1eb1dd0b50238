/**
 * `pnpm test:gic-remote`: plays the recording linux61-gicv41 through examples/gic-remote/server.ts. One process has the GIC, another RAM and
 * the bus; between them is a UNIX socket. Exit code 1 if a value or a line differs.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, bundledNode, environment, install } from './lib.mjs';

const RECORDING = join(ROOT, 'apps/conformance/recordings/linux-gic/linux61-gicv41.jsonl.gz');
const FLAGS = ['--conditions=@vsim/source', '--import', pathToFileURL(join(ROOT, 'scripts/workspace-packages.mjs')).href];
const TRIES = 200;

install();
const folder = mkdtempSync(join(tmpdir(), 'vsim-gic-'));
const path = join(folder, 'gic.sock');
const options = { cwd: ROOT, env: environment() };
const server = spawn(bundledNode(), [...FLAGS, join(ROOT, 'examples/gic-remote/server.ts'), path], { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
try {
  process.exitCode = await play(await connected(TRIES));
} finally {
  server.kill();
  rmSync(folder, { recursive: true });
}

/** A connection to the server, which may not be there yet. */
async function connected(tries) {
  const socket = connect({ path });
  const ok = await new Promise((resolve) => {
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
  });
  if (ok) return socket;
  if (tries === 0 || server.exitCode !== null) throw new Error('the server does not answer');
  await new Promise((resolve) => setTimeout(resolve, 50));
  return connected(tries - 1);
}

/** Runs the player with the connection as its stdin, where it blocks. */
function play(socket) {
  const player = spawn(bundledNode(), [...FLAGS, join(ROOT, 'scripts/gic-remote-player.mjs'), RECORDING], { ...options, stdio: [socket, 'inherit', 'inherit'] });
  player.on('spawn', () => socket.destroy());
  return new Promise((resolve, reject) => {
    player.on('error', reject);
    player.on('close', (code) => resolve(code ?? 1));
  });
}
