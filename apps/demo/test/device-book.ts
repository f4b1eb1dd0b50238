/**
 * The ledger of the random migrations, kept by the two ends and by nothing between them: a device numbers what it raises, and writes the
 * number into its ring by DMA; the guest reads the ring when it takes the interrupt. For tests only.
 *
 * An interrupt is the line's news: a raise while the last one waits is one with it, as one pending bit of the hardware has it. Lost: everything
 * is let go, and the last number that the device raised was never seen. Doubled: the guest takes one, and the ring has no news.
 */
import type { Host, MigState } from '@vsim/vfio-core';
import { REG, TICKER_VECTORS, TickerFunction } from '../src/devices/ticker.ts';
import { lineName } from '../src/demo/ledger.ts';
import type { Raises } from '../src/demo/traffic.ts';

interface Line {
  /** What the world outside has ticked. */
  ticks: number;
  /** The last number that the device raised, and the last that the guest saw. */
  raised: number;
  seen: number;
  /** What was raised when kernel workers were last held. */
  before: number;
  /** It was taken while a kernel worker still had a raise of it: the worker's own injection has no news. */
  late: boolean;
}

export class DeviceBook implements Raises {
  readonly #lines = new Map<string, Line>();
  #saved: ReadonlyMap<string, number> = new Map();
  raises = 0;
  /** Raises that became one with another. */
  coalesced = 0;
  takings = 0;
  /** Lines, once for each interrupt too many. */
  readonly doubled: string[] = [];

  /** The world outside ticks a device. */
  raised(line: string): void {
    this.#line(line).ticks += 1;
  }

  /** The device raises its `number`th. */
  told(line: string, number: number): void {
    const entry = this.#line(line);
    this.raises += 1;
    if (entry.raised > entry.seen) this.coalesced += 1;
    entry.raised = number;
  }

  /** Kernel workers are held from here on: what is raised may be on its way for a while. */
  workersHeld(): void {
    for (const line of this.#lines.values()) line.before = line.raised;
  }

  /** The guest takes an interrupt, and finds `number` in the ring. @param held workers are held with something to inject */
  taken(line: string, number: number, held: boolean): void {
    const entry = this.#line(line);
    this.takings += 1;
    if (number <= entry.seen && !entry.late) this.doubled.push(line);
    entry.seen = Math.max(number, entry.seen);
    entry.late = held && entry.raised > entry.before;
  }

  isPending(line: string): boolean {
    const { raised, seen } = this.#line(line);
    return raised > seen;
  }

  /** Lines with an interrupt that nobody has taken, as if it were taken now: what comes later must not hide it. */
  takeLost(): readonly string[] {
    const lost = [...this.#lines].filter(([, { raised, seen }]) => raised > seen);
    for (const [, line] of lost) line.seen = line.raised;
    return lost.map(([name]) => name);
  }

  /** The devices' state is read: what the old device is ticked from here on, the new one does not know. */
  deviceSaved(): void {
    this.#saved = new Map([...this.#lines].map(([name, { ticks }]) => [name, ticks]));
  }

  /** The new device goes on. */
  deviceMoved(): void {
    for (const [name, line] of this.#lines) line.ticks = this.#saved.get(name) ?? 0;
  }

  /** How often the world outside has ticked a line, as far as its device can know. */
  ticks(line: string): number {
    return this.#line(line).ticks;
  }

  #line(name: string): Line {
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = { ticks: 0, raised: 0, seen: 0, before: 0, late: false };
      this.#lines.set(name, line);
    }
    return line;
  }
}

/** A ticker that keeps the book, and whose firmware fails when it is told to. */
export class BookTicker extends TickerFunction {
  readonly #book: DeviceBook;
  readonly #lines: readonly string[];
  /** It is the device of the VM that runs: what one raises that waits for a state, or whose VM has gone, is nobody's. */
  live = false;
  /** The next such arc fails. */
  arc: { readonly from: MigState; readonly to: MigState; readonly error: number } | undefined;
  /** The next state to be read lacks its last bytes. */
  cut = 0;

  constructor(host: Host, address: string, book: DeviceBook) {
    super(host, address);
    this.#book = book;
    this.#lines = Array.from({ length: TICKER_VECTORS }, (_, n) => lineName(address, n));
  }

  override raise(vector = 0): void {
    if (this.live) this.#book.told(this.#lines[vector]!, this.barRead(0, REG.COUNT + 4 * vector, 4));
    super.raise(vector);
  }

  refusal(from: MigState, to: MigState): number {
    if (this.arc?.from !== from || this.arc.to !== to) return 0;
    const { error } = this.arc;
    this.arc = undefined;
    return error;
  }

  override save(): Uint8Array {
    const { cut } = this;
    this.cut = 0;
    return super.save().subarray(0, this.stateLimit - cut);
  }
}
