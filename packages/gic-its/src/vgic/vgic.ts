/**
 * The emulated GICv3 of a VM: distributor, redistributors, pending tables, and its KVM device attributes.
 *
 * Kernel: vgic-v3.c, vgic-mmio-v3.c, vgic-kvm-device.c, vgic-init.c.
 * Modelled: what LPIs need; registers of SGIs, PPIs and SPIs are kept and read back.
 * Not modelled: delivery of SGIs, PPIs and SPIs; redistributor regions beyond the first; LEVEL_INFO.
 */
import { E2BIG, EBUSY, EEXIST, EFAULT, EINVAL, ENXIO, highHalf, lowHalf, toBigint, toNumber } from '@vsim/vfio-core';
import { WiredInterrupts } from '../hardware/wired.ts';
import type { GuestDevice, KvmVm } from './kvm-vm.ts';
import { isSysreg, readSysreg, writeSysreg } from './cpu-sysregs.ts';
import { ADDR_TYPE, CTRL, GRP } from './uapi.ts';
import type { Vcpu } from './vcpu.ts';

const FRAME = 0x1_0000;
/** RD and SGI frame. */
const REDISTRIBUTOR_BYTES = 0x2_0000;

/** Arm; product 0x4b, as KVM has it. */
const IIDR = 0x4b00_043b;
const GICD_CTLR_FIXED = 0x50; // DS, ARE_NS
const GICD_CTLR_GRP1 = 2;
const GICR_CTLR_ENABLE_LPIS = 1;
const GICR_CTLR_IR_CES = 6;
const PENDBASER_PTZ = 0x4000_0000;
const PROPBASER_RESET = 0x580;
/** INTIDs of a VM that never said how many. */
const DEFAULT_NR_IRQS = 256;

export class Vgic {
  readonly #vm: KvmVm;
  /** GICR_PROPBASER, one for the VM, in halves. */
  readonly propbaser: Uint32Array = new Uint32Array([PROPBASER_RESET, 0]);
  #initialized = false;
  #nrIrqs = 0;
  #distributorBase: number | undefined;
  #redistributorBase: number | undefined;
  #enabled = false;
  #spis = new WiredInterrupts(32, 0);
  readonly #banks: WiredInterrupts[] = [];

  /** @internal Made by KvmVm.createVgic(). */
  constructor(vm: KvmVm) {
    this.#vm = vm;
  }

  get initialized(): boolean {
    return this.#initialized;
  }

  get distributorEnabled(): boolean {
    return this.#enabled;
  }

  /** INTIDs of LPIs are below this. */
  get lpiLimit(): number {
    return 2 ** Math.min((this.propbaser[0]! & 0x1f) + 1, 16);
  }

  /** Guest physical address of the property table. */
  get propertyTable(): number {
    return toNumber(this.propbaser[0]! & 0xffff_f000, this.propbaser[1]! & 0xf_ffff);
  }

  /** Guest physical address of a vCPU's pending table. */
  pendingTable(vcpu: Vcpu): number {
    return toNumber(vcpu.pendbaser[0]! & 0xffff_0000, vcpu.pendbaser[1]! & 0xf_ffff);
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
        if (group === GRP.DIST_REGS) this.#writeDistributor(offset, 4, word, true);
        else this.#writeRedistributor(this.#vcpuOf(BigInt(attr))!, offset, 4, word, true);
        return 0;
      }
      case GRP.CPU_SYSREGS: {
        const error = this.#checkAccess(BigInt(attr));
        return error < 0 ? error : writeSysreg(this.#vcpuOf(BigInt(attr))!, lowHalf(BigInt(attr)), BigInt(value));
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
        if (group === GRP.DIST_REGS) return BigInt(this.#readDistributor(offset, 4, true));
        return BigInt(this.#readRedistributor(this.#vcpuOf(BigInt(attr))!, offset, 4, true));
      }
      case GRP.CPU_SYSREGS: {
        const error = this.#checkAccess(BigInt(attr));
        return error < 0 ? error : readSysreg(this.#vcpuOf(BigInt(attr))!, lowHalf(BigInt(attr)));
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

  #setAddress(type: number, address: number): number {
    if (type !== ADDR_TYPE.DIST && type !== ADDR_TYPE.REDIST) return -ENXIO;
    const old = type === ADDR_TYPE.DIST ? this.#distributorBase : this.#redistributorBase;
    const error = checkFrame(this.#vm, old, address, type === ADDR_TYPE.DIST ? FRAME : REDISTRIBUTOR_BYTES * this.#vm.vcpus.length);
    if (error < 0) return error;
    if (type === ADDR_TYPE.DIST) {
      this.#distributorBase = address;
      this.#vm.mapWindow(address, FRAME, this.#distributorFrame());
      return 0;
    }
    this.#redistributorBase = address;
    this.#vm.vcpus.forEach((vcpu, n) => {
      this.#vm.mapWindow(address + n * REDISTRIBUTOR_BYTES, REDISTRIBUTOR_BYTES, this.#redistributorFrame(vcpu));
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
    return this.#vm.allVcpusStopped ? this.savePendingTables() : -EBUSY;
  }

  /** vgic_init(). */
  #init(): number {
    if (this.#initialized) return 0;
    if (this.#nrIrqs === 0) this.#nrIrqs = DEFAULT_NR_IRQS;
    this.#spis = new WiredInterrupts(32, this.#nrIrqs - 32);
    this.#spis.group.fill(1);
    this.#banks.push(...this.#vm.vcpus.map(privateBank));
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
    this.#mapVpes();
    return 0;
  }

  // Pending tables

  /**
   * Writes the pending bit of every LPI to its vCPU's table in guest memory: vgic_v3_save_pending_tables().
   *
   * On GICv4.1 all vPEs are unmapped meanwhile, so that VPTs can be read; they are mapped again on every path.
   *
   * @returns 0, -ENXIO before the vgic is initialised, or -EFAULT
   */
  savePendingTables(): number {
    if (!this.#initialized && this.#vm.profile.savePendingNeedsInit) return -ENXIO;
    const { switches, gicv41 } = this.#vm.driver;
    const readable = gicv41 && switches.saveVlpiPending && this.#vm.itsVm !== undefined;
    if (readable) this.#unmapVpes();
    const error = this.#savePendingBits(readable && switches.vlpiPeek);
    if (readable) this.#mapVpes();
    return error;
  }

  #savePendingBits(readable: boolean): number {
    const { memory } = this.#vm;
    let last = -1;
    let byte = 0;
    for (const irq of this.#vm.lpis.all()) {
      const vcpu = irq.target;
      if (vcpu === undefined) continue;
      const address = this.pendingTable(vcpu) + (irq.intid >>> 3);
      if (address !== last) {
        if (!memory.accessible(address, 1)) return -EFAULT;
        byte = memory.read8(address);
        last = address;
      }
      const bit = 1 << (irq.intid & 7);
      const pending = irq.hw && readable ? (vcpu.vpe?.peek(irq.intid) ?? false) : irq.pendingLatch;
      if (((byte & bit) !== 0) === pending) continue;
      byte ^= bit;
      if (!memory.accessible(address, 1, true)) return -EFAULT;
      memory.write8(address, byte);
    }
    return 0;
  }

  #unmapVpes(): void {
    for (const vpe of this.#vm.itsVm?.vpes ?? []) vpe.freeDoorbell();
  }

  #mapVpes(): void {
    for (const vpe of this.#vm.itsVm?.vpes ?? []) vpe.requestDoorbell();
  }

  // Redistributor LPI control

  #setLpisEnabled(vcpu: Vcpu, enable: boolean): void {
    if (this.#vm.itss.length === 0 || enable === vcpu.lpisEnabled) return;
    if (enable) {
      vcpu.lpisEnabled = true;
      if ((vcpu.pendbaser[1]! & PENDBASER_PTZ) === 0) this.#readPendingTable(vcpu);
      return;
    }
    for (const irq of [...vcpu.queue]) {
      if (this.#vm.profile.disableClearsPending) irq.pendingLatch = false;
      this.#vm.lpis.unqueue(irq);
    }
    this.#vm.cache.invalidate();
    vcpu.lpisEnabled = false;
  }

  /** its_sync_lpi_pending_table(): latches are what the table says; the table stays. */
  #readPendingTable(vcpu: Vcpu): void {
    const { memory, lpis } = this.#vm;
    for (const irq of [...lpis.all()]) {
      if (irq.target !== vcpu) continue;
      const address = this.pendingTable(vcpu) + (irq.intid >>> 3);
      if (!memory.accessible(address, 1)) return;
      irq.pendingLatch = (memory.read8(address) & (1 << (irq.intid & 7))) !== 0;
      lpis.queue(irq);
    }
  }

  // Frames

  #distributorFrame(): GuestDevice {
    return {
      load: (_vcpu, offset, width) => loadHalves(offset, width, (at, w) => this.#readDistributor(at, w, false)),
      store: (_vcpu, offset, width, value) => {
        storeHalves(offset, width, value, (at, w, word) => this.#writeDistributor(at, w, word, false));
      },
    };
  }

  #redistributorFrame(vcpu: Vcpu): GuestDevice {
    return {
      load: (_from, offset, width) => loadHalves(offset, width, (at, w) => this.#readRedistributor(vcpu, at, w, false)),
      store: (_from, offset, width, value) => {
        storeHalves(offset, width, value, (at, w, word) => this.#writeRedistributor(vcpu, at, w, word, false));
      },
    };
  }

  #iidr(): number {
    return (IIDR | (this.#revision << 12)) >>> 0;
  }

  get #revision(): number {
    return this.#vm.profile.revision;
  }

  /** Of the identification registers only PIDR2 says something. */
  #idRegister(offset: number): number {
    return offset === 0xffe8 ? 0x3b : 0;
  }

  #readDistributor(offset: number, width: number, user: boolean): number {
    if (offset >= 0x80 && offset < 0x1000) {
      if (user && offset >= 0x280 && offset < 0x300) return 0;
      return this.#spis.read(offset, width);
    }
    switch (offset) {
      case 0x0:
        return GICD_CTLR_FIXED | (this.#enabled ? GICD_CTLR_GRP1 : 0);
      case 0x4: {
        const lines = this.#nrIrqs / 32 - 1;
        return this.#vm.itss.length > 0 ? lines | (15 << 19) | (1 << 17) : lines | (9 << 19);
      }
      case 0x8:
        return this.#iidr();
      case 0x10:
        return user ? 0xffff_ffff : 0;
      default:
        return offset >= 0xffd0 ? this.#idRegister(offset) : 0;
    }
  }

  #writeDistributor(offset: number, width: number, value: number, user: boolean): void {
    if (offset === 0) {
      this.#setEnabled((value & GICD_CTLR_GRP1) !== 0, user);
    } else if (offset >= 0x80 && offset < 0x1000) {
      writeBank(this.#spis, offset, width, value, user);
    }
  }

  #setEnabled(enable: boolean, user: boolean): void {
    const was = this.#enabled;
    this.#enabled = enable;
    if (was === enable || user) return;
    for (const vcpu of this.#vm.vcpus) {
      if (this.#vm.driver.gicv41) vcpu.reload();
      else if (enable) vcpu.kick();
    }
  }

  #readRedistributor(vcpu: Vcpu, offset: number, width: number, user: boolean): number {
    if (offset >= FRAME) {
      const at = offset - FRAME;
      return user && at >= 0x280 && at < 0x300 ? 0 : this.#banks[vcpu.id]!.read(at, width);
    }
    switch (offset) {
      case 0x0:
        return (vcpu.lpisEnabled ? GICR_CTLR_ENABLE_LPIS : 0) | (this.#revision >= 3 ? GICR_CTLR_IR_CES : 0);
      case 0x4:
        return IIDR;
      case 0x8: {
        const last = vcpu.id === this.#vm.vcpus.length - 1 && (!user || this.#vm.profile.userSeesLast);
        return (vcpu.id << 8) | (this.#vm.itss.length > 0 ? 1 : 0) | (last ? 0x10 : 0);
      }
      case 0xc:
        return vcpu.id;
      case 0x70:
      case 0x74:
        return this.propbaser[(offset - 0x70) / 4]!;
      case 0x78:
        return vcpu.pendbaser[0]!;
      case 0x7c:
        return vcpu.pendbaser[1]! & ~PENDBASER_PTZ;
      default:
        return offset >= 0xffd0 ? this.#idRegister(offset) : 0;
    }
  }

  #writeRedistributor(vcpu: Vcpu, offset: number, width: number, value: number, user: boolean): void {
    if (offset >= FRAME) {
      writeBank(this.#banks[vcpu.id]!, offset - FRAME, width, value, user);
      return;
    }
    switch (offset) {
      case 0x0:
        this.#setLpisEnabled(vcpu, (value & GICR_CTLR_ENABLE_LPIS) !== 0);
        return;
      case 0x70:
        if (!vcpu.lpisEnabled) this.propbaser[0] = sanitiseLow(value & 0xffff_ff9f);
        return;
      case 0x74:
        if (!vcpu.lpisEnabled) this.propbaser[1] = sanitiseOuter(value & 0x070f_ffff);
        return;
      case 0x78:
        if (!vcpu.lpisEnabled) vcpu.pendbaser[0] = sanitiseLow(value & 0xffff_0f80);
        return;
      case 0x7c:
        if (!vcpu.lpisEnabled) vcpu.pendbaser[1] = sanitiseOuter(value & 0x470f_ffff);
        return;
      case 0xa0:
        if (vcpu.lpisEnabled && this.#revision >= 3) this.#vm.itss[0]?.invalidateLpi(value);
        return;
      case 0xb0:
        if (vcpu.lpisEnabled && this.#revision >= 3) this.#vm.itss[0]?.invalidateAll(vcpu);
        return;
    }
  }
}

/** SGIs and PPIs of a vCPU at reset: Group 1, SGIs enabled. */
function privateBank(): WiredInterrupts {
  const bank = new WiredInterrupts(0, 32);
  bank.group.fill(1);
  bank.enabled.fill(1, 0, 16);
  return bank;
}

/** vgic_check_iorange(). @returns 0 or a negative errno */
export function checkFrame(vm: KvmVm, old: number | undefined, address: number, size: number): number {
  if (!vm.profile.checksFrameEnd) {
    if (address >= 2 ** vm.ipaBits) return -E2BIG;
    if (address % FRAME !== 0) return -EINVAL;
    return old === undefined ? 0 : -EEXIST;
  }
  if (old !== undefined) return -EEXIST;
  if (address % FRAME !== 0 || address + size > 2 ** 64) return -EINVAL;
  return address + size > 2 ** vm.ipaBits ? -E2BIG : 0;
}

/** Shareability [11:10] and inner cacheability [9:7] as KVM accepts them. */
function sanitiseLow(value: number): number {
  const share = (value >>> 10) & 3;
  const inner = (value >>> 7) & 7;
  return ((value & ~0xf80) | ((share === 2 ? 1 : share) << 10) | ((inner < 2 ? 3 : inner) << 7)) >>> 0;
}

/** Outer cacheability, bits [58:56]. */
function sanitiseOuter(value: number): number {
  return ((value >>> 24) & 7) >= 2 ? value & ~0x0700_0000 : value >>> 0;
}

function isDistributorRegister(offset: number): boolean {
  if (offset <= 0x10) return true;
  return (offset >= 0x80 && offset < 0x0e00) || (offset >= 0x6000 && offset < 0x8000) || (offset >= 0xffd0 && offset < FRAME);
}

function isRedistributorRegister(offset: number): boolean {
  if (offset >= FRAME) return isDistributorRegister(offset - FRAME) && offset - FRAME < 0x0e00 && offset - FRAME >= 0x80;
  return offset <= 0x14 || (offset >= 0x70 && offset < 0x80) || offset === 0xa0 || offset === 0xb0 || offset === 0xc0 || (offset >= 0xffd0 && offset < FRAME);
}

/** A user write of ISPENDR sets the latches as given; ICPENDR is ignored. */
function writeBank(bank: WiredInterrupts, offset: number, width: number, value: number, user: boolean): void {
  if (user && offset >= 0x280 && offset < 0x300) return;
  if (user && offset >= 0x200 && offset < 0x280) bank.write(offset + 0x80, width, 0xffff_ffff);
  bank.write(offset, width, value);
}

/** An access of up to 8 bytes as one or two of up to 4. */
export function loadHalves(offset: number, width: number, read: (at: number, width: number) => number): bigint {
  return width === 8 ? toBigint(read(offset, 4), read(offset + 4, 4)) : BigInt(read(offset, width) >>> 0);
}

export function storeHalves(offset: number, width: number, value: bigint, write: (at: number, width: number, word: number) => void): void {
  if (width !== 8) {
    write(offset, width, lowHalf(value));
    return;
  }
  write(offset, 4, lowHalf(value));
  write(offset + 4, 4, highHalf(value));
}
