/**
 * How a VLPI or vSGI reaches its vPE: pending state, the redistributor where it is resident, and the doorbell.
 *
 * Reference: Arm IHI 0069, "Virtual LPIs", "Doorbells". GICv4.0: the ITS's vPE table has the VPT, and doorbells are per VLPI. GICv4.1:
 * the GIC knows the vPE, which has one default doorbell.
 */
import type { Trace } from '@vsim/vfio-core';
import { VLPI_PENDING } from './events.ts';
import type { VpeEntry } from './its-tables.ts';
import type { ItsLookup, Refusal } from './its-lookup.ts';
import { FIRST_LPI, SPURIOUS } from './pending-bits.ts';
import type { VpeContext } from './vpe.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const FIRST = FIRST_LPI;

/** Where the VLPIs of a vPE go: an entry of the vPE table, with the GIC's own state of the vPE. */
export class VpeRoute {
  readonly vpeid: number;
  readonly rdbase: number;
  readonly vptAddress: number;
  readonly end: number;
  readonly vpe: VpeContext | undefined;

  constructor(vpeid: number, entry: VpeEntry, vpe: VpeContext | undefined) {
    this.vpeid = vpeid;
    this.rdbase = entry.rdbase;
    this.vptAddress = entry.vptAddress;
    // A VINTID has 24 bits.
    this.end = 1 << Math.min(entry.vptSize + 1, 24);
    this.vpe = vpe;
  }

  /** Whether the VPT has a bit for a virtual INTID. @param vintid any */
  has(vintid: number): boolean {
    return vintid >= FIRST && vintid < this.end;
  }
}

export class VlpiDelivery {
  readonly #lookup: ItsLookup;
  readonly #trace: Trace;

  constructor(lookup: ItsLookup) {
    this.#lookup = lookup;
    this.#trace = lookup.host.trace;
  }

  /** A VLPI becomes pending, or pending no more. @param doorbell GICv4.0's individual one @param vintid 8192 or more */
  deliver(route: VpeRoute, vintid: number, doorbell: number, pending: boolean): Refusal {
    if (!route.has(vintid)) return 'vintid beyond the vpt';
    if (!this.#lookup.v41) return this.#deliverV40(route, vintid, doorbell, pending);
    if (route.vpe === undefined) return 'vpe not mapped';
    if (pending) this.raise(route.vpe, vintid);
    else this.clear(route.vpe, vintid);
    return '';
  }

  #deliverV40(route: VpeRoute, vintid: number, doorbell: number, pending: boolean): Refusal {
    const target = this.#lookup.redistributor(route.rdbase);
    if (!pending) target.v40.clear(route.vptAddress, vintid);
    else if (target.v40.deliver(route.vpeid, route.vptAddress, vintid) && doorbell !== SPURIOUS) target.lpis.ring(doorbell, route.vptAddress);
    return '';
  }

  /** GICv4.1: a VLPI becomes pending, wherever the vPE is. @param vintid 8192 or more */
  raise(vpe: VpeContext, vintid: number): void {
    const { lpis, residency } = vpe;
    if (!lpis.set(vintid)) return;
    if (this.#trace.on) this.#tell(vpe, vintid);
    if (residency !== undefined) {
      // The guest's CPU sees the best one alone.
      if (lpis.best.intid === vintid) residency.vlpiCame(lpis.best);
    } else if (vpe.doorbellArmed && lpis.enabled(vintid)) this.#lookup.host.ringDefaultDoorbell(vpe);
  }

  /** GICv4.1: a VLPI is pending no more. @param vintid 8192 or more */
  clear({ lpis, residency }: VpeContext, vintid: number): void {
    const best = lpis.best.intid === vintid;
    if (lpis.clear(vintid) && best) residency?.refresh();
  }

  #tell({ vpeid }: VpeContext, vintid: number): void {
    this.#trace.emit(VLPI_PENDING, { vpe: vpeid, vintid });
  }

  /** GITS_SGIR of GICv4.1: a vSGI becomes pending. @param sgi 0 to 15 */
  sgi(vpe: VpeContext, sgi: number): void {
    if (!vpe.sgis.set(sgi)) return;
    if (vpe.residency !== undefined) vpe.residency.refresh();
    else if (vpe.doorbellArmed && vpe.sgis.enabled(sgi)) this.#lookup.host.ringDefaultDoorbell(vpe);
  }

  /** GICv4.1: the configuration of a vSGI changed: it may be deliverable now, or not any more. */
  sgiConfigured(vpe: VpeContext): void {
    if (vpe.residency !== undefined) vpe.residency.refresh();
    else if (vpe.doorbellArmed && vpe.somethingPending) this.#lookup.host.ringDefaultDoorbell(vpe);
  }
}
