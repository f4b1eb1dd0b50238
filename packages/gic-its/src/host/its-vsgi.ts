import { EINVAL, ENXIO } from '@vsim/vfio-core';
import { encode, GICR, OPCODE, type VsgiFields } from '../hardware/index.ts';
import { IrqDescriptor } from './irq-descriptor.ts';
import type { ItsDriver } from './its-driver.ts';
import type { ItsVpe } from './its-vpe.ts';

/** GICR_VSGIPENDR.Busy. */
const BUSY = 0x8000_0000;

/**
 * The SGIs of a vPE, delivered by the GIC: GICv4.1.
 *
 * Kernel: its_sgi_irq_chip and its_sgi_set_vcpu_affinity() of irq-gic-v3-its.c. Configuration goes by VSGI commands, an SGI is raised by
 * a store to GITS_SGIR, and what is pending is asked of the redistributor where the vPE is.
 */
export class ItsVsgis {
  readonly #driver: ItsDriver;
  readonly #vpe: ItsVpe;
  readonly #lines: readonly IrqDescriptor[] = Array.from({ length: 16 }, () => new IrqDescriptor());
  readonly #config: VsgiFields[] = Array.from({ length: 16 }, () => ({ enabled: false, group1: false, priority: 0 }));

  /** @internal */
  constructor(driver: ItsDriver, vpe: ItsVpe) {
    this.#driver = driver;
    this.#vpe = vpe;
  }

  /** Activation: the GIC gets the configuration. @param sgi 0 to 15 @param fields another one than it has */
  activate(sgi: number, fields: VsgiFields = this.#config[sgi]!): void {
    this.#config[sgi] = { ...fields, priority: fields.priority & 0xf0 };
    this.#send(sgi, false);
  }

  /** Deactivation: disabled, then cleared. One command cannot do both. @param sgi 0 to 15 */
  deactivate(sgi: number): void {
    this.#config[sgi] = { ...this.#config[sgi]!, enabled: false };
    this.#send(sgi, false);
    this.#send(sgi, true);
  }

  /**
   * enable_irq() until it is enabled, or disable_irq_nosync(). Activation leaves the interrupt disabled, whatever the GIC was told: the
   * first disable of one that the guest had enabled before goes no further than a count, and the SGI is delivered all the same.
   *
   * @param sgi 0 to 15
   */
  setEnabled(sgi: number, enabled: boolean): void {
    const line = this.#lines[sgi]!;
    if (!(enabled ? line.enable() : line.disable())) return;
    this.#config[sgi] = { ...this.#config[sgi]!, enabled };
    this.#send(sgi, false);
  }

  /** PROP_UPDATE_VSGI. @param sgi 0 to 15 @param priority cut to its upper four bits */
  update(sgi: number, priority: number, group1: boolean): void {
    this.#config[sgi] = { ...this.#config[sgi]!, priority: priority & 0xf0, group1 };
    this.#send(sgi, false);
  }

  /**
   * irq_set_irqchip_state(IRQCHIP_STATE_PENDING): GITS_SGIR, or a VSGI command that clears.
   *
   * @param sgi 0 to 15
   * @returns 0, or -EINVAL without an ITS that has vSGIs
   */
  setPending(sgi: number, pending: boolean): number {
    const node = this.#driver.v4Nodes.find(({ isV41 }) => isV41);
    if (node === undefined) return -EINVAL;
    if (pending) node.raiseSgi(this.#vpe.vpeid, sgi);
    else this.#send(sgi, true);
    return 0;
  }

  /**
   * irq_get_irqchip_state(): asks GICR_VSGIR where the vPE is.
   *
   * @param sgi 0 to 15
   * @returns whether it is pending, or -ENXIO if the redistributor does not answer
   */
  pending(sgi: number): boolean | number {
    const { cpu, vpeid } = this.#vpe;
    this.#driver.writeRedistributor32(cpu, GICR.VSGIR, vpeid);
    const answer = this.#driver.poll(cpu, GICR.VSGIPENDR, BUSY, 'VSGIPENDR.Busy');
    return answer === undefined ? -ENXIO : (answer & (1 << sgi)) !== 0;
  }

  /** irq_set_affinity(): a vSGI goes where its vPE goes. */
  setAffinity(): number {
    return 0;
  }

  #send(sgi: number, clear: boolean): void {
    const { vpeid } = this.#vpe;
    const fields = this.#config[sgi]!;
    const node = this.#driver.v4Nodes.find(({ isV41 }) => isV41);
    node?.post((to) => encode.vsgi(to, vpeid, sgi, fields, clear), (to) => encode.vpe(to, OPCODE.VSYNC, vpeid));
  }
}
