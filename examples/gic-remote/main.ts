/** Both sides at once: a GIC in one process, and in another a VMM that has RAM and the bus. Node alone can give a socket to a child as its stdin. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PhysicalMemory } from '@vsim/vfio-core';
import { RemoteGic } from './client.ts';

const GICD_CTLR = 0x0;
const GICD_IGROUPR1 = 0x084;
const GICD_ISENABLER1 = 0x104;
const GICD_IPRIORITYR10 = 0x428;
const AT_EL1 = 1;
const [ICC_PMR_EL1, ICC_IGRPEN1_EL1, ICC_IAR1_EL1, ICC_EOIR1_EL1] = [0xc230, 0xc667, 0xc660, 0xc661];

/** The VMM's part: its CPU brings up the GIC and takes SPI 40. */
function vmm(): void {
  const ram = { base: 0x8000_0000, size: 0x10_0000 };
  const memory = new PhysicalMemory([ram]);
  const gic = new RemoteGic(0, { version: 'gicv3', cpus: 1, ram }, memory);
  for (const { base, size } of gic.frames) console.log(`a frame at 0x${base.toString(16)}, 0x${size.toString(16)} bytes`);
  const distributor = gic.frames[0]!.base;
  gic.store(distributor + GICD_CTLR, 4, 0x12n, 0);
  gic.store(distributor + GICD_IGROUPR1, 4, 0x100n, 0); // SPI 40 is bit 8 of the second register
  gic.store(distributor + GICD_ISENABLER1, 4, 0x100n, 0);
  gic.store(distributor + GICD_IPRIORITYR10, 4, 0xa0a0_a0a0n, 0);
  gic.writeRegister(0, ICC_PMR_EL1, AT_EL1, 0xf0n);
  gic.writeRegister(0, ICC_IGRPEN1_EL1, AT_EL1, 1n);
  gic.setSpi(40, true);
  console.log('IRQ line of the CPU', gic.lines[0]);
  const intid = gic.readRegister(0, ICC_IAR1_EL1, AT_EL1)!;
  console.log('it acknowledges', String(intid), 'and the line is', gic.lines[0]);
  gic.setSpi(40, false);
  gic.writeRegister(0, ICC_EOIR1_EL1, AT_EL1, intid);
}

/** A child with this end of the connection as its stdin. */
function child(script: string, argument: string, socket: Socket): ChildProcess {
  const started = spawn(process.execPath, [...process.execArgv, fileURLToPath(new URL(script, import.meta.url)), argument], { stdio: [socket, 'inherit', 'inherit'] });
  started.on('spawn', () => socket.destroy());
  return started;
}

if (process.argv[2] === '--vmm') vmm();
else {
  const folder = mkdtempSync(join(tmpdir(), 'gic-remote-'));
  const path = join(folder, 'gic.sock');
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    server.close();
    child('server.ts', '--serve', socket);
  });
  server.listen(path, () => {
    const socket = connect({ path }, () => child('main.ts', '--vmm', socket).on('close', () => rmSync(folder, { recursive: true })));
  });
}
