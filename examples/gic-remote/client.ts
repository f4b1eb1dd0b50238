/** The client of server.ts: what a VMM does whose GIC is in another process. It has RAM, and asks one thing at a time. */
import { highHalf, lowHalf, toBigint, type Memory } from '@vsim/vfio-core';
import type { Machine } from './server.ts';
import { Wire } from './wire.ts';

export class RemoteGic {
  /** Where the GIC wants to be on the bus. */
  readonly frames: readonly { readonly base: number; readonly size: number }[];
  /** The levels of each CPU's lines, as they were told last. */
  readonly lines: number[];
  readonly #wire: Wire;
  readonly #memory: Memory;

  /** @param fd a socket that blocks */
  constructor(fd: number, machine: Machine, memory: Memory) {
    this.#wire = new Wire(fd);
    this.#memory = memory;
    this.lines = Array.from({ length: machine.cpus }, () => 0);
    const text = new TextEncoder().encode(JSON.stringify(machine));
    this.#wire.send('H', 0, 0, text.length, 0, 0, 0);
    this.#wire.sendBytes(text);
    this.#answer();
    const frames = new Uint8Array(this.#wire.head.getUint32(4, true));
    this.#wire.read(frames);
    this.frames = JSON.parse(new TextDecoder().decode(frames)) as typeof this.frames;
  }

  load(address: number, size: number): bigint {
    this.#wire.send('L', size, 0, 0, address, 0, 0);
    this.#answer();
    return this.#value();
  }

  store(address: number, size: number, value: bigint, requester: number): void {
    this.#wire.send('S', size, 0, requester, address, lowHalf(value), highHalf(value));
    this.#answer();
  }

  /** @param access EL, plus 4 for HCR_EL2.IMO, plus 8 for FMO @returns undefined if it is not done */
  readRegister(cpu: number, encoding: number, access: number): bigint | undefined {
    this.#wire.send('R', access, cpu, encoding, 0, 0, 0);
    return this.#answer() === 0 ? this.#value() : undefined;
  }

  /** @returns whether it is done */
  writeRegister(cpu: number, encoding: number, access: number, value: bigint): boolean {
    this.#wire.send('W', access, cpu, encoding, 0, lowHalf(value), highHalf(value));
    return this.#answer() === 0;
  }

  setPpi(cpu: number, intid: number, level: boolean): void {
    this.#wire.send('P', 0, cpu, intid, 0, level ? 1 : 0, 0);
    this.#answer();
  }

  setSpi(intid: number, level: boolean): void {
    this.#wire.send('I', 0, 0, intid, 0, level ? 1 : 0, 0);
    this.#answer();
  }

  reset(): void {
    this.#wire.send('X', 0, 0, 0, 0, 0, 0);
    this.#answer();
  }

  #value(): bigint {
    return toBigint(this.#wire.head.getUint32(16, true), this.#wire.head.getUint32(20, true));
  }

  /** Does what the GIC asks for until it has answered. @returns the outcome of an MRS or MSR */
  #answer(): number {
    const { head } = this.#wire;
    for (;;) {
      const kind = this.#wire.receive();
      const word = head.getUint32(4, true);
      if (kind === 'A') return head.getUint8(1);
      if (kind === 'l') this.lines[head.getUint16(2, true)] = word;
      else if (kind === 'r') {
        const bytes = new Uint8Array(word);
        this.#memory.readBytes(this.#wire.address, bytes);
        this.#wire.sendBytes(bytes);
      } else if (kind === 'w') {
        const bytes = new Uint8Array(word);
        this.#wire.read(bytes);
        this.#memory.writeBytes(this.#wire.address, bytes);
      } else throw new Error('the GIC is gone');
    }
  }
}
