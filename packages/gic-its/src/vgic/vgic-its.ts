/**
 * The emulated ITS of a VM: its KVM device attributes, and MSI translation.
 *
 * Kernel: vgic-its.c. Registers, commands, what is mapped, and the saved tables are in files of their own (vgic-its-*.ts).
 * Modelled: all physical commands, every KVM device attribute.
 */
import { EBUSY, EFAULT, EINVAL, ENODEV, ENXIO, lowHalf } from '@vsim/vfio-core';
import type { KvmVm } from './kvm-vm.ts';
import { ADDR_TYPE, CTRL, GRP } from './uapi.ts';
import type { VgicIrq } from './vgic-irq.ts';
import { E_ITS, ItsCommands } from './vgic-its-commands.ts';
import { ItsMappings } from './vgic-its-mappings.ts';
import { alignmentOf, BASER_DEVICE, isItsRegister, isWide, ItsRegisters } from './vgic-its-registers.ts';
import { addressOf, checkedFrame, checkFrame } from './vgic-frames.ts';
import { restoreTables, saveTables } from './vgic-its-tables.ts';

const FRAME_BYTES = 0x2_0000;
const TRANSLATER = 0x1_0040;

export class VgicIts {
  readonly vm: KvmVm;
  readonly index: number;
  readonly registers: ItsRegisters;
  readonly mappings: ItsMappings;
  #base: number | undefined;

  /** @internal Made by KvmVm.createIts(). */
  constructor(vm: KvmVm, index: number) {
    this.vm = vm;
    this.index = index;
    this.mappings = new ItsMappings(vm, index);
    this.registers = new ItsRegisters(vm, index, {
      tableGone: (table) => {
        if (table === BASER_DEVICE) this.mappings.freeDevices();
        else this.mappings.freeCollections();
        if (vm.profile.baserChangeFrees) this.mappings.dropTranslations();
      },
      disabled: () => this.mappings.dropTranslations(),
      posted: () => commands.posted(),
      command: (address) => commands.execute(address),
    });
    const commands = new ItsCommands(vm, this.registers, this.mappings, (device, event) => this.triggerMsi(device, event));
  }

  /** Guest physical address of GITS_TRANSLATER. */
  get doorbell(): number | undefined {
    return this.#base === undefined ? undefined : this.#base + TRANSLATER;
  }

  /** Whether a guest physical address is in one of its frames. */
  contains(address: number): boolean {
    return this.#base !== undefined && address >= this.#base && address < this.#base + FRAME_BYTES;
  }

  get enabled(): boolean {
    return this.registers.enabled;
  }

  destroy(): void {
    this.registers.reset();
    this.#forget();
    this.mappings.dropTranslations();
  }

  // Device attributes

  hasAttr(group: number, attr: bigint | number): number {
    const which = Number(attr);
    switch (group) {
      case GRP.ADDR:
        return which === ADDR_TYPE.ITS ? 0 : -ENXIO;
      case GRP.CTRL:
        return which === CTRL.INIT || which === CTRL.ITS_SAVE_TABLES || which === CTRL.ITS_RESTORE_TABLES || which === CTRL.ITS_RESET ? 0 : -ENXIO;
      case GRP.ITS_REGS: {
        const offset = lowHalf(BigInt(attr));
        if (offset % alignmentOf(offset) !== 0) return -EINVAL;
        return isItsRegister(offset) ? 0 : -ENXIO;
      }
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
    switch (group) {
      case GRP.CTRL:
        return this.#control(BigInt(attr));
      case GRP.ADDR:
        if (BigInt(attr) !== BigInt(ADDR_TYPE.ITS)) return -ENODEV;
        return value === undefined ? -EFAULT : this.#setAddress(addressOf(value));
      case GRP.ITS_REGS: {
        if (value === undefined) return -EFAULT;
        // The kernel looks a register up by 32 bits.
        const offset = lowHalf(BigInt(attr));
        const error = this.#checkRegister(offset);
        return error < 0 ? error : this.registers.writeUser(offset, BigInt(value));
      }
      default:
        return -ENXIO;
    }
  }

  /** KVM_GET_DEVICE_ATTR. @returns the value, or a negative errno as a number */
  getAttr(group: number, attr: bigint | number): bigint | number {
    switch (group) {
      case GRP.ADDR:
        if (Number(attr) !== ADDR_TYPE.ITS) return -ENODEV;
        return this.#base === undefined ? 0xffff_ffff_ffff_ffffn : BigInt(this.#base);
      case GRP.ITS_REGS: {
        const offset = lowHalf(BigInt(attr));
        const error = this.#checkRegister(offset);
        return error < 0 ? error : this.registers.readWide(offset);
      }
      default:
        return -ENXIO;
    }
  }

  #setAddress(address: number): number {
    const error = checkFrame(this.vm, this.#base, address, FRAME_BYTES);
    if (error < 0) return error;
    this.#base = address;
    this.vm.mapWindow(address, FRAME_BYTES, checkedFrame(this.vm, `its ${this.index}`, (offset) => (isWide(offset) ? 8 | 4 : 4), this.registers.frame()));
    return 0;
  }

  #control(attr: bigint): number {
    if (attr === BigInt(CTRL.INIT)) return 0;
    if (!this.vm.allVcpusStopped) return -EBUSY;
    switch (Number(attr)) {
      case CTRL.ITS_RESET:
        this.registers.reset();
        this.#forget();
        return 0;
      case CTRL.ITS_SAVE_TABLES:
        return saveTables(this);
      case CTRL.ITS_RESTORE_TABLES:
        return restoreTables(this);
      default:
        return this.vm.profile.refusesUnknownItsCtrl ? -ENXIO : 0;
    }
  }

  /** What a register access needs, in the kernel's order of checks. */
  #checkRegister(offset: number): number {
    if (offset % alignmentOf(offset) !== 0) return -EINVAL;
    if (this.#base === undefined) return -ENXIO;
    if (!isItsRegister(offset)) return -ENXIO;
    return this.vm.allVcpusStopped ? 0 : -EBUSY;
  }

  #forget(): void {
    this.mappings.freeDevices();
    this.mappings.forgetCollections();
  }

  // MSIs

  /** vgic_its_resolve_lpi(). @returns the LPI, a positive ITS code, or -EBUSY */
  resolve(device: number, event: number): VgicIrq | number {
    if (!this.enabled) return -EBUSY;
    const found = this.mappings.findEvent(device, event);
    const vcpu = this.mappings.vcpuOf(found?.collection);
    if (found === undefined || vcpu === undefined) return E_ITS.INT_UNMAPPED_INTERRUPT;
    if (!vcpu.lpisEnabled) return -EBUSY;
    this.vm.cache.add(this.index, device, event, found.irq);
    return found.irq;
  }

  /** vgic_its_trigger_msi(). @returns 0, a positive ITS code, or a negative errno */
  triggerMsi(device: number, event: number): number {
    const irq = this.resolve(device, event);
    if (typeof irq === 'number') return irq;
    if (irq.hw) {
      irq.hostIrq?.setPending(true);
      return 0;
    }
    irq.pendingLatch = true;
    this.vm.lpis.queue(irq);
    return 0;
  }
}
