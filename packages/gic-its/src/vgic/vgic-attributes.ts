/**
 * The device attributes of a VM's GICv3.
 *
 * Kernel: vgic-kvm-device.c. What is refused is told with its reason, in the kernel's order of checks.
 */
import { EBUSY, EFAULT, ENOENT, ENXIO, highHalf, lowHalf } from '@vsim/vfio-core';
import { GICD } from '../hardware/index.ts';
import { isSysreg, readSysreg, writeSysreg, type SysregVcpu } from './cpu-sysregs.ts';
import { isDistributorRegister, type GuestDistributor } from './guest-distributor.ts';
import { isRedistributorRegister, type GuestRedistributors } from './guest-redistributors.ts';
import type { GuestDevice } from './guest-bus.ts';
import type { GicVcpu } from './private-interrupts.ts';
import {
  ATTRIBUTE_MEMORY,
  ATTRIBUTE_UNKNOWN,
  LEVEL_INFO_KIND,
  MAINT_IRQ_VALUE,
  NO_REGISTER,
  NO_SUCH_VCPU,
  NOT_INITIALISED,
  NR_IRQS_VALUE,
  REDIST_REGION_RULE,
} from './vm-reasons.ts';
import { savePendingTables, type PendingVm } from './vgic-pending-tables.ts';
import { ADDR_TYPE, CTRL, GRP, LEVEL_INFO, REGION } from './uapi.ts';
import { addressOf, checkFrame, FRAME_64K, type FrameVm } from './vgic-frames.ts';

/** SGIs and PPIs. */
export const PRIVATE_IRQS = 32;
/** The most that NR_IRQS takes. */
const MAX_NR_IRQS = 1023;
/** An address that was not set. */
const UNDEFINED_ADDRESS = 0xffff_ffff_ffff_ffffn;
const DEVICE = 'vgic';

/** What attributes see and set of a vgic. */
export interface VgicState {
  readonly initialized: boolean;
  /** A vCPU has run. */
  readonly ready: boolean;
  /** 0 until they are set, or the vgic is initialised. */
  nrSpis: number;
  /** CTRL, INIT. */
  init(): number;
}

/** A vCPU whose registers attributes read and write. */
interface AttributeVcpu extends GicVcpu, SysregVcpu {}

/** A VM as the attributes of its vgic know it. */
interface AttributesVm extends FrameVm, PendingVm {
  readonly vcpus: readonly AttributeVcpu[];
  readonly irqfds: { overwritten(first: number, lines: number): void };
  vcpuOfAffinity(affinity: number): AttributeVcpu | undefined;
  checkStopped(what: string): number;
  mapWindow(base: number, size: number, device: GuestDevice): void;
}

type Call = 'set' | 'get' | 'have';

export class VgicAttributes {
  readonly #vm: AttributesVm;
  readonly #state: VgicState;
  readonly #distributor: GuestDistributor;
  readonly #redistributors: GuestRedistributors;
  #maintenanceIrq = 0;

  constructor(vm: AttributesVm, state: VgicState, distributor: GuestDistributor, redistributors: GuestRedistributors) {
    this.#vm = vm;
    this.#state = state;
    this.#distributor = distributor;
    this.#redistributors = redistributors;
  }

  has(group: number, attr: bigint): number {
    const which = lowHalf(attr);
    switch (group) {
      case GRP.ADDR:
        if (attr === BigInt(ADDR_TYPE.DIST) || attr === BigInt(ADDR_TYPE.REDIST) || attr === BigInt(ADDR_TYPE.REDIST_REGION)) return 0;
        break;
      case GRP.CTRL:
        if (attr === BigInt(CTRL.INIT) || attr === BigInt(CTRL.SAVE_PENDING_TABLES)) return 0;
        break;
      case GRP.NR_IRQS:
        return 0;
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS:
      case GRP.CPU_SYSREGS:
        if (this.#vcpuOf(group, attr) === undefined) return this.#noVcpu(group, attr);
        return this.#isRegister(group, which) ? 0 : this.#noRegister(group, which);
      case GRP.LEVEL_INFO:
        if (which >>> LEVEL_INFO.INFO_SHIFT === LEVEL_INFO.LINE_LEVEL) return 0;
        break;
      case GRP.MAINT_IRQ:
        if (this.#vm.profile.maintIrq) return 0;
        break;
    }
    return this.#unknown('have', group, attr);
  }

  /** KVM_SET_DEVICE_ATTR of a vgic. @param group one of GRP @param value undefined when it cannot be read from the caller's memory */
  set(group: number, attr: bigint, value: bigint | undefined): number {
    switch (group) {
      case GRP.CTRL:
        return this.#control(attr);
      case GRP.ADDR:
        return value === undefined ? this.#unreadable(group, attr) : this.#setAddress(attr, BigInt.asUintN(64, value));
      case GRP.NR_IRQS:
        return value === undefined ? this.#unreadable(group, attr) : this.#setNrIrqs(lowHalf(value));
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS:
      case GRP.CPU_SYSREGS:
      case GRP.LEVEL_INFO:
        return this.#setRegister(group, attr, value);
      case GRP.MAINT_IRQ:
        if (!this.#vm.profile.maintIrq) break;
        return value === undefined ? this.#unreadable(group, attr) : this.#setMaintenanceIrq(lowHalf(value));
    }
    return this.#unknown('set', group, attr);
  }

  /**
   * KVM_GET_DEVICE_ATTR of a vgic.
   *
   * @param group one of GRP
   * @param value what the caller's memory has, which says the index to REDIST_REGION
   */
  get(group: number, attr: bigint, value: bigint | undefined): bigint | number {
    switch (group) {
      case GRP.ADDR:
        return this.#address(attr, value);
      case GRP.NR_IRQS:
        return BigInt(this.#state.nrSpis + PRIVATE_IRQS);
      case GRP.DIST_REGS:
      case GRP.REDIST_REGS:
      case GRP.CPU_SYSREGS:
      case GRP.LEVEL_INFO:
        return this.#register(group, attr);
      case GRP.MAINT_IRQ:
        if (this.#vm.profile.maintIrq) return BigInt(this.#maintenanceIrq);
        break;
    }
    return this.#unknown('get', group, attr);
  }

  #unknown(call: Call, group: number, attr: bigint): number {
    return this.#vm.refusals.refuse(ATTRIBUTE_UNKNOWN, { device: DEVICE, call, group, attr }, ENXIO);
  }

  #unreadable(group: number, attr: bigint): number {
    return this.#vm.refusals.refuse(ATTRIBUTE_MEMORY, { device: DEVICE, group, attr }, EFAULT);
  }

  // Registers

  #setRegister(group: number, attr: bigint, value: bigint | undefined): number {
    const first = this.#vm.profile.readsValueFirst;
    if (value === undefined && first) return this.#unreadable(group, attr);
    const vcpu = this.#vcpuOf(group, attr);
    if (vcpu === undefined) return this.#noVcpu(group, attr);
    // A system register's value is read last.
    if (value === undefined && group !== GRP.CPU_SYSREGS) return this.#unreadable(group, attr);
    const error = this.#checkAccess(group, attr);
    if (error < 0) return error;
    if (value === undefined) return this.#unreadable(group, attr);
    const which = lowHalf(attr);
    const word = lowHalf(value);
    if (!this.#isRegister(group, which)) return group === GRP.CPU_SYSREGS ? this.#noRegister(group, which, this.#noSysreg) : 0;
    switch (group) {
      case GRP.DIST_REGS:
        return this.#distributor.write(which, 4, word, 'user', this.#state.initialized);
      case GRP.REDIST_REGS:
        this.#redistributors.write(vcpu, which, 4, word, 'user');
        return 0;
      case GRP.CPU_SYSREGS:
        return writeSysreg(vcpu, which, value);
      default:
        this.#setLevels(vcpu, which, word);
        return 0;
    }
  }

  #register(group: number, attr: bigint): bigint | number {
    const vcpu = this.#vcpuOf(group, attr);
    if (vcpu === undefined) return this.#noVcpu(group, attr);
    const error = this.#checkAccess(group, attr);
    if (error < 0) return error;
    const which = lowHalf(attr);
    if (!this.#isRegister(group, which)) return group === GRP.CPU_SYSREGS ? this.#noRegister(group, which, this.#noSysreg) : 0n;
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
  #vcpuOf(group: number, attr: bigint): AttributeVcpu | undefined {
    return group === GRP.DIST_REGS ? this.#vm.vcpus[0] : this.#vm.vcpuOfAffinity(highHalf(attr));
  }

  #noVcpu(group: number, attr: bigint): number {
    return this.#vm.refusals.refuse(NO_SUCH_VCPU, { group, affinity: highHalf(attr) });
  }

  /** What an access to an existing vCPU's register needs. */
  #checkAccess(group: number, attr: bigint): number {
    const which = lowHalf(attr);
    const error = this.#vm.checkStopped('register');
    if (error < 0) return error;
    const early = this.#vm.profile.registersBeforeInit && group === GRP.DIST_REGS && (which === GICD.IIDR || which === GICD.TYPER2);
    if (!this.#state.initialized && !early) return this.#vm.refusals.refuse(NOT_INITIALISED, { what: 'register' }, EBUSY);
    if (group !== GRP.LEVEL_INFO) return 0;
    // Only line levels, 32 interrupts at a time.
    const good = which >>> LEVEL_INFO.INFO_SHIFT === LEVEL_INFO.LINE_LEVEL && (which & LEVEL_INFO.INTID_MASK) % 32 === 0;
    return good ? 0 : this.#vm.refusals.refuse(LEVEL_INFO_KIND, { attr: which });
  }

  /** Where the distributor and redistributors have none a VMM reads zero and writes nothing; KVM_HAS_DEVICE_ATTR alone tells. Kernel: vgic_uaccess(). */
  #isRegister(group: number, offset: number): boolean {
    switch (group) {
      case GRP.DIST_REGS:
        return isDistributorRegister(offset, this.#state.nrSpis + PRIVATE_IRQS);
      case GRP.REDIST_REGS:
        return isRedistributorRegister(offset);
      default:
        return group === GRP.LEVEL_INFO || isSysreg(offset);
    }
  }

  /** What reading or writing a CPU register gives that there is not. */
  get #noSysreg(): number {
    return this.#vm.profile.readsValueFirst ? ENXIO : ENOENT;
  }

  #noRegister(group: number, offset: number, errno = ENXIO): number {
    const device = group === GRP.DIST_REGS ? 'distributor' : group === GRP.REDIST_REGS ? 'redistributor' : 'cpu interface';
    return this.#vm.refusals.refuse(NO_REGISTER, { device, offset }, errno);
  }

  #setLevels(vcpu: AttributeVcpu, which: number, levels: number): void {
    const lines = this.#linesOf(vcpu, which);
    const first = which & LEVEL_INFO.INTID_MASK;
    this.#vm.irqfds.overwritten(first, lines.readLevels(first) & ~levels);
    lines.writeLevels(first, levels);
  }

  /** Who keeps the lines of an attribute's interrupts: the vCPU the first 32, the distributor the others. */
  #linesOf(vcpu: AttributeVcpu, which: number): { readLevels(first: number): number; writeLevels(first: number, levels: number): void } {
    return (which & LEVEL_INFO.INTID_MASK) < PRIVATE_IRQS ? vcpu.privates : this.#distributor;
  }

  // Addresses

  #setAddress(type: bigint, value: bigint): number {
    const { regions } = this.#redistributors;
    switch (Number(type)) {
      case ADDR_TYPE.DIST: {
        const address = addressOf(value);
        const error = checkFrame(this.#vm, DEVICE, regions.distributorBase, address, FRAME_64K);
        if (error < 0) return error;
        regions.distributorBase = address;
        this.#vm.mapWindow(address, FRAME_64K, this.#distributor.frame());
        return 0;
      }
      case ADDR_TYPE.REDIST:
        return regions.add(0, addressOf(value), 0);
      case ADDR_TYPE.REDIST_REGION: {
        const [index, base, count] = [Number(value & REGION.INDEX), Number(value & REGION.BASE), Number(value >> REGION.COUNT_SHIFT)];
        const flags = Number(value & REGION.FLAGS);
        if (count !== 0 && flags === 0) return regions.add(index, base, count);
        return this.#vm.refusals.refuse(REDIST_REGION_RULE, { field: flags === 0 ? 'count' : 'flags', index, base, count, is: flags === 0 ? count : flags });
      }
      default:
        return this.#unknown('set', GRP.ADDR, type);
    }
  }

  #address(type: bigint, value: bigint | undefined): bigint | number {
    const { regions } = this.#redistributors;
    switch (Number(type)) {
      case ADDR_TYPE.DIST:
        return regions.distributorBase === undefined ? UNDEFINED_ADDRESS : BigInt(regions.distributorBase);
      case ADDR_TYPE.REDIST:
        return regions.first === undefined ? UNDEFINED_ADDRESS : BigInt(regions.first.base);
      case ADDR_TYPE.REDIST_REGION: {
        if (value === undefined) return this.#unreadable(GRP.ADDR, type);
        const index = Number(value & REGION.INDEX);
        const region = regions.find(index);
        if (region === undefined) return this.#vm.refusals.refuse(REDIST_REGION_RULE, { field: 'index', index, base: 0, count: 0, is: index }, ENOENT);
        return (BigInt(region.count) << REGION.COUNT_SHIFT) | BigInt(region.base) | BigInt(region.index);
      }
      default:
        return this.#unknown('get', GRP.ADDR, type);
    }
  }

  // The rest

  #control(attr: bigint): number {
    if (attr === BigInt(CTRL.INIT)) return this.#state.init();
    if (attr !== BigInt(CTRL.SAVE_PENDING_TABLES)) return this.#unknown('set', GRP.CTRL, attr);
    const what = 'SAVE_PENDING_TABLES';
    const error = this.#vm.checkStopped(what);
    if (error < 0) return error;
    if (!this.#state.initialized && this.#vm.profile.savePendingNeedsInit) return this.#vm.refusals.refuse(NOT_INITIALISED, { what }, ENXIO);
    return savePendingTables(this.#vm);
  }

  #setNrIrqs(count: number): number {
    const spis = this.#state.nrSpis;
    if (count < 64 || count > MAX_NR_IRQS || count % 32 !== 0) return this.#vm.refusals.refuse(NR_IRQS_VALUE, { count, spis });
    if (this.#state.ready || spis !== 0) return this.#vm.refusals.refuse(NR_IRQS_VALUE, { count, spis }, EBUSY);
    this.#state.nrSpis = count - PRIVATE_IRQS;
    return 0;
  }

  /** The PPI by which a nested guest's hypervisor is told of its list registers. */
  #setMaintenanceIrq(intid: number): number {
    if (this.#state.initialized) return this.#vm.refusals.refuse(MAINT_IRQ_VALUE, { intid }, EBUSY);
    if (intid < 16 || intid >= PRIVATE_IRQS) return this.#vm.refusals.refuse(MAINT_IRQ_VALUE, { intid });
    this.#maintenanceIrq = intid;
    return 0;
  }
}
