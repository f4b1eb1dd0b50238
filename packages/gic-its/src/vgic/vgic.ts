/**
 * The emulated GICv3 of a VM: its life and its KVM device attributes. Distributor, redistributors and pending tables are in files
 * of their own.
 *
 * Kernel: vgic-kvm-device.c, vgic-init.c. Not modelled: delivery of PPIs and SPIs; redistributor regions beyond the first.
 */
import { EBUSY, EFAULT, EINVAL, ENXIO, highHalf, lowHalf } from '@vsim/vfio-core';
import { isSysreg, readSysreg, writeSysreg } from './cpu-sysregs.ts';
import { GuestDistributor, isDistributorRegister } from './guest-distributor.ts';
import { GuestRedistributors, isRedistributorRegister, REDISTRIBUTOR_BYTES } from './guest-redistributors.ts';
import type { KvmVm } from './kvm-vm.ts';
import { ADDR_TYPE, CTRL, GRP, LEVEL_INFO } from './uapi.ts';
import type { Vcpu } from './vcpu.ts';
import { checkFrame, FRAME_64K } from './vgic-frames.ts';
import { savePendingTables } from './vgic-pending-tables.ts';

/** INTIDs of a VM that never said how many. */
const DEFAULT_NR_IRQS = 256;

export class Vgic {
  readonly #vm: KvmVm;
  readonly #distributor: GuestDistributor;
  readonly #redistributors: GuestRedistributors;
  #initialized = false;
  #ran = false;
  #nrIrqs = 0;
  #distributorBase: number | undefined;
  #redistributorBase: number | undefined;

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

  /** @internal A vCPU runs for the first time: SGIs are set up as the registers have it. Kernel: vgic_v3_map_resources(). */
  firstRun(): void {
    if (this.#ran) return;
    this.#ran = true;
    if (this.#vm.driver.gicv41) this.#distributor.configureVsgis();
  }

  // Device attributes

  hasAttr(group: number, attr: bigint | number): number {
    const which = Number(BigInt.asUintN(32, BigInt(attr)));
    switch (group) {
      case GRP.ADDR:
        return which === ADDR_TYPE.DIST || which === ADDR_TYPE.REDIST ? 0 : -ENXIO;
      case GRP.CTRL:
        return which === CTRL.INIT || which === CTRL.SAVE_PENDING_TABLES ? 0 : -ENXIO;
      case GRP.NR_IRQS:
        return 0;
      case GRP.DIST_REGS:
        return isDistributorRegister(which) ? 0 : -ENXIO;
      case GRP.REDIST_REGS:
        return isRedistributorRegister(which) ? 0 : -ENXIO;
      case GRP.CPU_SYSREGS:
        return isSysreg(which) ? 0 : -ENXIO;
      case GRP.LEVEL_INFO:
        return which >>> LEVEL_INFO.INFO_SHIFT === LEVEL_INFO.LINE_LEVEL ? 0 : -ENXIO;
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
    if (group === GRP.CTRL) return this.#control(Number(attr));
    if (value === undefined) return -EFAULT;
    switch (group) {
      case GRP.ADDR:
        return this.#setAddress(Number(attr), Number(value));
      case GRP.NR_IRQS:
        return this.#setNrIrqs(Number(value));
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS: {
        const error = this.#checkRegister(group, BigInt(attr));
        if (error < 0) return error;
        const offset = lowHalf(BigInt(attr));
        const word = lowHalf(BigInt(value));
        if (group === GRP.DIST_REGS) return this.#distributor.write(offset, 4, word, 'user');
        this.#redistributors.write(this.#vcpuOf(BigInt(attr))!, offset, 4, word, 'user');
        return 0;
      }
      case GRP.CPU_SYSREGS: {
        const error = this.#checkAccess(BigInt(attr));
        return error < 0 ? error : writeSysreg(this.#vcpuOf(BigInt(attr))!, lowHalf(BigInt(attr)), BigInt(value));
      }
      case GRP.LEVEL_INFO: {
        const error = this.#checkLevels(BigInt(attr));
        if (error < 0) return error;
        this.#linesOf(BigInt(attr)).writeLevels(lowHalf(BigInt(attr)) & LEVEL_INFO.INTID_MASK, lowHalf(BigInt(value)));
        return 0;
      }
      default:
        return -ENXIO;
    }
  }

  /** KVM_GET_DEVICE_ATTR. @returns the value, or a negative errno as a number */
  getAttr(group: number, attr: bigint | number): bigint | number {
    switch (group) {
      case GRP.ADDR: {
        const base = Number(attr) === ADDR_TYPE.DIST ? this.#distributorBase : this.#redistributorBase;
        if (Number(attr) !== ADDR_TYPE.DIST && Number(attr) !== ADDR_TYPE.REDIST) return -ENXIO;
        return base === undefined ? 0xffff_ffff_ffff_ffffn : BigInt(base);
      }
      case GRP.NR_IRQS:
        return BigInt(this.#nrIrqs);
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS: {
        const error = this.#checkRegister(group, BigInt(attr));
        if (error < 0) return error;
        const offset = lowHalf(BigInt(attr));
        if (group === GRP.DIST_REGS) return BigInt(this.#distributor.read(offset, 4, 'user'));
        return BigInt(this.#redistributors.read(this.#vcpuOf(BigInt(attr))!, offset, 4, 'user'));
      }
      case GRP.CPU_SYSREGS: {
        const error = this.#checkAccess(BigInt(attr));
        return error < 0 ? error : readSysreg(this.#vcpuOf(BigInt(attr))!, lowHalf(BigInt(attr)));
      }
      case GRP.LEVEL_INFO: {
        const error = this.#checkLevels(BigInt(attr));
        if (error < 0) return error;
        return BigInt(this.#linesOf(BigInt(attr)).readLevels(lowHalf(BigInt(attr)) & LEVEL_INFO.INTID_MASK));
      }
      default:
        return -ENXIO;
    }
  }

  #vcpuOf(attr: bigint): Vcpu | undefined {
    return this.#vm.vcpus[highHalf(attr)];
  }

  /** What every register access needs, whatever the register. */
  #checkAccess(attr: bigint): number {
    if (this.#vcpuOf(attr) === undefined) return -EINVAL;
    return this.#initialized && this.#vm.allVcpusStopped ? 0 : -EBUSY;
  }

  #checkRegister(group: number, attr: bigint): number {
    const error = this.#checkAccess(attr);
    if (error < 0) return error;
    const offset = lowHalf(attr);
    const known = group === GRP.DIST_REGS ? isDistributorRegister(offset) : isRedistributorRegister(offset);
    return known && offset % 4 === 0 ? 0 : -ENXIO;
  }

  /** LEVEL_INFO: only line levels, 32 interrupts at a time. */
  #checkLevels(attr: bigint): number {
    const error = this.#checkAccess(attr);
    if (error < 0) return error;
    const which = lowHalf(attr);
    if (which >>> LEVEL_INFO.INFO_SHIFT !== LEVEL_INFO.LINE_LEVEL) return -EINVAL;
    return (which & LEVEL_INFO.INTID_MASK) % 32 === 0 ? 0 : -EINVAL;
  }

  /** Who keeps the lines of an attribute's interrupts: the vCPU the first 32, the distributor the others. */
  #linesOf(attr: bigint): { readLevels(first: number): number; writeLevels(first: number, levels: number): void } {
    return (lowHalf(attr) & LEVEL_INFO.INTID_MASK) < 32 ? this.#vcpuOf(attr)!.privates : this.#distributor;
  }

  #setAddress(type: number, address: number): number {
    if (type !== ADDR_TYPE.DIST && type !== ADDR_TYPE.REDIST) return -ENXIO;
    const old = type === ADDR_TYPE.DIST ? this.#distributorBase : this.#redistributorBase;
    const error = checkFrame(this.#vm, old, address, type === ADDR_TYPE.DIST ? FRAME_64K : REDISTRIBUTOR_BYTES * this.#vm.vcpus.length);
    if (error < 0) return error;
    if (type === ADDR_TYPE.DIST) {
      this.#distributorBase = address;
      this.#vm.mapWindow(address, FRAME_64K, this.#distributor.frame());
      return 0;
    }
    this.#redistributorBase = address;
    this.#vm.vcpus.forEach((vcpu, n) => {
      this.#vm.mapWindow(address + n * REDISTRIBUTOR_BYTES, REDISTRIBUTOR_BYTES, this.#redistributors.frame(vcpu));
    });
    return 0;
  }

  #setNrIrqs(count: number): number {
    if (count < 64 || count > 1024 || count % 32 !== 0) return -EINVAL;
    if (this.#initialized || this.#nrIrqs !== 0) return -EBUSY;
    this.#nrIrqs = count;
    return 0;
  }

  #control(attr: number): number {
    if (attr === CTRL.INIT) return this.#init();
    if (attr !== CTRL.SAVE_PENDING_TABLES) return -ENXIO;
    if (!this.#vm.allVcpusStopped) return -EBUSY;
    if (!this.#initialized && this.#vm.profile.savePendingNeedsInit) return -ENXIO;
    return savePendingTables(this.#vm);
  }

  /** vgic_init(). */
  #init(): number {
    if (this.#initialized) return 0;
    if (this.#vm.creatingVcpu) return -EBUSY;
    if (this.#nrIrqs === 0) this.#nrIrqs = DEFAULT_NR_IRQS;
    this.#distributor.setNrIrqs(this.#nrIrqs);
    const error = this.initVpes();
    if (error < 0) return error;
    this.#initialized = true;
    return 0;
  }

  /** vgic_v4_init(): vPEs and their doorbells, where the host has them. @returns 0 or -ENOMEM */
  initVpes(): number {
    const { driver } = this.#vm;
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
