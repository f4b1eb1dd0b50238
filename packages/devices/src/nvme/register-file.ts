/** The registers in front of the doorbells, and what writing them does. Reference: NVM Express Base 1.4, 3.1 and 7.6. */
import type { NvmeCore } from './core.ts';
import type { Interrupts } from './interrupts.ts';
import { flushAll } from './io-commands.ts';
import { CompletionQueue, SubmissionQueue } from './queues.ts';
import {
  NVME_AQA_WRITABLE,
  NVME_CC_AMS,
  NVME_CC_CSS,
  NVME_CC_EN,
  NVME_CC_MPS,
  NVME_CC_SHN,
  NVME_CC_WRITABLE,
  NVME_CSTS_CFS,
  NVME_CSTS_RDY,
  NVME_CSTS_SHST,
  NVME_CSTS_SHST_COMPLETE,
  NVME_MPSMAX,
  NVME_PAGE,
  NVME_REGISTER,
  NVME_VERSION,
  capHigh,
  capLow,
} from './registers.ts';
import { pageOf, type NvmeRegisters } from './state.ts';

/** Fields of CC that stay as they are while it is enabled. */
const FIXED = NVME_CC_CSS | NVME_CC_MPS | NVME_CC_AMS;

/** Registers of one controller. @internal */
export class RegisterFile {
  readonly values: NvmeRegisters = { cc: 0, csts: 0, aqa: 0, asqLo: 0, asqHi: 0, acqLo: 0, acqHi: 0 };
  readonly #core: NvmeCore;
  readonly #interrupts: Interrupts;
  readonly #fatal: (why: string) => void;

  /** @param fatal is told why the controller cannot be enabled */
  constructor(core: NvmeCore, interrupts: Interrupts, fatal: (why: string) => void) {
    this.#core = core;
    this.#interrupts = interrupts;
    this.#fatal = fatal;
  }

  /** Whether commands are taken: enabled, not given up, and not shut down. */
  get takesCommands(): boolean {
    return (this.values.csts & (NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST)) === NVME_CSTS_RDY;
  }

  /** A register's dword. @param offset bytes, a multiple of 4 */
  read(offset: number): number {
    const { limits } = this.#core;
    switch (offset) {
      case NVME_REGISTER.CAP:
        return capLow(limits.maxEntries);
      case NVME_REGISTER.CAP + 4:
        return capHigh(limits.doorbellStride);
      case NVME_REGISTER.VS:
        return NVME_VERSION;
      case NVME_REGISTER.INTMS:
      case NVME_REGISTER.INTMC:
        return this.#interrupts.mask >>> 0;
      case NVME_REGISTER.CC:
        return this.values.cc;
      case NVME_REGISTER.CSTS:
        return this.values.csts;
      case NVME_REGISTER.AQA:
        return this.values.aqa;
      case NVME_REGISTER.ASQ:
        return this.values.asqLo;
      case NVME_REGISTER.ASQ + 4:
        return this.values.asqHi;
      case NVME_REGISTER.ACQ:
        return this.values.acqLo;
      case NVME_REGISTER.ACQ + 4:
        return this.values.acqHi;
      default:
        return 0;
    }
  }

  /** Writes a dword. @param offset bytes, a multiple of 4 @param value 32 bits @returns whether interrupts were masked or unmasked */
  write(offset: number, value: number): boolean {
    switch (offset) {
      case NVME_REGISTER.INTMS:
        this.#interrupts.mask |= value;
        return true;
      case NVME_REGISTER.INTMC:
        this.#interrupts.mask &= ~value;
        return true;
      case NVME_REGISTER.CC:
        this.#configure(value & NVME_CC_WRITABLE);
        return false;
      default:
        // The admin queues cannot be moved while they are in use.
        if ((this.values.cc & NVME_CC_EN) === 0) this.#writeQueues(offset, value);
        return false;
    }
  }

  /** To their defaults. */
  reset(): void {
    Object.assign(this.values, { cc: 0, csts: 0, aqa: 0, asqLo: 0, asqHi: 0, acqLo: 0, acqHi: 0 });
  }

  #writeQueues(offset: number, value: number): void {
    if (offset === NVME_REGISTER.AQA) this.values.aqa = value & NVME_AQA_WRITABLE;
    else if (offset === NVME_REGISTER.ASQ) this.values.asqLo = value;
    else if (offset === NVME_REGISTER.ASQ + 4) this.values.asqHi = value;
    else if (offset === NVME_REGISTER.ACQ) this.values.acqLo = value;
    else if (offset === NVME_REGISTER.ACQ + 4) this.values.acqHi = value;
  }

  #configure(written: number): void {
    const { values } = this;
    const before = values.cc;
    const next = (before & written & NVME_CC_EN) === 0 ? written : (written & ~FIXED) | (before & FIXED);
    values.cc = next;
    if ((before & NVME_CC_EN) !== 0 && (next & NVME_CC_EN) === 0) {
      // A controller reset keeps AQA, ASQ and ACQ, 7.3.2.
      this.#core.reset();
      this.#interrupts.reset();
      values.csts = 0;
    }
    if ((before & NVME_CC_EN) === 0 && (next & NVME_CC_EN) !== 0) this.#enable();
    if ((before & NVME_CC_SHN) !== 0 || (next & NVME_CC_SHN) === 0) return;
    flushAll(this.#core);
    values.csts |= NVME_CSTS_SHST_COMPLETE;
  }

  #enable(): void {
    const { values } = this;
    const why = this.#wrong();
    if (why !== undefined) {
      values.csts = NVME_CSTS_CFS;
      this.#fatal(why);
      return;
    }
    values.csts = NVME_CSTS_RDY;
    const core = this.#core;
    core.page = pageOf(values.cc);
    const completions = new CompletionQueue(0, values.acqLo, values.acqHi, (values.aqa >>> 16) + 1, 0, true);
    core.queues.completions[0] = completions;
    core.queues.submissions[0] = new SubmissionQueue(0, values.asqLo, values.asqHi, (values.aqa & 0xfff) + 1, completions);
  }

  /** Why it cannot be enabled. */
  #wrong(): string | undefined {
    const { cc, aqa, asqLo, acqLo } = this.values;
    if ((cc & NVME_CC_CSS) !== 0) return `CC.CSS ${(cc & NVME_CC_CSS) >>> 4} is no command set that CAP has`;
    if ((cc & NVME_CC_AMS) !== 0) return `CC.AMS ${(cc & NVME_CC_AMS) >>> 11} is no arbitration that CAP has`;
    if (pageOf(cc) > NVME_PAGE << NVME_MPSMAX) return `CC.MPS asks for pages of ${pageOf(cc)} bytes`;
    if ((aqa & 0xfff) === 0 || aqa >>> 16 === 0) return 'AQA: an admin queue of one entry';
    if (asqLo % pageOf(cc) !== 0 || acqLo % pageOf(cc) !== 0) return 'ASQ or ACQ is not aligned to a memory page';
    return undefined;
  }
}
