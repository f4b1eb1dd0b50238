/**
 * A VMM that has nothing but fds: from /dev/kvm and /dev/vfio to a VLPI that the guest takes, then saved with one pending, and restored on another host.
 */
import { getDeviceFd, getRegionInfo, mapDma, setContainer, setIrqTriggers, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, type Mapping, type Process, type Thread } from '@vsim/vfio-core';
import { ADDR_TYPE, CTRL, GRP, KvmCalls, SYSREG } from '@vsim/gic-its';
import { KVM_DEV_TYPE_ARM_VGIC_ITS, KVM_DEV_TYPE_ARM_VGIC_V3, KVM_DEV_TYPE_VFIO, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, KVM_REG_ARM_PC, KVM_RUN } from '@vsim/gic-its';
import { AT, DEVICE } from './machine.ts';

const { DIST, ITS, REDIST, RAM, RAM_BYTES } = AT;
const GSI = 40;

// #region state
/** Registers in the order of a restore: what LPIs need of distributor, redistributor and CPU interface, then EnableLPIs; then the ITS. */
const GIC_STATE = [[GRP.DIST_REGS, 0], [GRP.CPU_SYSREGS, SYSREG.ICC_PMR_EL1], [GRP.CPU_SYSREGS, SYSREG.ICC_IGRPEN1_EL1], ...[0x70, 0x74, 0x78, 0x7c].map((at) => [GRP.REDIST_REGS, at] as const)] as const;
const ITS_STATE = [0x80, 0x90, 0x88, 0x100, 0x108] as const;
// #endregion state

export interface Saved {
  readonly ram: Uint8Array;
  readonly pc: bigint;
  readonly gic: readonly bigint[];
  readonly its: readonly bigint[];
}

export class Vmm {
  readonly #user: Process;
  readonly #calls: KvmCalls;
  readonly #fds: { readonly vm: number; readonly vcpu: number; readonly gic: number; readonly its: number };
  readonly #run: Mapping;
  readonly #ram: Mapping;

  constructor(user: Process, saved?: Saved) {
    // #region create
    const calls = (this.#calls = new KvmCalls((this.#user = user)));
    const vm = calls.createVm(user.open('/dev/kvm'));
    calls.setMemory(vm, 0, RAM, RAM_BYTES, (this.#ram = user.mmap(-1, RAM_BYTES)).address);
    const vcpu = calls.createVcpu(vm, 0);
    this.#run = user.mmap(vcpu, 0x2000);
    const [gic, its] = [calls.createDevice(vm, KVM_DEV_TYPE_ARM_VGIC_V3), calls.createDevice(vm, KVM_DEV_TYPE_ARM_VGIC_ITS)];
    this.#fds = { vm, vcpu, gic, its };
    for (const [fd, type, at] of [[gic, ADDR_TYPE.DIST, DIST], [gic, ADDR_TYPE.REDIST, REDIST], [its, ADDR_TYPE.ITS, ITS]] as const) calls.setAttr(fd, GRP.ADDR, type, at);
    for (const fd of [gic, its]) calls.setAttr(fd, GRP.CTRL, CTRL.INIT);
    calls.setReg(vcpu, KVM_REG_ARM_PC, saved?.pc ?? BigInt(RAM));
    // #endregion create
    if (saved !== undefined) this.#restore(saved);
  }

  /** The device is the guest's: DMA, and its MSI-X vector 0 as event 0 of the guest's ITS. */
  assign(): void {
    // #region assign
    const [user, calls, { vm }] = [this.#user, this.#calls, this.#fds];
    const [container, group] = [user.open('/dev/vfio/vfio'), user.open('/dev/vfio/0')];
    setContainer(user, group, container);
    user.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    mapDma(user, container, { vaddr: this.#ram.address, iova: RAM, size: RAM_BYTES, flags: 3 });
    calls.setAttr(calls.createDevice(vm, KVM_DEV_TYPE_VFIO), KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, group);
    const device = getDeviceFd(user, group, '0000:00:01.0');
    const config = getRegionInfo(user, device, VFIO_PCI_CONFIG_REGION_INDEX);
    user.pwrite(device, Uint8Array.of(0x06, 0x00), Number(config.offset) + 4); // COMMAND: memory and bus master
    const eventfd = user.eventfd();
    setIrqTriggers(user, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [eventfd]);
    calls.setRouting(vm, [{ gsi: GSI, address: ITS + 0x1_0040, data: 0, device: DEVICE }]);
    calls.irqfd(vm, eventfd, GSI);
    // #endregion assign
  }

  // #region run
  /** KVM_RUN in a thread of its own, up to the next exit. */
  start(): Thread<number> {
    return this.#user.start('vcpu', this.#user.sys.ioctl(this.#fds.vcpu, KVM_RUN, 0));
  }
  // #endregion run

  /** What the guest has stored to its UART at the last exit. */
  get said(): bigint | undefined {
    return this.#calls.exitOf(this.#run).mmio?.data;
  }

  /** The vCPU is stopped: tables to guest memory, then memory and registers. */
  save(): Saved {
    // #region save
    const [calls, { vcpu, gic, its }] = [this.#calls, this.#fds];
    calls.setAttr(its, GRP.CTRL, CTRL.ITS_SAVE_TABLES);
    calls.setAttr(gic, GRP.CTRL, CTRL.SAVE_PENDING_TABLES);
    return {
      ram: this.#ram.readBytes(0, RAM_BYTES),
      pc: calls.getReg(vcpu, KVM_REG_ARM_PC),
      gic: GIC_STATE.map(([group, at]) => calls.getAttr(gic, group, at)),
      its: ITS_STATE.map((at) => calls.getAttr(its, GRP.ITS_REGS, at)),
    };
    // #endregion save
  }

  #restore(saved: Saved): void {
    // #region restore
    const [calls, { gic, its }] = [this.#calls, this.#fds];
    this.#ram.writeBytes(0, saved.ram);
    for (const [n, [group, at]] of GIC_STATE.entries()) calls.setAttr(gic, group, at, saved.gic[n]);
    calls.setAttr(gic, GRP.REDIST_REGS, 0, 1);
    for (const [n, at] of ITS_STATE.entries()) calls.setAttr(its, GRP.ITS_REGS, at, saved.its[n]);
    calls.setAttr(its, GRP.CTRL, CTRL.ITS_RESTORE_TABLES);
    calls.setAttr(its, GRP.ITS_REGS, 0, 1);
    // #endregion restore
  }
}
