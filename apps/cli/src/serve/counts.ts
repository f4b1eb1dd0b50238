/** What a served device has done, counted where the thread that serves it and the one that shows it both see it. */

/** Regions that are counted apart: those of a PCI function, and all behind them as one. */
const REGIONS = 10;
const NAMES = ['BAR 0', 'BAR 1', 'BAR 2', 'BAR 3', 'BAR 4', 'BAR 5', 'ROM', 'config', 'VGA', 'other'];
const READS = 0;
const WRITES = REGIONS;
const IRQS = 2 * REGIONS;
const DMA_READ = IRQS + 1;
const DMA_WRITTEN = IRQS + 2;
const RESETS = IRQS + 3;
const CLIENTS = IRQS + 4;
const WORDS = IRQS + 5;
const KIB = 1024;

export class Counts {
  /** Shared by the threads. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Float64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(8 * WORDS)) {
    this.buffer = buffer;
    this.#words = new Float64Array(buffer);
  }

  read(region: number): void {
    this.#words[READS + Math.min(region, REGIONS - 1)]! += 1;
  }

  write(region: number): void {
    this.#words[WRITES + Math.min(region, REGIONS - 1)]! += 1;
  }

  irq(): void {
    this.#words[IRQS]! += 1;
  }

  /** The device reads memory of the client. */
  dmaRead(bytes: number): void {
    this.#words[DMA_READ]! += bytes;
  }

  dmaWrite(bytes: number): void {
    this.#words[DMA_WRITTEN]! += bytes;
  }

  reset(): void {
    this.#words[RESETS]! += 1;
  }

  client(): void {
    this.#words[CLIENTS]! += 1;
  }

  /** All of it in a line: regions that were accessed, with reads and writes. */
  get line(): string {
    const words = this.#words;
    const regions = NAMES.flatMap((name, i) => ((words[READS + i] ?? 0) + (words[WRITES + i] ?? 0) === 0 ? [] : [`${name} ${words[READS + i]!}r ${words[WRITES + i]!}w`]));
    return [
      ...regions,
      `irqs ${words[IRQS]!}`,
      `DMA ${amount(words[DMA_READ]!)} read ${amount(words[DMA_WRITTEN]!)} written`,
      `resets ${words[RESETS]!}`,
      `clients ${words[CLIENTS]!}`,
    ].join(', ');
  }
}

function amount(bytes: number): string {
  if (bytes < KIB) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  return `${(bytes / KIB ** power).toFixed(1)} ${['', 'KiB', 'MiB', 'GiB', 'TiB'][power]!}`;
}
