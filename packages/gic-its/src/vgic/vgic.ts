import { EBUSY, EINVAL } from '@vsim/vfio-core';
import { GuestDistributor } from './guest-distributor.ts';
import { GuestRedistributors } from './guest-redistributors.ts';
import type { KvmVm } from './kvm-vm.ts';
import { FRAMES_OVERLAP, NO_ADDRESS, NO_VPES, NOT_INITIALISED, VCPU_IN_CREATION } from './vm-reasons.ts';
import type { RedistributorRegions } from './redistributor-regions.ts';
import type { Vcpu } from './vcpu.ts';
import { PRIVATE_IRQS, VgicAttributes } from './vgic-attributes.ts';
import type { IrqTarget } from './vgic-irq.ts';

/** SPIs of a VM that never said how many: 256 INTIDs. */
const DEFAULT_NR_SPIS = 224;

/**
 * The emulated GICv3 of a VM: its life. Attributes, distributor, redistributors and pending tables are in files of their own.
 *
 * Kernel: vgic-init.c.
 */
export class Vgic {
  readonly #vm: KvmVm;
  readonly #distributor: GuestDistributor;
  readonly #redistributors: GuestRedistributors;
  readonly #attributes: VgicAttributes;
  #initialized = false;
  /** A vCPU has run. */
  #ready = false;
  /** SPIs that the guest has: 0 until they are set, or the vgic is initialised. @internal */
  nrSpis = 0;

  /** Made by KvmVm.createVgic(). @internal */
  constructor(vm: KvmVm) {
    this.#vm = vm;
    this.#distributor = new GuestDistributor(vm);
    this.#redistributors = new GuestRedistributors(vm, this.#distributor);
    this.#attributes = new VgicAttributes(vm, this, this.#distributor, this.#redistributors);
  }

  /** CTRL.INIT was done: no more vCPUs, and registers can be reached. */
  get initialized(): boolean {
    return this.#initialized;
  }

  /** A vCPU has run: addresses are fixed. @internal */
  get ready(): boolean {
    return this.#ready;
  }

  /** GICD_CTLR.EnableGrp1 of the guest. */
  get distributorEnabled(): boolean {
    return this.#distributor.enabled;
  }

  /** INTIDs of LPIs are below this: 2 to GICR_PROPBASER.IDbits + 1. */
  get lpiLimit(): number {
    return this.#redistributors.lpiLimit;
  }

  /** Guest physical address of the property table. */
  get propertyTable(): number {
    return this.#redistributors.propertyTable;
  }

  /** Guest physical address of a vCPU's pending table. */
  pendingTable(vcpu: IrqTarget): number {
    return this.#redistributors.pendingTable(vcpu);
  }

  /** Redistributors: those of vCPUs that come later, too. @internal */
  get regions(): RedistributorRegions {
    return this.#redistributors.regions;
  }

  /**
   * Before a vCPU runs for the first time. Kernel: kvm_vgic_map_resources(), vgic_v3_map_resources().
   *
   * @internal
   * @returns 0; -ENXIO without an address for each vCPU's redistributor and the distributor; -EINVAL if they overlap or are out of bounds;
   * -EBUSY before INIT
   */
  mapResources(): number {
    if (this.#ready) return 0;
    const error = this.#checkResources();
    if (error < 0) {
      if (this.#vm.profile.failedFirstRun !== 'dead') this.#forget();
      return error;
    }
    this.#ready = true;
    if (this.#vm.driver.gicv41) this.#distributor.configureVsgis();
    return 0;
  }

  #checkResources(): number {
    const { regions } = this;
    const { refusals, vcpus } = this.#vm;
    const homeless = vcpus.find((vcpu) => !regions.hasPlace(vcpu));
    if (homeless !== undefined) return refusals.refuse(NO_ADDRESS, { frame: 'redistributor', vcpu: homeless.id });
    if (regions.distributorBase === undefined) return refusals.refuse(NO_ADDRESS, { frame: 'distributor', vcpu: undefined });
    const bad = regions.invalid;
    if (bad !== undefined) return refusals.refuse(FRAMES_OVERLAP, bad);
    return this.#initialized ? 0 : refusals.refuse(NOT_INITIALISED, { what: 'KVM_RUN' }, EBUSY);
  }

  /** kvm_vgic_dist_destroy(): what the kernels before 6.1 do when a first run fails. */
  #forget(): void {
    this.#initialized = false;
    this.nrSpis = 0;
    this.regions.clear();
    const { distributorBase } = this.regions;
    if (this.#vm.profile.failedFirstRun === 'destroys' && distributorBase !== undefined) {
      this.#vm.unmapWindow(distributorBase);
      this.regions.distributorBase = undefined;
    }
    for (const vcpu of this.#vm.vcpus) vcpu.vpe = undefined;
    this.#vm.itsVm?.free();
    this.#vm.itsVm = undefined;
  }

  /**
   * The level of a wired interrupt, or its edge. Kernel: kvm_vgic_inject_irq() without owner.
   *
   * @param vcpu of a PPI
   * @param intid 16 to 31 is a PPI of `vcpu`, from 32 on an SPI
   * @param level true for asserted
   * @returns 0, also where nothing comes of it; -EINVAL for an INTID that there is not; -EBUSY before INIT
   */
  inject(vcpu: Vcpu | undefined, intid: number, level: boolean): number {
    if (!this.#initialized) return -EBUSY;
    const irq = intid < PRIVATE_IRQS ? vcpu?.privates.irq(intid) : this.#distributor.irq(intid);
    if (irq === undefined) return -EINVAL;
    if (irq.owned || (irq.edge ? !level : irq.lineLevel === level)) return 0;
    if (irq.edge) irq.pendingLatch = true;
    else irq.lineLevel = level;
    if (level) this.#vm.tellRaised(intid);
    this.#vm.queue(irq);
    return 0;
  }

  /** Whether the guest has an SPI edge-triggered. @param intid 32 or more */
  isEdge(intid: number): boolean {
    return this.#distributor.irq(intid)?.edge === true;
  }

  /** Whether the line of an SPI that is level-sensitive is up. @param intid 32 or more */
  isRaised(intid: number): boolean {
    const irq = this.#distributor.irq(intid);
    return irq !== undefined && !irq.edge && irq.lineLevel;
  }

  // Device attributes

  /**
   * KVM_HAS_DEVICE_ATTR.
   *
   * @param group one of GRP
   * @param attr 64 bits, of the group
   * @returns 0; -ENXIO for an attribute or register that there is not; -EINVAL for a vCPU that there is not
   */
  hasAttr(group: number, attr: bigint | number): number {
    return this.#attributes.has(group, BigInt(attr));
  }

  /**
   * KVM_SET_DEVICE_ATTR.
   *
   * @param group one of GRP
   * @param attr 64 bits, of the group
   * @param value undefined when it cannot be read from the caller's memory
   * @returns 0 or a negative errno
   */
  setAttr(group: number, attr: bigint | number, value: bigint | number | undefined): number {
    return this.#attributes.set(group, BigInt(attr), value === undefined ? undefined : BigInt(value));
  }

  /**
   * KVM_GET_DEVICE_ATTR.
   *
   * @param group one of GRP
   * @param attr 64 bits, of the group
   * @param value what the caller's memory has, which says the index to REDIST_REGION; undefined when it cannot be read
   * @returns the value, or a negative errno as a number
   */
  getAttr(group: number, attr: bigint | number, value?: bigint | number): bigint | number {
    return this.#attributes.get(group, BigInt(attr), value === undefined ? undefined : BigInt(value));
  }

  /**
   * CTRL.INIT: the vPEs are made, and GSIs lead to pins. Kernel: vgic_init(). @internal
   *
   * @returns 0; -EBUSY while a vCPU is being created; -ENOMEM without memory for the vPEs
   */
  init(): number {
    if (this.#initialized) return 0;
    if (this.#vm.creatingVcpu) return this.#vm.refusals.refuse(VCPU_IN_CREATION, { vcpus: this.#vm.vcpus.length });
    if (this.nrSpis === 0) this.nrSpis = DEFAULT_NR_SPIS;
    this.#distributor.setNrIrqs(this.nrSpis + PRIVATE_IRQS);
    const error = this.initVpes();
    if (error < 0) return error;
    // kvm_vgic_setup_default_irq_routing(): whatever was there goes.
    this.#vm.setRouting(Array.from({ length: this.nrSpis }, (_, pin) => ({ gsi: pin, pin })));
    this.#initialized = true;
    return 0;
  }

  /** vgic_v4_init(): vPEs and their doorbells, where the host has them. @returns 0 or -ENOMEM */
  initVpes(): number {
    const { driver } = this.#vm;
    if (!this.#distributor.direct) return 0;
    const wanted = driver.gicv41 || (driver.gicv4 && this.#vm.itss.length > 0);
    if (!wanted || this.#vm.itsVm !== undefined) return 0;
    const itsVm = driver.createVm(this.#vm.vcpus.length);
    if (typeof itsVm === 'number') return this.#vm.refusals.refuse(NO_VPES, { vcpus: this.#vm.vcpus.length }, -itsVm);
    this.#vm.itsVm = itsVm;
    this.#vm.vcpus.forEach((vcpu, n) => {
      const vpe = itsVm.vpes[n]!;
      vcpu.vpe = vpe;
      const onDoorbell = (): void => vcpu.kick();
      vpe.onDoorbell = onDoorbell;
    });
    for (const vpe of itsVm.vpes) vpe.requestDoorbell();
    return 0;
  }
}
