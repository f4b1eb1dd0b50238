import { addressOf, DmaLog, eventKind, frameOf, hex, type EventKind, type Host, type RecordedState } from '@vsim/vfio-core';
import { buildConfig, type MsixInit } from '../pci/config-builder.ts';
import { read32, write32 } from '../pci/capabilities.ts';
import type { BarInit } from '../pci/bars.ts';
import { PciFunction, ones, type PciFunctionInit } from '../pci/pci-function.ts';

/** Offsets in BAR 0, in bytes. All registers have 32 bits. */
export const RING_NIC = {
  ID: 0x00,
  CONTROL: 0x04,
  /** Registers of queue q lie at QUEUES + q * QUEUE_STRIDE. */
  QUEUES: 0x100,
  QUEUE_STRIDE: 0x20,
  /** In a queue: address of the ring, low and high. */
  BASE: 0x00,
  BASE_HIGH: 0x04,
  /** Descriptors: a power of two, 2 to 1024. */
  SIZE: 0x08,
  /** The driver's: first descriptor that is not the card's. */
  TAIL: 0x0c,
  /** The card's: first descriptor that it has not consumed. */
  HEAD: 0x10,
  /** Read-only: 1 after a fault, until HEAD and TAIL are set anew by a write of SIZE. */
  STATUS: 0x14,
} as const;

/** What ID reads: "ring", little-endian. */
export const RING_NIC_ID = 0x676e_6972;
/** CONTROL, bit 0: queues are served. */
export const RING_NIC_ENABLE = 1;
/** Queues of a card: 0 and 2 send, 1 and 3 receive. */
export const RING_NIC_QUEUES = 4;
/** In a descriptor's flags: the card is done with it. */
export const DESCRIPTOR_DONE = 0x8000_0000;
/** Bytes of a descriptor: address (8), length (4), flags (4). */
export const DESCRIPTOR_BYTES = 16;

/** A ring or a buffer could not be read or written: the queue stops. */
export const RING_NIC_FAULT: EventKind<{ readonly device: string; readonly queue: number; readonly iova: number | bigint }> = eventKind(
  'pci/ring-nic-fault',
  'fault',
  ({ device, queue, iova }) => `${device}: queue ${queue} stopped: no access to iova ${hex(iova)}`,
);

/** What a card of another configuration space needs: its registers, 16 KiB in BAR 0. */
export const RING_NIC_BARS: readonly BarInit[] = [{ index: 0, size: 0x4000, kind: 'mem64' }];
/** Where its vectors are: one for each queue, the table at 0x2000 of BAR 0. */
export const RING_NIC_MSIX: MsixInit = { vectors: RING_NIC_QUEUES, bar: 0, tableOffset: 0x2000 };

const MAX_SIZE = 1024;
const MAX_FRAME = 0x1_0000;
const WORDS = 6;
const SIZE = RING_NIC.SIZE >> 2;
const TAIL = RING_NIC.TAIL >> 2;
const HEAD = RING_NIC.HEAD >> 2;
const STATUS = RING_NIC.STATUS >> 2;
/** Kind and version of a saved state. */
const STATE_MAGIC = 0x0001_4352;
const STATE_WORDS = 2 + RING_NIC_QUEUES * WORDS;

/**
 * A small network card of our own: pairs of rings in the driver's memory, a vector for each ring, dirty tracking, and a state that can be
 * saved and loaded. Even queues send, odd ones receive.
 *
 * A ring has `SIZE` descriptors of 16 bytes: address (8), length (4), flags (4). The driver fills descriptors and moves TAIL past them; the
 * card consumes them, writes length and DONE back, moves HEAD, and raises the ring's vector. Modelled: rings, completions, DMA faults (the
 * queue stops and says so), reset, migration. Not modelled: offloads, moderation, the wire: frames go to, and come from, whoever made the
 * card.
 */
export class RingNic extends PciFunction implements RecordedState {
  /** Bytes of its state, at most and at least. */
  readonly stateLimit: number = 4 * STATE_WORDS;
  /** Who hears the frames that the card sends. */
  transmit: ((queue: number, frame: Uint8Array) => void) | undefined = undefined;
  /** The pages that it has written while logging is on, in pages of up to 1 GiB. */
  readonly dmaLog: DmaLog = new DmaLog(2n ** 30n);
  /** The registers of each queue, one behind the other. */
  readonly #queues = new Uint32Array(RING_NIC_QUEUES * WORDS);
  #control = 0;
  /** Stopped for migration: doorbells are kept, and served when it runs again. */
  #stopped = false;

  /** @param init as of any function; `bars` and MSI-X as RING_NIC_BARS and RING_NIC_MSIX */
  constructor(host: Host, init: PciFunctionInit) {
    super(host, init);
    this.logDma((frame, offset, length) => this.dmaLog.wroteFrames(frame, offset, length));
  }

  /** Whether it is stopped for migration: frames are neither sent nor taken. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /**
   * A frame from the wire.
   *
   * @param queue 1 or 3
   * @returns false where the queue takes none: it is off, stopped, full, or the frame too long
   */
  receive(queue: number, frame: Uint8Array): boolean {
    if (queue % 2 === 0 || !this.#isReady(queue) || this.#word(queue, HEAD) === this.#word(queue, TAIL)) return false;
    const descriptor = this.#fetch(queue);
    if (descriptor === undefined) return false;
    if (read32(descriptor, 8) < frame.length) return false;
    if (!this.#writeMemory(queue, read32(descriptor, 0), read32(descriptor, 4), frame)) return false;
    return this.#complete(queue, descriptor, frame.length);
  }

  /** Stops for migration: doorbells are kept until start(). */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs again; what was rung meanwhile is sent now. */
  start(): void {
    this.#stopped = false;
    for (let queue = 0; queue < RING_NIC_QUEUES; queue += 2) this.#send(queue);
  }

  /** Its state: control, and the registers of each queue. */
  save(): Uint8Array {
    const out = new Uint8Array(4 * STATE_WORDS);
    write32(out, 0, STATE_MAGIC);
    write32(out, 4, this.#control);
    this.#queues.forEach((word, i) => write32(out, 8 + 4 * i, word));
    return out;
  }

  /** Takes a state that save() gave. @returns false for bytes that are no state of this version, with nothing changed */
  load(bytes: Uint8Array): boolean {
    if (bytes.length !== 4 * STATE_WORDS || read32(bytes, 0) !== STATE_MAGIC) return false;
    const words = this.#queues.map((_, i) => read32(bytes, 8 + 4 * i));
    for (let queue = 0; queue < RING_NIC_QUEUES; queue += 1) {
      const size = words[queue * WORDS + SIZE]!;
      if (size !== 0 && (!isSize(size) || words[queue * WORDS + TAIL]! >= size || words[queue * WORDS + HEAD]! >= size)) return false;
    }
    this.#control = read32(bytes, 4) & RING_NIC_ENABLE;
    this.#queues.set(words);
    return true;
  }

  /**
   * A register; 0 where there is none.
   *
   * @param bar 0; others read ones
   * @param offset bytes
   * @param width 4 bytes; others read ones
   */
  protected override barRead(bar: number, offset: number, width: number): number {
    if (bar !== 0 || width !== 4) return ones(width);
    if (offset === RING_NIC.ID) return RING_NIC_ID;
    if (offset === RING_NIC.CONTROL) return this.#control;
    const at = wordAt(offset);
    return at === undefined ? 0 : this.#queues[at]!;
  }

  /**
   * Writes a register: SIZE starts a queue anew, TAIL rings its doorbell.
   *
   * @param bar 0; others ignore it
   * @param offset bytes
   * @param width 4 bytes; others are ignored
   * @param value 32 bits
   */
  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    if (bar !== 0 || width !== 4) return;
    if (offset === RING_NIC.CONTROL) {
      this.#control = value & RING_NIC_ENABLE;
      return;
    }
    const at = wordAt(offset);
    if (at === undefined) return;
    const queue = Math.floor(at / WORDS);
    switch (at % WORDS) {
      case SIZE:
        this.#queues.fill(0, queue * WORDS + SIZE, (queue + 1) * WORDS);
        if (isSize(value)) this.#queues[at] = value;
        return;
      case TAIL:
        // A doorbell outside the ring rings nothing.
        if (value >= this.#word(queue, SIZE)) return;
        this.#queues[at] = value;
        this.#send(queue);
        return;
      case HEAD:
      case STATUS:
        return; // read-only
      default:
        this.#queues[at] = value;
    }
  }

  /** All queues are off. */
  protected override reset(): void {
    this.#control = 0;
    this.#queues.fill(0);
  }

  /** Sends what lies between HEAD and TAIL: at most one round of the ring. */
  #send(queue: number): void {
    if (queue % 2 !== 0 || !this.#isReady(queue)) return;
    let sent = false;
    for (let left = this.#word(queue, SIZE); left > 0 && this.#word(queue, HEAD) !== this.#word(queue, TAIL); left -= 1) {
      const descriptor = this.#fetch(queue);
      if (descriptor === undefined) break;
      const frame = new Uint8Array(Math.min(read32(descriptor, 8), MAX_FRAME));
      if (!this.#readMemory(queue, read32(descriptor, 0), read32(descriptor, 4), frame)) break;
      if (!this.#complete(queue, descriptor, frame.length, false)) break;
      sent = true;
      this.transmit?.(queue, frame);
    }
    if (sent) this.raise(queue);
  }

  #fetch(queue: number): Uint8Array | undefined {
    const descriptor = new Uint8Array(DESCRIPTOR_BYTES);
    return this.#readMemory(queue, this.#word(queue, 0), this.#word(queue, 1), descriptor, this.#descriptorAt(queue)) ? descriptor : undefined;
  }

  #complete(queue: number, descriptor: Uint8Array, length: number, raises = true): boolean {
    write32(descriptor, 8, length);
    write32(descriptor, 12, (read32(descriptor, 12) | DESCRIPTOR_DONE) >>> 0);
    if (!this.#writeMemory(queue, this.#word(queue, 0), this.#word(queue, 1), descriptor, this.#descriptorAt(queue))) return false;
    this.#queues[queue * WORDS + HEAD] = (this.#word(queue, HEAD) + 1) % this.#word(queue, SIZE);
    if (raises) this.raise(queue);
    return true;
  }

  /** Bytes from the ring's address to the descriptor at HEAD. */
  #descriptorAt(queue: number): number {
    return this.#word(queue, HEAD) * DESCRIPTOR_BYTES;
  }

  #readMemory(queue: number, lo: number, hi: number, into: Uint8Array, offset = 0): boolean {
    return this.dmaReadWide(lo, hi, into, offset) || this.#fault(queue, lo, hi, offset);
  }

  #writeMemory(queue: number, lo: number, hi: number, from: Uint8Array, offset = 0): boolean {
    return this.dmaWriteWide(lo, hi, from, offset) || this.#fault(queue, lo, hi, offset);
  }

  #fault(queue: number, lo: number, hi: number, offset: number): false {
    this.#queues[queue * WORDS + STATUS] = 1;
    if (this.host.trace.on) this.host.trace.emit(RING_NIC_FAULT, { device: this.name, queue, iova: addressOf(frameOf(lo, hi), (lo % 4096) + offset) });
    return false;
  }

  #isReady(queue: number): boolean {
    return (this.#control & RING_NIC_ENABLE) !== 0 && !this.#stopped && this.#word(queue, SIZE) !== 0 && this.#word(queue, STATUS) === 0;
  }

  #word(queue: number, word: number): number {
    return this.#queues[queue * WORDS + word]!;
  }
}

/** A ring NIC, 1d55:0010, with PCI Express, FLR, AER and MSI-X. @param address as `0000:00:02.0` */
export function createRingNic(host: Host, address: string): RingNic {
  const config = buildConfig({
    vendor: 0x1d55,
    device: 0x0010,
    class: 0x02_0000,
    bars: RING_NIC_BARS,
    msix: RING_NIC_MSIX,
    express: true,
    flr: true,
    aer: true,
  });
  const init: PciFunctionInit = { address, config, bars: RING_NIC_BARS };
  return new RingNic(host, init);
}

/** Index of a queue's register among all; undefined where there is none. */
function wordAt(offset: number): number | undefined {
  const inside = offset - RING_NIC.QUEUES;
  if (inside < 0 || inside >= RING_NIC_QUEUES * RING_NIC.QUEUE_STRIDE) return undefined;
  const word = (inside % RING_NIC.QUEUE_STRIDE) >> 2;
  return word < WORDS ? Math.floor(inside / RING_NIC.QUEUE_STRIDE) * WORDS + word : undefined;
}

function isSize(value: number): boolean {
  return value >= 2 && value <= MAX_SIZE && Number.isInteger(Math.log2(value));
}

