import { assertSameCore, type Host } from '../host/host.ts';
import { eventKind, type EventKind, type Trace } from '../host/trace.ts';
import type { MmioDevice } from '../memory/address-space.ts';
import { hex } from '../memory/u64.ts';
import type { HostIrq, MsiController, MsiMessage } from './msi.ts';

const WINDOW = 0xfee0_0000;
const WINDOW_SIZE = 0x10_0000;
const REMAPPABLE = 0x18; // bit 4: remappable format; bit 3: the data is a subhandle
const FIRST_VECTOR = 0x20;
const LAST_VECTOR = 0xef;
const FIRST_IRQ = 24; // behind the lines of the IOAPIC

/** A message that reached the window and raised nothing. */
export const MSI_REFUSED: EventKind<MsiRefused> = eventKind(
  'irq/msi-refused',
  'fault',
  ({ requester, address, data, why }) => `msi ${hex(address)} data ${hex(data)} from ${hex(requester)}: ${why}`,
);

/** What MSI_REFUSED tells. */
export interface MsiRefused {
  /** The requester id of who wrote. */
  readonly requester: number;
  /** Physical, in bytes. */
  readonly address: number;
  /** The 32 bits that were written. */
  readonly data: number;
  /** Whether nobody has the entry, or another requester. */
  readonly why: 'no entry' | 'foreign requester';
}

/** `irq/msi-pending`: a message came for an interrupt that is masked; it waits for that, once. */
export const MSI_PENDING: EventKind<MsiEvent> = eventKind('irq/msi-pending', 'info', ({ irq }) => `irq ${irq}: pending, masked`);

/** `irq/msi-taken`: a CPU of the host runs the handler of an interrupt that a message raised. */
export const MSI_TAKEN: EventKind<MsiEvent> = eventKind('irq/msi-taken', 'info', ({ irq }) => `irq ${irq}: handled by the host`);

/** An interrupt of the host that messages raise. */
export interface MsiEvent {
  /** The Linux irq number. */
  readonly irq: number;
  /** The requester id of the device that has it. */
  readonly requester: number;
}

/** What the interrupt hardware of a machine is like. */
export interface ApicMsiInit {
  /** Interrupt remapping. @default true */
  readonly remapping?: boolean | undefined;
  /** Entries of the remapping table, at most 65536. @default 65536 */
  readonly entries?: number | undefined;
}

class ApicIrq implements HostIrq {
  readonly #trace: Trace;
  readonly number: number;
  readonly requester: number;
  readonly message: MsiMessage;
  #handler: (() => void) | undefined;
  #masked = false;
  #pending = false;

  constructor(trace: Trace, number: number, requester: number, message: MsiMessage) {
    this.#trace = trace;
    this.number = number;
    this.requester = requester;
    this.message = message;
  }

  setHandler(handler: (() => void) | undefined): void {
    this.#handler = handler;
  }

  mask(): void {
    this.#masked = true;
  }

  unmask(): void {
    this.#masked = false;
    if (!this.#pending) return;
    this.#pending = false;
    this.#handle();
  }

  raise(): void {
    if (!this.#masked) this.#handle();
    else {
      this.#pending = true;
      if (this.#trace.followed) this.#trace.step(MSI_PENDING, { irq: this.number, requester: this.requester });
    }
  }

  #handle(): void {
    if (this.#handler === undefined) return;
    if (this.#trace.followed) this.#trace.step(MSI_TAKEN, { irq: this.number, requester: this.requester });
    this.#handler();
  }
}

/**
 * The message window of an x86 machine, 0xfee00000: stores there become interrupts of the CPUs.
 *
 * With interrupt remapping (Intel VT-d specification, "Interrupt Remapping", remappable format) a message carries a handle of its table
 * entry, and an entry answers to its own requester only; without it, data bits 7:0 are the vector, and anyone may raise it. Modelled:
 * handles, subhandles, source validation, per-vector masking with one pending bit. Not modelled: destinations, the local APIC's registers,
 * posted interrupts.
 */
export class ApicMsi implements MsiController, MmioDevice {
  /** Whether interrupts are remapped. */
  readonly isolated: boolean;
  /** `IR` with remapping, as /proc/interrupts has it. */
  readonly chip: string | undefined;
  /** The host whose processors take the messages. */
  readonly host: Host;
  /** By handle, or by vector, as far as any was handed out: a whole table costs more than the rest of a host. */
  readonly #entries: (ApicIrq | undefined)[] = [];
  readonly #first: number;
  readonly #end: number;
  #nextNumber = FIRST_IRQ;

  /**
   * Puts the window into the host's address space.
   *
   * @throws RangeError for a count of entries out of range, or if something else is at 0xfee00000; TypeError if another copy of
   * @vsim/vfio-core made the host
   */
  constructor(host: Host, init: ApicMsiInit = {}) {
    assertSameCore(host);
    const entries = init.entries ?? 0x1_0000;
    if (!(Number.isInteger(entries) && entries > 0 && entries <= 0x1_0000)) {
      throw new RangeError(`"entries" expected an integer in [1, 65536], got ${entries}`);
    }
    this.host = host;
    this.isolated = init.remapping ?? true;
    this.chip = this.isolated ? 'IR' : undefined;
    this.#first = this.isolated ? 0 : FIRST_VECTOR;
    this.#end = this.isolated ? entries : LAST_VECTOR + 1;
    host.memory.map(WINDOW, WINDOW_SIZE, this);
  }

  /**
   * Allocates vectors for a device.
   *
   * @param requester its requester id
   * @param count how many
   * @param contiguous with consecutive data, aligned to a power of two, as plain MSI needs
   * @returns the interrupts, fewer where entries run out; of contiguous ones all or none
   */
  allocate(requester: number, count: number, contiguous: boolean): readonly HostIrq[] {
    const out: ApicIrq[] = [];
    // A block of plain MSI is aligned to its size: the device ors the vector's number into the data.
    const size = contiguous ? 2 ** Math.ceil(Math.log2(Math.max(count, 1))) : 1;
    for (let at = Math.ceil(this.#first / size) * size; at + size <= this.#end && out.length < count; at += size) {
      if (!this.#free(at, size)) continue;
      const take = contiguous ? count : 1;
      for (let i = 0; i < take; i += 1) out.push(this.#make(requester, at, at + i));
    }
    return out;
  }

  /** Gives vectors back, and takes their handlers away. @param _requester the device's requester id */
  release(_requester: number, irqs: readonly HostIrq[]): void {
    for (const irq of irqs) {
      irq.setHandler(undefined);
      const at = this.#entries.findIndex((entry) => entry === irq);
      if (at >= 0) this.#entries[at] = undefined;
    }
  }

  /** The window reads as 0. */
  read(): number {
    return 0;
  }

  /**
   * A message: raises its interrupt, or is MSI_REFUSED.
   *
   * @param offset in bytes from 0xfee00000
   * @param _width any; all are taken alike
   * @param value the data, of 32 bits
   * @param requester the id of who wrote
   */
  write(offset: number, _width: number, value: number, requester: number): void {
    const index = this.#index(offset, value);
    const entry = index === undefined ? undefined : this.#entries[index];
    if (entry === undefined) this.#refuse(offset, value, requester, 'no entry');
    else if (this.isolated && entry.requester !== requester) this.#refuse(offset, value, requester, 'foreign requester');
    else entry.raise();
  }

  #index(offset: number, data: number): number | undefined {
    if (!this.isolated) return data & 0xff;
    if ((offset & REMAPPABLE) !== REMAPPABLE) return undefined;
    return (((offset >>> 5) & 0x7fff) | ((offset & 4) << 13)) + (data & 0xffff);
  }

  #make(requester: number, base: number, at: number): ApicIrq {
    const message = this.isolated
      ? { address: WINDOW + (((base & 0x7fff) << 5) | REMAPPABLE | ((base >>> 13) & 4)), data: at - base }
      : { address: WINDOW, data: at };
    const irq = new ApicIrq(this.host.trace, this.#nextNumber, requester, message);
    this.#nextNumber += 1;
    while (this.#entries.length <= at) this.#entries.push(undefined);
    this.#entries[at] = irq;
    return irq;
  }

  #free(at: number, size: number): boolean {
    for (let i = at; i < at + size; i += 1) if (this.#entries[i] !== undefined) return false;
    return true;
  }

  #refuse(offset: number, data: number, requester: number, why: MsiRefused['why']): void {
    if (this.host.trace.on) this.host.trace.emit(MSI_REFUSED, { requester, address: WINDOW + offset, data, why });
  }
}
