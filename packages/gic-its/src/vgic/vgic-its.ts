import { EBUSY, EINVAL, ENODEV, ENXIO, lowHalf } from '@vsim/vfio-core';
import { tellIgnored } from './ignored-command.ts';
import { COMMAND_UNREADABLE, EVENT_UNMAPPED, ITS_OFF, LPIS_OFF } from './its-reasons.ts';
import { ATTRIBUTE_MEMORY, ATTRIBUTE_UNKNOWN, NO_ADDRESS, NO_REGISTER } from './vm-reasons.ts';
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

/**
 * The emulated ITS of a VM: its KVM device attributes, and MSI translation.
 *
 * Kernel: vgic-its.c. Registers, commands, what is mapped, and the saved tables are in files of their own (vgic-its-*.ts).
 * Modelled: all physical commands, every KVM device attribute.
 */
export class VgicIts {
  /** The VM that it is of. */
  readonly vm: KvmVm;
  /** Its place in KvmVm.itss. */
  readonly index: number;
  /** GITS_CTLR, CBASER, CWRITER, CREADR and BASER<n>. */
  readonly registers: ItsRegisters;
  /** Devices, events and collections that the guest has mapped. */
  readonly mappings: ItsMappings;
  #base: number | undefined;

  /** Made by KvmVm.createIts(). @internal @param index its place in KvmVm.itss */
  constructor(vm: KvmVm, index: number) {
    this.vm = vm;
    this.index = index;
    this.mappings = new ItsMappings(vm, index);
    this.registers = new ItsRegisters(vm, index, {
      tableGone: (table) => {
        if (table === BASER_DEVICE) this.mappings.freeDevices();
        else this.mappings.freeCollections();
      },
      disabled: () => this.mappings.dropTranslations(),
      posted: () => commands.posted(),
      command: (address) => {
        if (commands.execute(address) !== 0 && vm.trace.on) tellIgnored(this, commands.read(address));
      },
      unreadable: (address) => {
        if (vm.trace.on) vm.refusals.refuse(COMMAND_UNREADABLE, { its: index, address });
      },
    });
    const commands = new ItsCommands(vm, this.registers, this.mappings, (device, event) => this.triggerMsi(device, event));
  }

  /** Guest physical address of GITS_TRANSLATER; undefined before ADDR_TYPE.ITS is set. */
  get doorbell(): number | undefined {
    return this.#base === undefined ? undefined : this.#base + TRANSLATER;
  }

  /** Whether a guest physical address is in one of its frames, 128 KiB. @param address guest physical */
  contains(address: number): boolean {
    return this.#base !== undefined && address >= this.#base && address < this.#base + FRAME_BYTES;
  }

  /** GITS_CTLR.Enabled of the guest. */
  get enabled(): boolean {
    return this.registers.enabled;
  }

  /** Its VM goes: what was mapped is forgotten. Kernel: vgic_its_destroy() */
  destroy(): void {
    this.registers.reset();
    this.#forget();
    this.mappings.dropTranslations();
  }

  // Device attributes

  /**
   * KVM_HAS_DEVICE_ATTR.
   *
   * @param group one of GRP
   * @param attr 64 bits, of the group
   * @returns 0; -ENXIO for an attribute or register that there is not; -EINVAL for a register that is not aligned
   */
  hasAttr(group: number, attr: bigint | number): number {
    const whole = BigInt(attr);
    switch (group) {
      case GRP.ADDR:
        if (whole === BigInt(ADDR_TYPE.ITS)) return 0;
        break;
      case GRP.CTRL:
        if ([CTRL.INIT, CTRL.ITS_SAVE_TABLES, CTRL.ITS_RESTORE_TABLES, CTRL.ITS_RESET].some((known) => whole === BigInt(known))) return 0;
        break;
      case GRP.ITS_REGS: {
        const offset = lowHalf(whole);
        return this.#checkAlignment(offset) || this.#checkExists(offset);
      }
    }
    return this.#unknown('have', group, whole, ENXIO);
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
    const whole = BigInt(attr);
    switch (group) {
      case GRP.CTRL:
        return this.#control(whole);
      case GRP.ADDR:
        if (whole !== BigInt(ADDR_TYPE.ITS)) return this.#unknown('set', group, whole, ENODEV);
        return value === undefined ? this.#unreadable(group, whole) : this.#setAddress(addressOf(value));
      case GRP.ITS_REGS: {
        if (value === undefined) return this.#unreadable(group, whole);
        // The kernel looks a register up by 32 bits.
        const offset = lowHalf(whole);
        const error = this.#checkRegister(offset);
        return error < 0 ? error : this.registers.writeUser(offset, BigInt(value));
      }
      default:
        return this.#unknown('set', group, whole, ENXIO);
    }
  }

  /**
   * KVM_GET_DEVICE_ATTR.
   *
   * @param group GRP.ADDR or GRP.ITS_REGS
   * @param attr 64 bits, of the group
   * @returns the value, or a negative errno as a number
   */
  getAttr(group: number, attr: bigint | number): bigint | number {
    const whole = BigInt(attr);
    switch (group) {
      case GRP.ADDR:
        if (whole !== BigInt(ADDR_TYPE.ITS)) return this.#unknown('get', group, whole, ENODEV);
        return this.#base === undefined ? 0xffff_ffff_ffff_ffffn : BigInt(this.#base);
      case GRP.ITS_REGS: {
        const offset = lowHalf(whole);
        const error = this.#checkRegister(offset);
        return error < 0 ? error : this.registers.readWide(offset);
      }
      default:
        return this.#unknown('get', group, whole, ENXIO);
    }
  }

  #unknown(call: string, group: number, attr: bigint, errno: number): number {
    return this.vm.refusals.refuse(ATTRIBUTE_UNKNOWN, { device: `its ${this.index}`, call, group, attr }, errno);
  }

  #unreadable(group: number, attr: bigint): number {
    return this.vm.refusals.refuse(ATTRIBUTE_MEMORY, { device: `its ${this.index}`, group, attr });
  }

  #setAddress(address: number): number {
    const error = checkFrame(this.vm, `its ${this.index}`, this.#base, address, FRAME_BYTES);
    if (error < 0) return error;
    this.#base = address;
    this.vm.mapWindow(address, FRAME_BYTES, checkedFrame(this.vm, `its ${this.index}`, (offset) => (isWide(offset) ? 8 | 4 : 4), this.registers.frame()));
    return 0;
  }

  #control(attr: bigint): number {
    if (attr === BigInt(CTRL.INIT)) return 0;
    const error = this.vm.checkStopped('CTRL of an its');
    if (error < 0) return error;
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
        return this.vm.profile.refusesUnknownItsCtrl ? this.#unknown('set', GRP.CTRL, attr, ENXIO) : 0;
    }
  }

  /** What a register access needs, in the kernel's order of checks. */
  #checkRegister(offset: number): number {
    const error = this.#checkAlignment(offset);
    if (error < 0) return error;
    if (this.#base === undefined) return this.vm.refusals.refuse(NO_ADDRESS, { frame: `its ${this.index}`, vcpu: undefined });
    return this.#checkExists(offset) || this.vm.checkStopped('register of an its');
  }

  #checkAlignment(offset: number): number {
    return offset % alignmentOf(offset) === 0 ? 0 : this.vm.refusals.refuse(NO_REGISTER, { device: `its ${this.index}`, offset }, EINVAL);
  }

  #checkExists(offset: number): number {
    return isItsRegister(offset) ? 0 : this.vm.refusals.refuse(NO_REGISTER, { device: `its ${this.index}`, offset }, ENXIO);
  }

  #forget(): void {
    this.mappings.freeDevices();
    this.mappings.forgetCollections();
  }

  // MSIs

  /** What an event lacks that an MSI of it needs; undefined: nothing. @param device DeviceID, 32 bits @param event EventID, 32 bits */
  missing(device: number, event: number): 'device' | 'event' | 'collection' | undefined {
    const mapped = this.mappings.findDevice(device);
    if (mapped === undefined) return 'device';
    const found = mapped.events.get(event);
    if (found === undefined) return 'event';
    return this.mappings.vcpuOf(found.collection) === undefined ? 'collection' : undefined;
  }

  /** Tells why an MSI or a command of an event came to nothing. @internal @param device DeviceID @param event EventID */
  tellUnresolved(what: string, device: number, event: number): void {
    const { refusals, trace } = this.vm;
    const missing = this.missing(device, event);
    if (!this.enabled) {
      refusals.refuse(ITS_OFF, { its: this.index, device, event });
    } else if (missing === undefined) {
      const { irq, collection } = this.mappings.findEvent(device, event)!;
      refusals.refuse(LPIS_OFF, { device, event, lpi: irq.intid, vcpu: this.mappings.vcpuOf(collection)!.id });
    } else if (trace.on) {
      refusals.refuse(EVENT_UNMAPPED, { what, device, event, missing });
    }
  }

  /**
   * vgic_its_resolve_lpi(): what an event leads to, which is then cached.
   *
   * @param device DeviceID, 32 bits
   * @param event EventID, 32 bits
   * @returns the LPI; a positive code of E_ITS; -EBUSY while the ITS, or LPIs of the target, are off
   */
  resolve(device: number, event: number): VgicIrq | number {
    if (!this.enabled) return -EBUSY;
    const found = this.mappings.findEvent(device, event);
    const vcpu = this.mappings.vcpuOf(found?.collection);
    if (found === undefined || vcpu === undefined) return E_ITS.INT_UNMAPPED_INTERRUPT;
    if (!vcpu.lpisEnabled) return -EBUSY;
    this.vm.cache.add(this.index, device, event, found.irq);
    return found.irq;
  }

  /**
   * vgic_its_trigger_msi().
   *
   * @param device DeviceID, 32 bits
   * @param event EventID, 32 bits
   * @returns 0; a positive code of E_ITS; -EBUSY as resolve()
   */
  triggerMsi(device: number, event: number): number {
    const irq = this.resolve(device, event);
    if (typeof irq === 'number') return irq;
    if (irq.hw) {
      irq.hostIrq?.setPending(true);
      return 0;
    }
    irq.pendingLatch = true;
    this.vm.tellRaised(irq.intid);
    this.vm.lpis.queue(irq);
    return 0;
  }
}
