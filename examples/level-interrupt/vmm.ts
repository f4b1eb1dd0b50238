/**
 * A VMM that gives a platform device's level interrupt to its guest: VFIO masks the line when it comes, KVM raises the guest's SPI, the guest's EOI makes KVM
 * signal the resamplefd, and that unmasks the line, without a word of the VMM's. docs/level-interrupts.md says why each call is as it is.
 */
import { getDeviceFd, getRegionInfo, setContainer, setIrqs, setIrqTriggers, VFIO_DEVICE_SET_IRQS, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, type Mapping, type Process, type Sleeps } from '@vsim/vfio-core';
import { ADDR_TYPE, coreRegister, CTRL, GRP, KVM_DEV_TYPE_ARM_VGIC_V3, KVM_REG_ARM_PC, KVM_RUN, KvmCalls, SYSREG } from '@vsim/gic-its';
import { AT, SPI } from './board.ts';

const GSI = SPI - 32; // a VM's GSIs are the pins of its GIC until it says otherwise
const WORD = 4 * Math.floor(SPI / 32);

/** The device as the VMM has it from VFIO. It outlives the VMs that it is given to. */
export class PassedDevice {
  readonly user: Process;
  readonly registers: Mapping;
  /** VFIO signals it, KVM listens. */
  readonly raise: number;
  /** KVM signals it, VFIO listens. */
  readonly resample: number;
  readonly #fd: number;
  readonly #fds: readonly number[];

  constructor(user: Process, name = '9000000.uart') {
    const [container, group] = [user.open('/dev/vfio/vfio'), user.open('/dev/vfio/0')];
    setContainer(user, group, container);
    user.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    this.user = user;
    this.#fd = getDeviceFd(user, group, name);
    this.registers = user.mmap(this.#fd, 0x1000, Number(getRegionInfo(user, this.#fd, 0).offset));
    [this.raise, this.resample] = [user.eventfd(), user.eventfd()];
    this.#fds = [this.#fd, group, container, this.raise, this.resample];
  }

  close(): void {
    this.registers.unmap(); // it keeps the device open, too
    for (const fd of this.#fds) this.user.close(fd);
  }

  /** The line signals `raise`, from now on; at once if it is up. */
  trigger(): void {
    setIrqTriggers(this.user, this.#fd, 0, 0, [this.raise]);
  }

  /** `resample` unmasks the line. */
  unmaskByResample(): void {
    const set = Int32Array.of(24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 0, 1, this.resample);
    this.user.ioctl(this.#fd, VFIO_DEVICE_SET_IRQS, new Uint8Array(set.buffer));
  }

  /** Once, by hand. Harmless at any time: a line that is up comes again, and KVM has it up already. */
  unmask(): void {
    setIrqs(this.user, this.#fd, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
  }
}

/** What a guest is between two accesses. */
export interface Saved {
  readonly ram: Uint8Array;
  readonly core: readonly bigint[];
  readonly gic: readonly bigint[];
}

const CORE = [KVM_REG_ARM_PC, ...[0, 1, 2, 4, 5, 6].map(coreRegister)];
/** In the order of a restore: the distributor is on before anything is pending, else KVM puts it on no vCPU's list; then enables, latches, active states, the level. */
const GIC = [
  [GRP.DIST_REGS, 0], [GRP.DIST_REGS, 0x100 + WORD], [GRP.DIST_REGS, 0x200 + WORD], [GRP.DIST_REGS, 0x300 + WORD], [GRP.LEVEL_INFO, 32 * Math.floor(SPI / 32)],
  [GRP.CPU_SYSREGS, SYSREG.ICC_PMR_EL1], [GRP.CPU_SYSREGS, SYSREG.ICC_IGRPEN1_EL1], [GRP.CPU_SYSREGS, SYSREG.ICC_AP1R0_EL1],
] as const;

export class Vmm {
  readonly #device: PassedDevice;
  readonly #calls: KvmCalls;
  readonly #fds: { readonly vm: number; readonly vcpu: number; readonly gic: number };
  readonly #ram: Mapping;

  /** A VM with the device's registers mapped, so that the guest's accesses do not come here. */
  constructor(device: PassedDevice) {
    const { user } = (this.#device = device);
    const calls = (this.#calls = new KvmCalls(user));
    const vm = calls.createVm(user.open('/dev/kvm'));
    calls.setMemory(vm, 0, AT.RAM, AT.RAM_BYTES, (this.#ram = user.mmap(-1, AT.RAM_BYTES)).address);
    calls.setMemory(vm, 1, AT.UART, 0x1000, device.registers.address);
    const vcpu = calls.createVcpu(vm, 0);
    const gic = calls.createDevice(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
    this.#fds = { vm, vcpu, gic };
    calls.setAttr(gic, GRP.ADDR, ADDR_TYPE.DIST, AT.DIST);
    calls.setAttr(gic, GRP.ADDR, ADDR_TYPE.REDIST, AT.REDIST);
    calls.setAttr(gic, GRP.CTRL, CTRL.INIT);
    calls.setReg(vcpu, KVM_REG_ARM_PC, BigInt(AT.RAM));
  }

  /** `raise` raises the SPI, and the guest's end of it signals `resample`. What was signalled before counts. */
  irqfd(): void {
    this.#calls.irqfd(this.#fds.vm, this.#device.raise, GSI, { resample: this.#device.resample });
  }

  /** The vCPU's thread. */
  run(): Sleeps<number> {
    return this.#device.user.sys.ioctl(this.#fds.vcpu, KVM_RUN, 0);
  }

  /** The vCPU is stopped. */
  save(): Saved {
    const { vcpu, gic } = this.#fds;
    return {
      ram: this.#ram.readBytes(0, AT.RAM_BYTES),
      core: CORE.map((id) => this.#calls.getReg(vcpu, id)),
      gic: GIC.map(([group, at]) => this.#calls.getAttr(gic, group, at)),
    };
  }

  /** Before irqfd(): LEVEL_INFO would put down what that has raised. */
  restore(saved: Saved): void {
    const { vcpu, gic } = this.#fds;
    this.#ram.writeBytes(0, saved.ram);
    for (const [n, id] of CORE.entries()) this.#calls.setReg(vcpu, id, saved.core[n]!);
    for (const [n, [group, at]] of GIC.entries()) this.#calls.setAttr(gic, group, at, saved.gic[n]);
  }

  /** The VM goes; the device stays. */
  close(): void {
    for (const fd of [this.#fds.vcpu, this.#fds.gic, this.#fds.vm]) this.#device.user.close(fd);
  }

  register(x: number): number {
    return Number(this.#calls.getReg(this.#fds.vcpu, coreRegister(x)));
  }

  /** What the guest has taken from the UART. */
  log(bytes: number): number[] {
    return Array.from({ length: bytes }, (_, n) => this.#ram.read(AT.LOG - AT.RAM + 4 * n, 4));
  }
}
