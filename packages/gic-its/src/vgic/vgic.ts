/**
 * The emulated GICv3 of a VM: its life and its KVM device attributes. Distributor, redistributors and pending tables are in files
 * of their own.
 *
 * Kernel: vgic-kvm-device.c, vgic-init.c.
 */
import { EBUSY, EFAULT, EINVAL, ENOENT, ENXIO, highHalf, lowHalf } from '@vsim/vfio-core';
import { GICD } from '../hardware/index.ts';
import { isSysreg, readSysreg, writeSysreg } from './cpu-sysregs.ts';
import { GuestDistributor, isDistributorRegister } from './guest-distributor.ts';
import { GuestRedistributors, isRedistributorRegister } from './guest-redistributors.ts';
import type { KvmVm } from './kvm-vm.ts';
import type { RedistributorRegions } from './redistributor-regions.ts';
import { ADDR_TYPE, CTRL, GRP, LEVEL_INFO, REGION } from './uapi.ts';
import type { Vcpu } from './vcpu.ts';
import { addressOf, checkFrame, FRAME_64K } from './vgic-frames.ts';
import { savePendingTables } from './vgic-pending-tables.ts';

/** SGIs and PPIs. */
const PRIVATE_IRQS = 32;
/** SPIs of a VM that never said how many: 256 INTIDs. */
const DEFAULT_NR_SPIS = 224;
/** The most that NR_IRQS takes. */
const MAX_NR_IRQS = 1023;
/** An address that was not set. */
const UNDEFINED_ADDRESS = 0xffff_ffff_ffff_ffffn;

export class Vgic {
  readonly #vm: KvmVm;
  readonly #distributor: GuestDistributor;
  readonly #redistributors: GuestRedistributors;
  #initialized = false;
  /** A vCPU has run. */
  #ready = false;
  #nrSpis = 0;
  #maintenanceIrq = 0;

  /** @internal Made by KvmVm.createVgic(). */
  constructor(vm: KvmVm) {
    this.#vm = vm;
    this.#distributor = new GuestDistributor(vm);
    this.#redistributors = new GuestRedistributors(vm, this.#distributor);
  }

  get initialized(): boolean {
    return this.#initialized;
  }

  get distributorEnabled(): boolean {
    return this.#distributor.enabled;
  }

  /** INTIDs of LPIs are below this. */
  get lpiLimit(): number {
    return this.#redistributors.lpiLimit;
  }

  /** Guest physical address of the property table. */
  get propertyTable(): number {
    return this.#redistributors.propertyTable;
  }

  /** Guest physical address of a vCPU's pending table. */
  pendingTable(vcpu: Vcpu): number {
    return this.#redistributors.pendingTable(vcpu);
  }

  /** @internal Redistributors: those of vCPUs that come later, too. */
  get regions(): RedistributorRegions {
    return this.#redistributors.regions;
  }

  /**
   * @internal Before a vCPU runs for the first time. Kernel: kvm_vgic_map_resources(), vgic_v3_map_resources().
   *
   * @returns 0; -ENXIO without an address for each vCPU's redistributor and the distributor; -EINVAL if they overlap or are out of bounds;
   *   -EBUSY before INIT
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
    if (this.#vm.vcpus.some((vcpu) => !regions.hasPlace(vcpu)) || regions.distributorBase === undefined) return -ENXIO;
    if (!regions.valid) return -EINVAL;
    return this.#initialized ? 0 : -EBUSY;
  }

  /** kvm_vgic_dist_destroy(): what the kernels before 6.1 do when a first run fails. */
  #forget(): void {
    this.#initialized = false;
    this.#nrSpis = 0;
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
   * @returns 0, also where nothing comes of it; -EINVAL for an INTID that there is not; -EBUSY before INIT
   */
  inject(vcpu: Vcpu | undefined, intid: number, level: boolean): number {
    if (!this.#initialized) return -EBUSY;
    const irq = intid < PRIVATE_IRQS ? vcpu?.privates.irq(intid) : this.#distributor.irq(intid);
    if (irq === undefined) return -EINVAL;
    if (irq.owned || (irq.edge ? !level : irq.lineLevel === level)) return 0;
    if (irq.edge) irq.pendingLatch = true;
    else irq.lineLevel = level;
    this.#vm.queue(irq);
    return 0;
  }

  // Device attributes

  hasAttr(group: number, attr: bigint | number): number {
    const whole = BigInt(attr);
    const which = lowHalf(whole);
    switch (group) {
      case GRP.ADDR:
        return whole === BigInt(ADDR_TYPE.DIST) || whole === BigInt(ADDR_TYPE.REDIST) || whole === BigInt(ADDR_TYPE.REDIST_REGION) ? 0 : -ENXIO;
      case GRP.CTRL:
        return whole === BigInt(CTRL.INIT) || whole === BigInt(CTRL.SAVE_PENDING_TABLES) ? 0 : -ENXIO;
      case GRP.NR_IRQS:
        return 0;
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS:
        if (this.#vcpuOf(group, whole) === undefined) return -EINVAL;
        return this.#isRegister(group, which) ? 0 : -ENXIO;
      case GRP.CPU_SYSREGS:
        if (this.#vcpuOf(group, whole) === undefined) return -EINVAL;
        return isSysreg(which) ? 0 : -ENXIO;
      case GRP.LEVEL_INFO:
        return which >>> LEVEL_INFO.INFO_SHIFT === LEVEL_INFO.LINE_LEVEL ? 0 : -ENXIO;
      case GRP.MAINT_IRQ:
        return this.#vm.profile.maintIrq ? 0 : -ENXIO;
      default:
        return -ENXIO;
    }
  }

  /**
   * KVM_SET_DEVICE_ATTR.
   *
   * @param value undefined when it cannot be read from the caller's memory
   * @returns 0 or a negative errno
   */
  setAttr(group: number, attr: bigint | number, value: bigint | number | undefined): number {
    const whole = BigInt(attr);
    switch (group) {
      case GRP.CTRL:
        return this.#control(whole);
      case GRP.ADDR:
        return value === undefined ? -EFAULT : this.#setAddress(whole, BigInt.asUintN(64, BigInt(value)));
      case GRP.NR_IRQS:
        return value === undefined ? -EFAULT : this.#setNrIrqs(lowHalf(BigInt(value)));
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS:
      case GRP.CPU_SYSREGS:
      case GRP.LEVEL_INFO:
        return this.#setRegister(group, whole, value);
      case GRP.MAINT_IRQ:
        return this.#setMaintenanceIrq(value);
      default:
        return -ENXIO;
    }
  }

  #setRegister(group: number, attr: bigint, value: bigint | number | undefined): number {
    const vcpu = this.#vcpuOf(group, attr);
    if (vcpu === undefined) return -EINVAL;
    // A system register's value is read last.
    if (value === undefined && group !== GRP.CPU_SYSREGS) return -EFAULT;
    const error = this.#checkAccess(group, attr);
    if (error < 0) return error;
    if (value === undefined) return -EFAULT;
    const which = lowHalf(attr);
    const word = lowHalf(BigInt(value));
    if ((group === GRP.DIST_REGS || group === GRP.REDIST_REGS) && !this.#isRegister(group, which)) return 0;
    switch (group) {
      case GRP.DIST_REGS:
        return this.#distributor.write(which, 4, word, 'user', this.#initialized);
      case GRP.REDIST_REGS:
        this.#redistributors.write(vcpu, which, 4, word, 'user');
        return 0;
      case GRP.CPU_SYSREGS:
        return writeSysreg(vcpu, which, BigInt(value));
      default:
        this.#linesOf(vcpu, which).writeLevels(which & LEVEL_INFO.INTID_MASK, word);
        return 0;
    }
  }

  /**
   * KVM_GET_DEVICE_ATTR.
   *
   * @param value what the caller's memory has, which says the index to REDIST_REGION; undefined when it cannot be read
   * @returns the value, or a negative errno as a number
   */
  getAttr(group: number, attr: bigint | number, value?: bigint | number): bigint | number {
    const whole = BigInt(attr);
    switch (group) {
      case GRP.ADDR:
        return this.#address(whole, value);
      case GRP.NR_IRQS:
        return BigInt(this.#nrSpis + PRIVATE_IRQS);
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS:
      case GRP.CPU_SYSREGS:
      case GRP.LEVEL_INFO:
        return this.#register(group, whole);
      case GRP.MAINT_IRQ:
        return this.#vm.profile.maintIrq ? BigInt(this.#maintenanceIrq) : -ENXIO;
      default:
        return -ENXIO;
    }
  }

  #register(group: number, attr: bigint): bigint | number {
    const vcpu = this.#vcpuOf(group, attr);
    if (vcpu === undefined) return -EINVAL;
    const error = this.#checkAccess(group, attr);
    if (error < 0) return error;
    const which = lowHalf(attr);
    if ((group === GRP.DIST_REGS || group === GRP.REDIST_REGS) && !this.#isRegister(group, which)) return 0n;
    switch (group) {
      case GRP.DIST_REGS:
        return BigInt(this.#distributor.read(which, 4, 'user'));
      case GRP.REDIST_REGS:
        return BigInt(this.#redistributors.read(vcpu, which, 4, 'user'));
      case GRP.CPU_SYSREGS:
        return readSysreg(vcpu, which);
      default:
        return BigInt(this.#linesOf(vcpu, which).readLevels(which & LEVEL_INFO.INTID_MASK));
    }
  }

  /** The vCPU of a register. Those of the distributor may name any: it is the first. Kernel: vgic_v3_parse_attr(). */
  #vcpuOf(group: number, attr: bigint): Vcpu | undefined {
    return group === GRP.DIST_REGS ? this.#vm.vcpus[0] : this.#vm.vcpuOfAffinity(highHalf(attr));
  }

  /** What an access to an existing vCPU's register needs, in the kernel's order. */
  #checkAccess(group: number, attr: bigint): number {
    const which = lowHalf(attr);
    const early = this.#vm.profile.registersBeforeInit && group === GRP.DIST_REGS && (which === GICD.IIDR || which === GICD.TYPER2);
    if ((!this.#initialized && !early) || !this.#vm.allVcpusStopped) return -EBUSY;
    if (group === GRP.LEVEL_INFO) {
      // Only line levels, 32 interrupts at a time.
      if (which >>> LEVEL_INFO.INFO_SHIFT !== LEVEL_INFO.LINE_LEVEL) return -EINVAL;
      return (which & LEVEL_INFO.INTID_MASK) % 32 === 0 ? 0 : -EINVAL;
    }
    if (group === GRP.CPU_SYSREGS) return isSysreg(which) ? 0 : -ENXIO;
    return 0;
  }

  /** Where there is none a VMM reads zero and writes nothing; KVM_HAS_DEVICE_ATTR alone tells. Kernel: vgic_uaccess(). */
  #isRegister(group: number, offset: number): boolean {
    if (group === GRP.DIST_REGS) return isDistributorRegister(offset, this.#nrSpis + PRIVATE_IRQS);
    return isRedistributorRegister(offset);
  }

  /** Who keeps the lines of an attribute's interrupts: the vCPU the first 32, the distributor the others. */
  #linesOf(vcpu: Vcpu, which: number): { readLevels(first: number): number; writeLevels(first: number, levels: number): void } {
    return (which & LEVEL_INFO.INTID_MASK) < PRIVATE_IRQS ? vcpu.privates : this.#distributor;
  }

  #setAddress(type: bigint, value: bigint): number {
    const { regions } = this;
    switch (Number(type)) {
      case ADDR_TYPE.DIST: {
        const address = addressOf(value);
        const error = checkFrame(this.#vm, regions.distributorBase, address, FRAME_64K);
        if (error < 0) return error;
        regions.distributorBase = address;
        this.#vm.mapWindow(address, FRAME_64K, this.#distributor.frame());
        return 0;
      }
      case ADDR_TYPE.REDIST:
        return regions.add(0, addressOf(value), 0);
      case ADDR_TYPE.REDIST_REGION: {
        const count = Number(value >> REGION.COUNT_SHIFT);
        if (count === 0 || (value & REGION.FLAGS) !== 0n) return -EINVAL;
        return regions.add(Number(value & REGION.INDEX), Number(value & REGION.BASE), count);
      }
      default:
        return -ENXIO;
    }
  }

  #address(type: bigint, value: bigint | number | undefined): bigint | number {
    const { regions } = this;
    switch (Number(type)) {
      case ADDR_TYPE.DIST:
        return regions.distributorBase === undefined ? UNDEFINED_ADDRESS : BigInt(regions.distributorBase);
      case ADDR_TYPE.REDIST:
        return regions.first === undefined ? UNDEFINED_ADDRESS : BigInt(regions.first.base);
      case ADDR_TYPE.REDIST_REGION: {
        if (value === undefined) return -EFAULT;
        const region = regions.find(Number(BigInt(value) & REGION.INDEX));
        return region === undefined ? -ENOENT : (BigInt(region.count) << REGION.COUNT_SHIFT) | BigInt(region.base) | BigInt(region.index);
      }
      default:
        return -ENXIO;
    }
  }

  /** The PPI by which a nested guest's hypervisor is told of its list registers. */
  #setMaintenanceIrq(value: bigint | number | undefined): number {
    if (!this.#vm.profile.maintIrq) return -ENXIO;
    if (value === undefined) return -EFAULT;
    if (this.#initialized) return -EBUSY;
    const intid = lowHalf(BigInt(value));
    if (intid < 16 || intid >= PRIVATE_IRQS) return -EINVAL;
    this.#maintenanceIrq = intid;
    return 0;
  }

  #setNrIrqs(count: number): number {
    if (count < 64 || count > MAX_NR_IRQS || count % 32 !== 0) return -EINVAL;
    if (this.#ready || this.#nrSpis !== 0) return -EBUSY;
    this.#nrSpis = count - PRIVATE_IRQS;
    return 0;
  }

  #control(attr: bigint): number {
    if (attr === BigInt(CTRL.INIT)) return this.#init();
    if (attr !== BigInt(CTRL.SAVE_PENDING_TABLES)) return -ENXIO;
    if (!this.#vm.allVcpusStopped) return -EBUSY;
    if (!this.#initialized && this.#vm.profile.savePendingNeedsInit) return -ENXIO;
    return savePendingTables(this.#vm);
  }

  /** vgic_init(). */
  #init(): number {
    if (this.#initialized) return 0;
    if (this.#vm.creatingVcpu) return -EBUSY;
    if (this.#nrSpis === 0) this.#nrSpis = DEFAULT_NR_SPIS;
    this.#distributor.setNrIrqs(this.#nrSpis + PRIVATE_IRQS);
    const error = this.initVpes();
    if (error < 0) return error;
    // kvm_vgic_setup_default_irq_routing(): whatever was there goes.
    this.#vm.setRouting(Array.from({ length: this.#nrSpis }, (_, pin) => ({ gsi: pin, pin })));
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
    if (typeof itsVm === 'number') return itsVm;
    this.#vm.itsVm = itsVm;
    this.#vm.vcpus.forEach((vcpu, n) => {
      const vpe = itsVm.vpes[n]!;
      vcpu.vpe = vpe;
      vpe.onDoorbell = () => vcpu.kick();
    });
    for (const vpe of itsVm.vpes) vpe.requestDoorbell();
    return 0;
  }
}
