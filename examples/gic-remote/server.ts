/**
 * A GIC behind a UNIX socket: another VMM or emulator, in any language, owns RAM and the bus; this process has the GIC.
 *
 *     node server.ts /run/gic.sock
 *
 * Each connection is a machine of its own and gets a process of its own, with the socket as its stdin: there it can simply block. Both
 * sides talk in messages of 24 bytes, little-endian: kind (a letter) at 0, `size` at 1, `cpu` (16 bits) at 2, `word` (32 bits) at 4,
 * `address` (64 bits) at 8, `value` (64 bits) at 16. The client asks one thing at a time and is answered by A; before that the GIC may
 * ask for memory (r), write some (w) and move lines (l), and it does so only then.
 *
 *     client  H machine  word: length of the JSON of a Machine, which follows      A  word: length of the JSON of the frames, which follows
 *             L load     size 1, 2, 4 or 8, address                                A  value
 *             S store    the same, value, word: requester id                       A
 *             R MRS      cpu, word: encoding, size: EL + 4 (HCR_EL2.IMO) + 8 (FMO) A  size: 0 done, 1 undefined, 2 trap to EL2; value
 *             W MSR      the same, value                                           A  the same
 *             P PPI      cpu, word: INTID, value: level                            A
 *             I SPI      word: INTID, value: level                                 A
 *             X warm reset                                                         A
 *     server  r read     address, word: length: the client sends so many bytes, without a head
 *             w write    address, word: length of the bytes, which follow
 *             l lines    cpu, word: levels of IRQ 1, FIQ 2, virtual IRQ 4, virtual FIQ 8, maintenance interrupt 16
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Gic, type GicInit, type RegisterAccess } from '@vsim/gic-its';
import { Trace, type Memory } from '@vsim/vfio-core';
import { Wire } from './wire.ts';

/** What the client says of its machine. */
export interface Machine extends GicInit {
  /** Where its RAM is. */
  readonly ram: { readonly base: number; readonly size: number };
}

const OUTCOMES = ['done', 'undefined', 'trap'] as const;
const ACCESSES: readonly RegisterAccess[] = Array.from({ length: 16 }, (_, bits) => ({ el: (bits & 3) === 1 ? 1 : 2, imo: (bits & 4) !== 0, fmo: (bits & 8) !== 0 }));

/** RAM that the client has. */
class RemoteMemory implements Memory {
  readonly #wire: Wire;
  readonly #ram: Machine['ram'];
  readonly #some = new DataView(new ArrayBuffer(4));
  readonly #few = [1, 2, 4].map((length) => new Uint8Array(this.#some.buffer, 0, length));

  constructor(wire: Wire, ram: Machine['ram']) {
    this.#wire = wire;
    this.#ram = ram;
  }

  accessible(address: number, length: number): boolean {
    const offset = address - this.#ram.base;
    return offset >= 0 && offset <= this.#ram.size - length;
  }

  read8(address: number): number {
    this.readBytes(address, this.#few[0]!);
    return this.#some.getUint8(0);
  }

  read16(address: number): number {
    this.readBytes(address, this.#few[1]!);
    return this.#some.getUint16(0, true);
  }

  read32(address: number): number {
    this.readBytes(address, this.#few[2]!);
    return this.#some.getUint32(0, true);
  }

  write8(address: number, value: number): void {
    this.#some.setUint8(0, value);
    this.writeBytes(address, this.#few[0]!);
  }

  write16(address: number, value: number): void {
    this.#some.setUint16(0, value, true);
    this.writeBytes(address, this.#few[1]!);
  }

  write32(address: number, value: number): void {
    this.#some.setUint32(0, value, true);
    this.writeBytes(address, this.#few[2]!);
  }

  readBytes(address: number, into: Uint8Array): void {
    this.#wire.send('r', 0, 0, into.length, address, 0, 0);
    if (!this.#wire.read(into)) process.exit(0);
  }

  writeBytes(address: number, from: Uint8Array): void {
    this.#wire.send('w', 0, 0, from.length, address, 0, 0);
    this.#wire.sendBytes(from);
  }
}

/** Serves one machine over a descriptor, until its client is gone. */
export function serve(fd: number): void {
  const wire = new Wire(fd);
  if (wire.receive() !== 'H') throw new TypeError('the first message is no H');
  const text = new Uint8Array(wire.head.getUint32(4, true));
  if (!wire.read(text)) return;
  const machine = JSON.parse(new TextDecoder().decode(text)) as Machine;
  const gic = new Gic({ memory: new RemoteMemory(wire, machine.ram), trace: new Trace(() => 0) }, machine);
  gic.redistributors.forEach(({ cpu }, n) => {
    cpu.onLines = (levels) => wire.send('l', 0, n, levels, 0, 0, 0);
  });
  const frames = new TextEncoder().encode(JSON.stringify(gic.frames.map(({ base, size }) => ({ base, size }))));
  wire.send('A', 0, 0, frames.length, 0, 0, 0);
  wire.sendBytes(frames);

  const halves = new Uint32Array(2);
  for (let kind = wire.receive(); kind !== ''; kind = wire.receive()) {
    const { head } = wire;
    const size = head.getUint8(1);
    const cpu = head.getUint16(2, true);
    const word = head.getUint32(4, true);
    const lo = head.getUint32(16, true);
    const hi = head.getUint32(20, true);
    const frame = gic.frames.find(({ base, size: bytes }) => wire.address >= base && wire.address < base + bytes);
    let outcome = 0;
    halves.fill(0);
    if (kind === 'L' && frame !== undefined) {
      if (size === 8) frame.device.read64(wire.address - frame.base, halves);
      else halves[0] = frame.device.read(wire.address - frame.base, size);
    } else if (kind === 'S' && frame !== undefined) {
      if (size === 8) frame.device.write64(wire.address - frame.base, lo, hi, word);
      else frame.device.write(wire.address - frame.base, size, lo, word);
    } else if (kind === 'R') outcome = OUTCOMES.indexOf(gic.cpu(cpu).readRegister(word, ACCESSES[size & 15]!, halves));
    else if (kind === 'W') outcome = OUTCOMES.indexOf(gic.cpu(cpu).writeRegister(word, ACCESSES[size & 15]!, lo, hi));
    else if (kind === 'P') gic.setPpi(cpu, word, lo !== 0);
    else if (kind === 'I') gic.setSpi(word, lo !== 0);
    else if (kind === 'X') gic.reset();
    wire.send('A', outcome, 0, 0, 0, halves[0]!, halves[1]!);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [path] = process.argv.slice(2);
  if (path === '--serve') serve(0);
  else {
    createServer({ pauseOnConnect: true }, (socket) => {
      const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, '--serve'], { stdio: [socket, 'inherit', 'inherit'] });
      child.on('spawn', () => socket.destroy());
    }).listen(path);
  }
}
