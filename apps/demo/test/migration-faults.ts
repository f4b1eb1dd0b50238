/**
 * What goes wrong in a random migration: one fault, as plain data, armed on the two VMs; where it shows, and whether it has fired. For
 * tests only.
 */
import { constant, decodeStream, EFAULT, EINVAL, EIO, encodeStream, MIG_STATE, type MigState, type Phase, type Random } from '@vsim/vfio-core';
import { COMMIT, type PhaseName, PHASES, type VirtualMachine } from '@vsim/vmm';
import { pick } from '../../../testing/fuzz.ts';
import type { ArmHost } from '../src/hosts/arm-host.ts';
import { BookTicker } from './device-book.ts';

export type Fault =
  | { readonly kind: 'none' }
  /** A phase fails: before it has done anything, or when it has done all of it. */
  | { readonly kind: 'before' | 'after'; readonly phase: PhaseName }
  /** A page of guest memory is gone when KVM writes for the `writes`th time in a phase. */
  | { readonly kind: 'memory'; readonly phase: PhaseName; readonly writes: number }
  /** A device's firmware refuses an arc of its state machine. */
  | { readonly kind: 'arc'; readonly arc: (typeof ARCS)[number]; readonly device: number }
  /** A device's data fd ends early. */
  | { readonly kind: 'cut'; readonly device: number; readonly bytes: number }
  /** A section has another value, under a good checksum. */
  | { readonly kind: 'section'; readonly value: (typeof VALUES)[number] }
  /** A byte is flipped on the wire. */
  | { readonly kind: 'wire'; readonly at: number }
  /** The destination is another machine than the source. */
  | { readonly kind: 'machine'; readonly more: 'devices' | 'vcpus' };

export const KINDS = ['before', 'after', 'memory', 'arc', 'cut', 'section', 'wire', 'machine'] as const;

/** The arcs of a migration, on which side, and the phase that takes them. */
const ARCS: readonly (readonly [side: 'source' | 'destination', from: MigState, to: MigState, phase: PhaseName])[] = [
  ['source', MIG_STATE.RUNNING, MIG_STATE.STOP, 'stop-devices'],
  ['source', MIG_STATE.STOP, MIG_STATE.STOP_COPY, 'save-devices'],
  ['source', MIG_STATE.STOP_COPY, MIG_STATE.STOP, 'save-devices'],
  ['destination', MIG_STATE.RUNNING, MIG_STATE.STOP, 'restore-devices'],
  ['destination', MIG_STATE.STOP, MIG_STATE.RESUMING, 'restore-devices'],
  ['destination', MIG_STATE.RESUMING, MIG_STATE.STOP, 'restore-devices'],
  ['destination', MIG_STATE.STOP, MIG_STATE.RUNNING, 'run'],
];

/** 32-bit words of sections that a restore refuses: section, offset, value, and where with what. */
const VALUES: readonly (readonly [section: string, at: number, value: number, phase: PhaseName, error: number])[] = [
  ['its', 0, 0xffff_ffff, 'restore-its', EINVAL], // GITS_IIDR, a revision that there is not
  ['its', 32, 0xffff_ffff, 'restore-its-tables', EFAULT], // GITS_BASER0 outside of memory
  ['its', 44, 0, 'restore-its-tables', EINVAL], // GITS_BASER1 without its valid bit
  ['vgic', 208, 0xffff_ffff, 'restore-vgic', EINVAL], // ICC_CTLR_EL1 of another CPU
  ['vgic', 212, 0, 'restore-vgic', EINVAL], // ICC_SRE_EL1 of another CPU
  ['msix', 4, 0xffff_ffff, 'send', EIO], // a doorbell that is no address
];

/** A save or a restore of one to three devices writes about as often, and more often. */
const FEW_WRITES = 12;

export function drawFault(random: Random): Fault {
  const at = random.below(100);
  if (at < 20) return { kind: 'none' };
  if (at < 44) return { kind: 'before', phase: pick(random, PHASES.slice(0, PHASES.indexOf(COMMIT) + 1)) };
  if (at < 64) return { kind: 'after', phase: pick(random, PHASES) };
  if (at < 74) return { kind: 'memory', phase: pick(random, ['save-its-tables', 'save-pending-tables', 'restore-its-tables']), writes: random.below(FEW_WRITES) };
  if (at < 86) return { kind: 'arc', arc: pick(random, ARCS), device: random.below(3) };
  if (at < 89) return { kind: 'cut', device: random.below(3), bytes: 1 + random.below(44) };
  if (at < 95) return { kind: 'section', value: pick(random, VALUES) };
  if (at < 98) return { kind: 'wire', at: random.uint32() };
  return { kind: 'machine', more: pick(random, ['devices', 'vcpus']) };
}

/** One of each. */
export const FAULTS: readonly Fault[] = [
  { kind: 'none' },
  ...PHASES.slice(0, PHASES.indexOf(COMMIT) + 1).map((phase) => ({ kind: 'before', phase }) as const),
  ...PHASES.map((phase) => ({ kind: 'after', phase }) as const),
  ...(['save-its-tables', 'save-pending-tables', 'restore-its-tables'] as const).map((phase) => ({ kind: 'memory', phase, writes: 1 }) as const),
  ...ARCS.map((arc) => ({ kind: 'arc', arc, device: 1 }) as const),
  { kind: 'cut', device: 1, bytes: 1 },
  ...VALUES.map((value) => ({ kind: 'section', value }) as const),
  { kind: 'wire', at: 100 },
  { kind: 'machine', more: 'devices' },
  { kind: 'machine', more: 'vcpus' },
];

/** Where and with what a migration ended. */
export interface End {
  readonly phase: string;
  readonly error: number;
}

/** A fault, armed. */
export class ArmedFault {
  readonly fault: Fault;
  readonly #ends: Readonly<Record<'source' | 'destination', VirtualMachine<ArmHost>>>;
  #fired = false;

  constructor(fault: Fault, source: VirtualMachine<ArmHost>, destination: VirtualMachine<ArmHost>) {
    this.fault = fault;
    this.#ends = { source, destination };
    if (fault.kind === 'arc') {
      const [side, from, to] = fault.arc;
      this.#ticker(side, fault.device).arc = { from, to, error: -EIO };
    }
    if (fault.kind === 'cut') this.#ticker('source', fault.device).cut = fault.bytes;
  }

  /** The migration comes to a phase. */
  progress(phase: string): void {
    const { fault } = this;
    const { memory } = this.#ends[phase.startsWith('restore') ? 'destination' : 'source'].kvm;
    this.#restore();
    if (fault.kind === 'memory' && phase === fault.phase) memory.failWriteAfter(fault.writes);
  }

  /** Phases as they are run. */
  order(phases: readonly Phase[]): readonly Phase[] {
    const { fault } = this;
    if (fault.kind !== 'before' && fault.kind !== 'after') return phases;
    const fail = (): number => {
      this.#fired = true;
      return -EIO;
    };
    return phases.map((phase) => {
      if (phase.name !== fault.phase) return phase;
      if (fault.kind === 'before') return { ...phase, run: () => constant(fail()) };
      return {
        ...phase,
        *run() {
          const error = yield* phase.run();
          return error < 0 ? error : fail();
        },
      };
    });
  }

  /** What the wire makes of the state message. */
  transport(message: Uint8Array): Uint8Array {
    const { fault } = this;
    if (fault.kind === 'machine') this.#fired = true;
    if (fault.kind === 'wire') {
      this.#fired = true;
      const out = message.slice();
      out[fault.at % out.length]! ^= 0xff;
      return out;
    }
    if (fault.kind !== 'section') return message;
    this.#fired = true;
    const [section, at, value] = fault.value;
    return encodeStream(decodeStream(message).map((part) => {
      if (!part.name.startsWith(section)) return part;
      const data = part.data.slice();
      new DataView(data.buffer).setUint32(at, value, true);
      return { ...part, data };
    }));
  }

  /** The migration has ended. @returns where it should have, of the fault alone; undefined if the fault did not fire */
  ended(end: End | undefined): End | undefined {
    const { fault } = this;
    this.#restore();
    switch (fault.kind) {
      case 'none':
        return undefined;
      case 'before':
      case 'after':
        return this.#fired ? { phase: fault.phase, error: -EIO } : undefined;
      case 'memory': {
        // Not every save writes as often: only the end tells.
        const due = { phase: fault.phase, error: -EFAULT };
        return end?.phase === due.phase && end.error === due.error ? due : undefined;
      }
      case 'arc': {
        const [side, , , phase] = fault.arc;
        return this.#ticker(side, fault.device).arc === undefined ? { phase, error: -EIO } : undefined;
      }
      case 'cut':
        return this.#ticker('source', fault.device).cut === 0 ? { phase: 'restore-devices', error: -EINVAL } : undefined;
      case 'section': {
        const [, , , phase, error] = fault.value;
        return this.#fired ? { phase, error: -error } : undefined;
      }
      case 'wire':
      case 'machine':
        return this.#fired ? { phase: 'send', error: -EIO } : undefined;
    }
  }

  /** What did not fire must not fire later. */
  disarm(): void {
    for (const { host } of Object.values(this.#ends)) {
      for (const ticker of host.tickers) {
        if (!(ticker instanceof BookTicker)) continue;
        ticker.arc = undefined;
        ticker.cut = 0;
      }
    }
  }

  #restore(): void {
    for (const { kvm } of Object.values(this.#ends)) kvm.memory.failWriteAfter(undefined);
  }

  #ticker(side: 'source' | 'destination', device: number): BookTicker {
    const { tickers } = this.#ends[side].host;
    const ticker = tickers[device % tickers.length];
    if (!(ticker instanceof BookTicker)) throw new Error('a ticker of another kind');
    return ticker;
  }
}
