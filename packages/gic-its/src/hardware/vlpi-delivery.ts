/**
 * How a VLPI or vSGI reaches its vPE: pending state, the redistributor where it is resident, and the doorbell.
 *
 * Reference: Arm IHI 0069, "Virtual LPIs", "Doorbells". GICv4.0: the ITS's vPE table has the VPT, and doorbells are per VLPI. GICv4.1:
 * the GIC knows the vPE, which has one default doorbell.
 */
import { VLPI_PENDING } from './events.ts';
import type { VpeEntry } from './its-tables.ts';
import type { ItsLookup, Refusal } from './its-lookup.ts';
import { FIRST_LPI, SPURIOUS } from './pending-bits.ts';
import type { VpeContext } from './vpe.ts';

/** Where the VLPIs of a vPE go: an entry of the vPE table, with the GIC's own state of the vPE. */
export class VpeRoute {
  readonly rdbase: number;
  readonly vptAddress: number;
  readonly end: number;
  readonly vpe: VpeContext | undefined;

  constructor(entry: VpeEntry, vpe: VpeContext | undefined) {
    this.rdbase = entry.rdbase;
    this.vptAddress = entry.vptAddress;
    this.end = 2 ** (entry.vptSize + 1);
    this.vpe = vpe;
  }
}

export class VlpiDelivery {
  readonly #lookup: ItsLookup;

  constructor(lookup: ItsLookup) {
    this.#lookup = lookup;
  }

  /** A VLPI becomes pending, or pending no more. @param doorbell GICv4.0's individual one */
  deliver(route: VpeRoute, vintid: number, doorbell: number, pending: boolean): Refusal {
    if (vintid < FIRST_LPI || vintid >= route.end) return 'vintid beyond the vpt';
    if (this.#lookup.v41) {
      if (route.vpe === undefined) return 'vpe not mapped';
      this.change(route.vpe, vintid, pending);
      return '';
    }
    const target = this.#lookup.redistributor(route.rdbase);
    if (!pending) target.v40.clear(route.vptAddress, vintid);
    else if (target.v40.deliver(route.vptAddress, vintid) && doorbell !== SPURIOUS) target.lpis.ring(doorbell, route.vptAddress);
    return '';
  }

  /** GICv4.1: a pending bit changes, wherever the vPE is. */
  change(vpe: VpeContext, vintid: number, pending: boolean): void {
    const { trace, redistributors } = this.#lookup.host;
    const { lpis } = vpe;
    const best = lpis.best.intid === vintid;
    if (!(pending ? lpis.set(vintid) : lpis.clear(vintid))) return;
    if (pending && trace.on) trace.emit(VLPI_PENDING, { vpe: vpe.vpeid, vintid });
    if (vpe.residentOn >= 0) {
      // The guest's CPU sees the best one alone.
      if (best || lpis.best.intid === vintid) redistributors[vpe.residentOn]!.v41.refresh();
    } else if (pending && vpe.doorbellArmed && lpis.enabled(vintid)) this.#lookup.host.ringDefaultDoorbell(vpe);
  }

  /** GICv4.1: GITS_SGIR. */
  sgi(vpe: VpeContext, sgi: number): void {
    if (!vpe.sgis.set(sgi)) return;
    if (vpe.residentOn >= 0) this.#lookup.redistributor(vpe.residentOn).v41.refresh();
    else if (vpe.doorbellArmed && vpe.sgis.enabled(sgi)) this.#lookup.host.ringDefaultDoorbell(vpe);
  }

  /** GICv4.1: the configuration of a vSGI changed: it may be deliverable now, or not any more. */
  sgiConfigured(vpe: VpeContext): void {
    if (vpe.residentOn >= 0) this.#lookup.redistributor(vpe.residentOn).v41.refresh();
    else if (vpe.doorbellArmed && vpe.somethingPending) this.#lookup.host.ringDefaultDoorbell(vpe);
  }
}
