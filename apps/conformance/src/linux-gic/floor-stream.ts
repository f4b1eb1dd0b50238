/**
 * What the model's kernel floors do to the GIC, written down as a recording has it: ITS commands with all fields, stores to GICR_VPENDBASER,
 * VPROPBASER, INVLPIR, INVALLR, VSGIR and GITS_SGIR, what the hardware finds wrong, and maintenance interrupts.
 */
import { toBigint, type Host, type TraceEvent } from '@vsim/vfio-core';
import { LINE, type Gic } from '@vsim/gic-its';
import { commandText, Names, redistributorText, sgiText } from './floor-names.ts';

const GITS_SGIR = 0x2_0020;
const FRAMES = 0x4_0000;

/** A line of a stream: an access begins with two spaces. */
export class FloorStream {
  readonly names: Names = new Names();
  readonly #gic: Gic;
  #lines: string[] = [];
  /** Called before a store of GICR_VSGIR, where the thread may be preempted. */
  beforeVsgir: (() => void) | undefined;
  /** Called after each line. */
  onLine: ((line: string) => void) | undefined;

  constructor(host: Host, gic: Gic) {
    this.#gic = gic;
    const { memory } = host;
    gic.redistributors.forEach(({ cpu }, n) => this.#watch(cpu, n));
    host.trace.listen((event) => this.#heard(event));
    const write32 = memory.write32.bind(memory);
    const write64 = memory.write64.bind(memory);
    memory.write32 = (address, value, requester): void => {
      this.#stored(address, BigInt(value >>> 0));
      write32(address, value, requester);
    };
    memory.write64 = (address, lo, hi, requester): void => {
      this.#stored(address, toBigint(lo >>> 0, hi >>> 0));
      write64(address, lo, hi, requester);
    };
  }

  line(text: string): void {
    this.#lines.push(text);
    this.onLine?.(text);
  }

  /** What was written down since the last call. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  /** The maintenance interrupt of a CPU, before the host hears of it. */
  #watch(cpu: Gic['redistributors'][number]['cpu'], n: number): void {
    const host = cpu.onLines;
    let level = 0;
    cpu.onLines = (levels): void => {
      const now = (levels & LINE.MAINTENANCE) === 0 ? 0 : 1;
      if (now !== level) this.line(`  (maintenance cpu ${n} ${now})`);
      level = now;
      host?.(levels);
    };
  }

  #heard({ id, fields, severity, text }: TraceEvent): void {
    if (id === 'gic/command') this.line(`  ${commandText(wordsOf(fields), this.names)}`);
    else if (id.startsWith('gic/') && severity !== 'info') this.line(`  !! ${text}`);
  }

  #stored(address: number, value: bigint): void {
    if (this.#gic.its.some(({ base }) => address === base + GITS_SGIR)) {
      this.line(`  ${sgiText(value, this.names)}`);
      return;
    }
    const cpu = this.#gic.redistributorBase.findIndex((base) => address >= base && address < base + FRAMES);
    const base = this.#gic.redistributorBase[cpu];
    if (base === undefined) return;
    const text = redistributorText(address - base, value, this.#gic.version, this.names);
    if (text === undefined) return;
    if (text.startsWith('VSGIR')) this.beforeVsgir?.();
    this.line(`  GICR${cpu} ${text}`);
  }
}

function wordsOf(fields: object): readonly bigint[] {
  const words: unknown = 'words' in fields ? fields.words : undefined;
  return Array.isArray(words) ? words.filter((word): word is bigint => typeof word === 'bigint') : [];
}
