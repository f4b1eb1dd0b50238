/**
 * The ITS command queue: GITS_CBASER, GITS_CWRITER and GITS_CREADR.
 *
 * Software writes 32-byte commands to a ring in memory and moves CWRITER past them; the ITS takes them in order and moves
 * CREADR after it. Reference: Arm IHI 0069, the three registers.
 * Modelled: base, size, wrap, stall and retry; commands are fetched in batches. A pointer at or past the end stops the queue. A queue outside RAM reads as
 * zeros. Not modelled: cacheability and shareability (kept, with no effect).
 */
import { readWords, toNumber, type Memory } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';

/** Bytes of a command. */
export const COMMAND_BYTES = 32;
const COMMAND_WORDS = 8;
/** Commands that are fetched at once. */
const BATCH = 32;

const OFFSET_MASK = 0x000f_ffe0; // CWRITER and CREADR Offset, bits [19:5]
const RETRY = 1; //                 CWRITER bit 0, write only
const STALLED = 1; //               CREADR bit 0, read only
const VALID = 0x8000_0000; //       CBASER bit 63

/** What became of a command: done (also when it was ignored), or the queue stalls on it. */
export type CommandOutcome = 'done' | 'stall';

/** What takes the commands: an ITS's Translation. */
export interface CommandExecutor {
  /** Executes a command of eight words. */
  command(words: Uint32Array): CommandOutcome;
}

// Indices of low halves in #regs.
const CBASER = 0;
const CWRITER = 2;
const CREADR = 4;

export class CommandQueue {
  readonly #memory: Memory;
  readonly #choices: ImplementationChoices;
  readonly #executor: CommandExecutor;
  readonly #unpredictable: (what: string) => void;
  readonly #regs = new Uint32Array(6);
  readonly #words = new Uint32Array(BATCH * COMMAND_WORDS);
  readonly #commands: readonly Uint32Array[] = Array.from({ length: BATCH }, (_, n) => this.#words.subarray(n * COMMAND_WORDS, (n + 1) * COMMAND_WORDS));
  #running = false;
  enabled = false;

  constructor(
    memory: Memory,
    choices: ImplementationChoices,
    executor: CommandExecutor,
    unpredictable: (what: string) => void,
  ) {
    this.#unpredictable = unpredictable;
    this.#memory = memory;
    this.#choices = choices;
    this.#executor = executor;
  }

  /** Registers as after a warm reset. */
  reset(): void {
    this.#regs.fill(0);
    this.enabled = false;
  }

  /** Whether all commands were taken. */
  get idle(): boolean {
    return ((this.#regs[CWRITER]! ^ this.#regs[CREADR]!) & OFFSET_MASK) === 0;
  }

  /** CBASER.Valid. */
  get based(): boolean {
    return (this.#regs[CBASER + 1]! & VALID) !== 0;
  }

  /** @param half 0 to 5: CBASER, CWRITER, CREADR, low half first */
  read(half: number): number {
    return this.#regs[half]!;
  }

  write(half: number, value: number): void {
    const regs = this.#regs;
    const keep = this.#choices.keepReservedBits;
    switch (half) {
      case CBASER:
      case CBASER + 1:
        if (this.enabled) {
          this.#unpredictable('CBASER written while the its is enabled');
          return;
        }
        if (keep) regs[half] = value;
        else regs[half] = half === CBASER ? value & 0xffff_fcff & (this.#choices.coherent ? 0xffff_ffff : ~0xc00) : value & 0xb8ef_ffff;
        regs[CREADR] = 0;
        regs[CREADR + 1] = 0;
        return;
      case CWRITER:
        regs[CWRITER] = keep ? value & ~RETRY : value & OFFSET_MASK;
        if ((value & RETRY) !== 0 && this.#choices.stallEnds === 'retry') regs[CREADR]! &= ~STALLED;
        this.run();
        return;
      case CWRITER + 1:
        if (keep) regs[half] = value;
        return;
      case CREADR:
        if (keep) regs[half] = value & ~STALLED;
        return;
      case CREADR + 1:
        if (keep) regs[half] = value;
        return;
    }
  }

  /**
   * CWRITER and CREADR as one store: the high half first, so that the queue runs once.
   *
   * @param half words of 4 bytes from GITS_CBASER on: even
   * @param lo bits [31:0]
   * @param hi bits [63:32]
   */
  write64(half: number, lo: number, hi: number): void {
    this.write(half + 1, hi);
    this.write(half, lo);
  }

  /** Takes commands until CREADR meets CWRITER or one stalls. */
  run(): void {
    const regs = this.#regs;
    if (this.#running || !this.enabled) return;
    if (!this.based) {
      if (!this.idle) this.#unpredictable('CWRITER moved without a valid CBASER');
      return;
    }
    if (this.#choices.stallEnds === 'retry' && (regs[CREADR]! & STALLED) !== 0) return;
    const base = toNumber(regs[CBASER]! & 0xffff_f000, regs[CBASER + 1]! & 0x000f_ffff);
    const bytes = ((regs[CBASER]! & 0xff) + 1) * 4096;
    let at = regs[CREADR]! & OFFSET_MASK;
    if (at >= bytes || (regs[CWRITER]! & OFFSET_MASK) >= bytes) {
      this.#unpredictable('CWRITER or CREADR is beyond the end of the queue');
      return;
    }
    this.#running = true;
    // CWRITER is looked at again after each batch: an interrupt that a command raised may have posted more.
    for (let end = regs[CWRITER]! & OFFSET_MASK; at !== end && end < bytes; end = regs[CWRITER]! & OFFSET_MASK) {
      const count = Math.min(BATCH, ((end > at ? end : bytes) - at) / COMMAND_BYTES);
      this.#fetch(base + at, count);
      if (!this.#take(count, at, bytes)) break;
      at = (at + count * COMMAND_BYTES) % bytes;
    }
    this.#running = false;
  }

  /** Executes what was fetched, from offset `at` on. @returns false if the queue stalls */
  #take(count: number, at: number, bytes: number): boolean {
    const regs = this.#regs;
    for (let n = 0; n < count; n += 1) {
      if (this.#executor.command(this.#commands[n]!) === 'stall') {
        regs[CREADR] = (regs[CREADR]! | STALLED) >>> 0;
        return false;
      }
      const next = at + (n + 1) * COMMAND_BYTES;
      regs[CREADR] = ((regs[CREADR]! & ~OFFSET_MASK) | (next === bytes ? 0 : next)) >>> 0;
    }
    return true;
  }

  /** Commands up to CWRITER are software's no more: they are read together. Each that is not in RAM is zeros. */
  #fetch(address: number, count: number): void {
    if (readWords(this.#memory, address, this.#words, count * COMMAND_WORDS)) return;
    for (let n = 0; n < count; n += 1) {
      if (!readWords(this.#memory, address + n * COMMAND_BYTES, this.#commands[n]!, COMMAND_WORDS)) this.#commands[n]!.fill(0);
    }
  }
}
