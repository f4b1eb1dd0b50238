/**
 * The distributor that a guest sees.
 *
 * Kernel: vgic_mmio_read_v3_misc(), vgic_mmio_write_v3_misc(), vgic_mmio_uaccess_write_v3_misc() and the SPI registers of vgic-mmio-v3.c.
 * Modelled: GICD_CTLR with nASSGIreq, identification, SPI registers, which are kept and read back.
 */
import { EBUSY, EINVAL } from '@vsim/vfio-core';
import type { GuestDevice } from './guest-bus.ts';
import { InterruptBank, type BankOwner } from './interrupt-bank.ts';
import { REGISTER_VALUE } from './vm-reasons.ts';
import type { ItsDriver } from '../host/index.ts';
import type { GicVcpu } from './private-interrupts.ts';
import { checkedFrame, loadHalves, storeHalves, type Accessor, type FrameVm } from './vgic-frames.ts';
import { VgicIrq } from './vgic-irq.ts';

/** Arm; product 0x4b, as KVM has it. */
export const IIDR = 0x4b00_043b;
const IIDR_REVISION = 0xf000;
const CTLR_FIXED = 0x50; // DS, ARE_NS
const CTLR_GRP1 = 2;
const CTLR_NASSGIREQ = 0x100;
const TYPER2_NASSGICAP = 0x100;
const FIRST_SPI = 32;
const IROUTER = 0x6000;
const IROUTER_END = 0x8000;

/** A VM as its distributor knows it: the vCPUs that its interrupts go to. */
export interface DistributorVm extends FrameVm, BankOwner {
  readonly driver: ItsDriver;
  readonly vcpus: readonly GicVcpu[];
  readonly itss: readonly unknown[];
  vcpuOfAffinity(affinity: number): GicVcpu | undefined;
}

export class GuestDistributor {
  readonly #vm: DistributorVm;
  #enabled = false;
  #nassgireq = false;
  /** GICD_TYPER2.nASSGIcap, which user space can take away from the guest in 7.3. */
  #nassgicap: boolean;
  #revision: number;
  #nrIrqs = 0;
  #spis: InterruptBank;

  constructor(vm: DistributorVm) {
    this.#vm = vm;
    this.#revision = vm.profile.revision;
    this.#spis = new InterruptBank(vm, FIRST_SPI, []);
    this.#nassgicap = vm.driver.gicv41;
  }

  /** On GICv4.1 hardware delivers vSGIs and VLPIs, or, if the guest may not have vSGIs, neither. Kernel: vgic_supports_direct_msis(). */
  get direct(): boolean {
    return this.#nassgicap || !this.#vm.driver.gicv41;
  }

  /** GICD_CTLR.EnableGrp1. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** GICD_IIDR.Revision: what user space made of the kernel's. */
  get revision(): number {
    return this.#revision;
  }

  /** INTIDs below this are SGIs, PPIs and SPIs. @param count a multiple of 32 */
  setNrIrqs(count: number): void {
    this.#nrIrqs = count;
    const irqs = Array.from({ length: count - FIRST_SPI }, (_, n) => new VgicIrq(FIRST_SPI + n));
    for (const irq of irqs) irq.target = this.#vm.vcpus[0];
    this.#spis = new InterruptBank(this.#vm, FIRST_SPI, irqs);
  }

  /** An SPI, undefined for an INTID that the VM has none of. @param intid any */
  irq(intid: number): VgicIrq | undefined {
    return this.#spis.irqs[intid - FIRST_SPI];
  }

  frame(): GuestDevice {
    return checkedFrame(this.#vm, 'distributor', widthsOf, {
      load: (_vcpu, offset, width) => loadHalves(offset, width, (at, w) => this.read(at, w, 'guest')),
      store: (_vcpu, offset, width, value) => {
        storeHalves(offset, width, value, (at, w, word) => this.write(at, w, word, 'guest'));
      },
    });
  }

  read(offset: number, width: number, by: Accessor): number {
    if (offset >= 0x80 && offset < 0x1000) return this.#spis.read(offset, width, by);
    switch (offset) {
      case 0x0:
        return CTLR_FIXED | (this.#enabled ? CTLR_GRP1 : 0) | (this.#nassgireq ? CTLR_NASSGIREQ : 0);
      case 0x4: {
        const lines = this.#nrIrqs / 32 - 1;
        return this.#vm.itss.length > 0 ? lines | (15 << 19) | (1 << 17) : lines | (9 << 19);
      }
      case 0x8:
        return (IIDR | (this.#revision << 12)) >>> 0;
      case 0xc:
        return this.#nassgicap ? TYPER2_NASSGICAP : 0;
      case 0x10:
        return by === 'user' ? 0xffff_ffff : 0;
      default:
        // The upper half, Aff3, is not there.
        if (offset >= IROUTER && offset < IROUTER_END) return offset % 8 === 0 ? (this.irq((offset - IROUTER) / 8)?.route ?? 0) : 0;
        return offset >= 0xffd0 ? idRegister(offset) : 0;
    }
  }

  /**
   * @param frozen the GIC is initialised
   * @param offset bytes from the frame's start
   * @param width 1, 2 or 4 bytes
   * @param value unsigned, of that width
   * @returns 0; -EINVAL or -EBUSY to user space for an IIDR or TYPER2 that this GIC cannot have
   */
  write(offset: number, width: number, value: number, by: Accessor, frozen = true): number {
    if (offset >= IROUTER && offset < IROUTER_END) {
      const irq = offset % 8 === 0 ? this.irq((offset - IROUTER) / 8) : undefined;
      if (irq !== undefined) {
        irq.route = value & 0xff_ffff;
        irq.target = this.#vm.vcpuOfAffinity(irq.route);
      }
    } else if (offset >= 0x80 && offset < 0x1000) this.#spis.write(offset, width, value, by);
    else if (offset === 0) this.#setCtlr(value, by);
    else if (by === 'user' && offset === 0x8) return this.#setIidr(value);
    else if (by === 'user' && offset === 0xc) return this.#setTyper2(value, frozen);
    return 0;
  }

  readLevels(first: number): number {
    return this.#spis.readLevels(first);
  }

  writeLevels(first: number, levels: number): void {
    this.#spis.writeLevels(first, levels);
  }

  /** Every vCPU's SGIs go to the hardware or come back, as nASSGIreq says. Kernel: vgic_v4_configure_vsgis(). */
  configureVsgis(): void {
    const { vcpus } = this.#vm;
    for (const vcpu of vcpus) vcpu.exitGuest();
    for (const { vpe, privates } of vcpus) {
      if (!this.#nassgireq) privates.takeBack();
      else if (vpe !== undefined) privates.forward(vpe.sgis);
    }
    for (const vcpu of vcpus) vcpu.enterGuest();
  }

  #setCtlr(value: number, by: Accessor): void {
    const was = this.#enabled;
    const wasHardware = this.#nassgireq;
    this.#enabled = (value & CTLR_GRP1) !== 0;
    // Read-only while the distributor stays enabled.
    const changeable = this.#nassgicap && (by === 'user' || !was || !this.#enabled);
    if (changeable) this.#nassgireq = (value & CTLR_NASSGIREQ) !== 0;
    if (by === 'user') return;
    if (wasHardware !== this.#nassgireq) this.configureVsgis();
    if (was === this.#enabled) return;
    for (const vcpu of this.#vm.vcpus) {
      if (this.#vm.driver.gicv41) vcpu.reload();
      else if (this.#enabled) vcpu.kick();
    }
  }

  #setTyper2(value: number, frozen: boolean): number {
    if (value === this.read(0xc, 4, 'user')) return 0;
    if (!this.#vm.profile.registersBeforeInit) return this.#refuse('GICD_TYPER2', 0xc, value);
    if (frozen) return this.#refuse('GICD_TYPER2', 0xc, value, EBUSY);
    // Only what the host's GIC has.
    if ((value & ~TYPER2_NASSGICAP) !== 0 || (value !== 0 && !this.#vm.driver.gicv41)) return this.#refuse('GICD_TYPER2', 0xc, value);
    this.#nassgicap = value !== 0;
    return 0;
  }

  #refuse(register: string, offset: number, value: number, errno = EINVAL): number {
    return this.#vm.refusals.refuse(REGISTER_VALUE, { register, value: BigInt(value), has: BigInt(this.read(offset, 4, 'user')) }, errno);
  }

  #setIidr(value: number): number {
    if (((value ^ IIDR) & ~IIDR_REVISION) !== 0) return this.#refuse('GICD_IIDR', 0x8, value);
    const revision = (value & IIDR_REVISION) >>> 12;
    if (!this.#vm.profile.revisions.includes(revision)) return this.#refuse('GICD_IIDR', 0x8, value);
    this.#revision = revision;
    return 0;
  }
}

/** IROUTER has 64 bits, IPRIORITYR and ITARGETSR bytes. */
function widthsOf(offset: number): number {
  if (offset >= 0x400 && offset < 0xc00) return 4 | 1;
  return offset >= IROUTER && offset < IROUTER_END ? 8 | 4 : 4;
}

/** Of the identification registers only PIDR2 says something. @param offset bytes from the frame's start */
export function idRegister(offset: number): number {
  return offset === 0xffe8 ? 0x3b : 0;
}

/** Registers with some bits for each interrupt: from where to where, and how many bits. */
const BANKS: readonly (readonly [start: number, end: number, bits: number])[] = [
  [0x80, 0x400, 1],
  [0x400, 0xc00, 8],
  [0xc00, 0xd00, 2],
  [0xd00, 0xd80, 1],
  [IROUTER, IROUTER_END, 64],
];

/**
 * Whether there is a register at an offset. Those of interrupts that the VM does not have are none.
 *
 * @param nrIrqs INTIDs of the VM
 * @param offset bytes from the frame's start
 */
export function isDistributorRegister(offset: number, nrIrqs: number): boolean {
  if (offset % 4 !== 0) return false;
  if (offset <= 0x10 || (offset >= 0xffd0 && offset < 0x1_0000)) return true;
  const bank = BANKS.find(([start, end]) => offset >= start && offset < end);
  if (bank === undefined) return false;
  const [, , bits] = bank;
  // A bank has room for 1024 interrupts, and is aligned to that.
  const first = ((offset % (128 * bits)) * 8) / bits;
  return first < nrIrqs;
}
