/** Features: what Set Features sets, and what is kept over a reset. Reference: NVM Express Base 1.4, 5.14.1 and 5.21.1. */
import { NVME_FEATURE, NVME_SELECT } from './opcodes.ts';
import type { StateReader, StateWriter } from './state-record.ts';

const UNDER = 0x0c;
const WORDS = 0x10;
/** Capabilities of a feature, figure 178. */
const SAVEABLE = 1;
const CHANGEABLE = 4;
/** Bits of each that are kept; others read 0. */
const MASKS: ReadonlyMap<number, number> = new Map<number, number>([
  [NVME_FEATURE.ARBITRATION, 0xffff_ff07],
  [NVME_FEATURE.POWER_MANAGEMENT, 0x1f],
  [NVME_FEATURE.TEMPERATURE_THRESHOLD, 0xffff],
  [NVME_FEATURE.ERROR_RECOVERY, 0xffff],
  [NVME_FEATURE.VOLATILE_WRITE_CACHE, 1],
  [NVME_FEATURE.NUMBER_OF_QUEUES, 0xffff_ffff],
  [NVME_FEATURE.INTERRUPT_COALESCING, 0xffff],
  [NVME_FEATURE.INTERRUPT_VECTOR, 1],
  [NVME_FEATURE.WRITE_ATOMICITY, 1],
  [NVME_FEATURE.ASYNC_EVENT, 0x1ff],
]);
const NOT_SAVED: ReadonlySet<number> = new Set<number>([NVME_FEATURE.POWER_MANAGEMENT, NVME_FEATURE.NUMBER_OF_QUEUES, NVME_FEATURE.INTERRUPT_VECTOR]);

/** Current and saved values. @internal */
export class Features {
  readonly #default = new Uint32Array(WORDS);
  readonly #saved = new Uint32Array(WORDS);
  readonly #current = new Uint32Array(WORDS);
  /** Of each vector: 1 where coalescing is off. */
  readonly #vectors: Uint8Array;

  /** @param ioQueues of each kind @param vectors of MSI-X */
  constructor(ioQueues: number, vectors: number) {
    this.#default[NVME_FEATURE.TEMPERATURE_THRESHOLD] = 343;
    this.#default[NVME_FEATURE.VOLATILE_WRITE_CACHE] = 1;
    this.#default[NVME_FEATURE.NUMBER_OF_QUEUES] = (ioQueues - 1) * 0x1_0001;
    this.#saved.set(this.#default);
    this.#current.set(this.#default);
    this.#vectors = new Uint8Array(vectors);
  }

  /** A controller level reset: saved values are current again. */
  reset(): void {
    this.#current.set(this.#saved);
    this.#vectors.fill(0);
  }

  /** Whether it is modelled. @param feature NVME_FEATURE, or another id */
  has(feature: number): boolean {
    return MASKS.has(feature);
  }

  /** Figure 178: whether it can be saved and changed. @param feature NVME_FEATURE */
  capabilities(feature: number): number {
    return this.isSaveable(feature) ? SAVEABLE | CHANGEABLE : CHANGEABLE;
  }

  /** Whether Set Features may save it. @param feature NVME_FEATURE */
  isSaveable(feature: number): boolean {
    return !NOT_SAVED.has(feature);
  }

  /** What holds now, 32 bits. @param feature NVME_FEATURE */
  current(feature: number): number {
    return this.#current[feature]!;
  }

  /** The temperature, in kelvin, at or below which a warning is given. */
  get underTemperature(): number {
    return this.#current[UNDER]!;
  }

  /** Queues that the driver may make, of each kind: submission queues, or completion queues. */
  allotted(completions: boolean): number {
    const value = this.#current[NVME_FEATURE.NUMBER_OF_QUEUES]!;
    return (completions ? value >>> 16 : value & 0xffff) + 1;
  }

  /** Whether a vector is one that INTERRUPT_VECTOR can be about. @param vector 16 bits */
  hasVector(vector: number): boolean {
    return vector < this.#vectors.length;
  }

  /** One of its values. @param feature NVME_FEATURE @param select NVME_SELECT @param argument dword 11 of the command: a vector, or a threshold */
  get(feature: number, select: number, argument: number): number {
    if (feature === NVME_FEATURE.INTERRUPT_VECTOR) {
      const vector = argument & 0xffff;
      return vector | (select === NVME_SELECT.CURRENT ? this.#vectors[vector]! << 16 : 0);
    }
    const values = select === NVME_SELECT.CURRENT ? this.#current : select === NVME_SELECT.SAVED ? this.#saved : this.#default;
    return values[this.#place(feature, argument)]!;
  }

  /** Sets it. @param feature NVME_FEATURE @param argument dword 11 of the command @param save it is kept over resets */
  set(feature: number, argument: number, save: boolean): void {
    if (feature === NVME_FEATURE.INTERRUPT_VECTOR) {
      this.#vectors[argument & 0xffff] = (argument >>> 16) & 1;
      return;
    }
    const place = this.#place(feature, argument);
    const value = (argument & MASKS.get(feature)!) >>> 0;
    this.#current[place] = value;
    if (save) this.#saved[place] = value;
  }

  /** Its part of a state. */
  save(into: StateWriter): void {
    into.words(this.#saved);
    into.words(this.#current);
    into.run(this.#vectors);
  }

  /** Of a state; undefined where it is none. @param like one of a controller of the same kind */
  static load(from: StateReader, like: Features): Features | undefined {
    const most = like.#default[NVME_FEATURE.NUMBER_OF_QUEUES]!;
    const made = new Features((most & 0xffff) + 1, like.#vectors.length);
    for (const values of [made.#saved, made.#current]) {
      for (let n = 0; n < WORDS; n += 1) {
        values[n] = from.word();
        const mask = MASKS.get(n === UNDER ? NVME_FEATURE.TEMPERATURE_THRESHOLD : n) ?? 0;
        if ((values[n]! & ~mask) !== 0) return undefined;
      }
      const queues = values[NVME_FEATURE.NUMBER_OF_QUEUES]!;
      if ((queues & 0xffff) > (most & 0xffff) || queues >>> 16 > most >>> 16 || values[NVME_FEATURE.POWER_MANAGEMENT] !== 0) return undefined;
    }
    made.#vectors.set(from.run(made.#vectors.length));
    return made.#vectors.every((value) => value <= 1) ? made : undefined;
  }

  /** THSEL, bits 21:20 of dword 11, says which threshold. */
  #place(feature: number, argument: number): number {
    return feature === NVME_FEATURE.TEMPERATURE_THRESHOLD && ((argument >>> 20) & 3) === 1 ? UNDER : feature;
  }
}
