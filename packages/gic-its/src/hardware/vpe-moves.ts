/**
 * VMOVP over the ITSs of a GIC.
 *
 * Reference: Arm IHI 0069, VMOVP, GITS_TYPER.VMOVP, GITS_CTLR.ITS_Number. With VMOVP = 1 one command moves the vPE for every ITS; with 0
 * each ITS of the list must take one with the same sequence number, and the vPE moves when the last has.
 */
import type { Trace } from '@vsim/vfio-core';
import type { ImplementationChoices } from './choices.ts';
import { UNPREDICTABLE } from './events.ts';
import type { Its } from './its.ts';
import type { Refusal, VpeMove } from './its-lookup.ts';

interface Unfinished {
  readonly move: VpeMove;
  /** ITSs that have taken their command. */
  taken: number;
}

export class VpeMoves {
  readonly #itss: readonly Its[];
  readonly #choices: ImplementationChoices;
  readonly #trace: Trace;
  /** By sequence number: at most 65536. */
  readonly #unfinished = new Map<number, Unfinished>();

  constructor(itss: readonly Its[], choices: ImplementationChoices, trace: Trace) {
    this.#itss = itss;
    this.#choices = choices;
    this.#trace = trace;
  }

  /** A reset: no move is under way. */
  reset(): void {
    this.#unfinished.clear();
  }

  /** One ITS takes a VMOVP. */
  take(move: VpeMove): Refusal {
    if (this.#choices.vmovpOnce) {
      for (const its of this.#itss) its.translation.virtual.applyMove(move);
      return '';
    }
    const own = 1 << move.its;
    if ((move.list & own) === 0) {
      this.#unpredictable(`VMOVP of vpe ${move.vpeid} on its ${move.its}, which is not in its list`);
      return 'not in the its list';
    }
    let unfinished = this.#unfinished.get(move.sequence);
    if (unfinished !== undefined && !same(unfinished.move, move)) {
      this.#unpredictable(`VMOVP of vpe ${move.vpeid} with sequence number ${move.sequence}, which another move has`);
      unfinished = undefined;
    }
    unfinished ??= { move, taken: 0 };
    unfinished.taken |= own;
    if (unfinished.taken !== move.list) {
      this.#unfinished.set(move.sequence, unfinished);
      return '';
    }
    this.#unfinished.delete(move.sequence);
    this.#finish(move);
    return '';
  }

  #finish(move: VpeMove): void {
    for (const its of this.#itss) {
      const listed = (move.list & (1 << its.index)) !== 0;
      if (listed !== its.translation.virtual.maps(move.vpeid)) {
        this.#unpredictable(`VMOVP of vpe ${move.vpeid} with a list that has its ${its.index} wrong`);
      }
      if (listed) its.translation.virtual.applyMove(move);
    }
  }

  #unpredictable(what: string): void {
    if (this.#trace.on) this.#trace.emit(UNPREDICTABLE, { what });
  }
}

function same(a: VpeMove, b: VpeMove): boolean {
  return a.vpeid === b.vpeid && a.rdbase === b.rdbase && a.list === b.list;
}
