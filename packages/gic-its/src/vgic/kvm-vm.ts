import {
  EINVAL,
  ENODEV,
  errnoName,
  removeItem,
  type EventFdContext,
  assertSameHost,
  type Host,
  type IrqBypassManager,
  type Point,
  type Refusals,
  type Sleeps,
  type Trace,
} from '@vsim/vfio-core';
import type { ItsDriver, ItsVm } from '../host/index.ts';
import { INTERRUPT_RAISED } from './events.ts';
import { GuestBus, type GuestDevice } from './guest-bus.ts';
import { GuestMemory } from './guest-memory.ts';
import type { GsiRoute } from './gsi-routing.ts';
import { Ioeventfds } from './ioeventfds.ts';
import { Irqfds } from './irqfds.ts';
import {
  KVM_VFIO_EXISTS,
  MSI_ADDRESS,
  MSI_REFUSED,
  VCPU_ID,
  VCPU_LATE,
  VCPU_RUNS,
  VCPU_TAKEN,
  VGIC_EXISTS,
  VGIC_LATE,
  VM_DEAD,
} from './vm-reasons.ts';
import { KvmVfio } from './kvm-vfio.ts';
import { KVM_MSI_VALID_DEVID } from './uapi.ts';
import { Vcpu } from './vcpu.ts';
import { TranslationCache } from './translation-cache.ts';
import { Vgic } from './vgic.ts';
import { LpiList, type VgicIrq } from './vgic-irq.ts';
import { vgicProfile, type VgicProfile } from './vgic-profile.ts';
import { VgicIts } from './vgic-its.ts';

/** vCPUs of a VM, and what their ids are below. Kernel: KVM_MAX_VCPUS, which is VGIC_V3_MAX_CPUS. */
export const MAX_VCPUS = 512;

/** Between a vCPU's number and the vCPU: hold a thread of createVcpuSlowly() here. */
export const CREATE_VCPU: Point = { point: 'kvm/create-vcpu' };

/** VMs made on each host. */
const made = new WeakMap<Host, number>();

/** What a VM stands on, for a VM that is made without /dev/kvm. */
export interface KvmVmInit {
  /** The host's GIC driver: where physical interrupts and vPEs come from. */
  readonly driver: ItsDriver;
  /** Where irqfds meet the interrupts of VFIO devices. @default none */
  readonly irqBypass?: IrqBypassManager | undefined;
  /** Guest physical address bits, 32 to 52. @default 40 */
  readonly ipaBits?: number | undefined;
}

/**
 * A virtual machine: memory slots, vCPUs, its virtual GIC, and its irqfds.
 *
 * Kernel: struct kvm, KVM_CREATE_VCPU, KVM_CREATE_DEVICE, KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_SIGNAL_MSI.
 * Modelled: what interrupts need. Not modelled: stage 2 (guest accesses go through the slots).
 */
export class KvmVm {
  /** The host that runs it. */
  readonly host: Host;
  /** How many VMs were made on the host before. */
  readonly number: number;
  /** The host's GIC driver, which has the vPEs. */
  readonly driver: ItsDriver;
  /** Where irqfds meet the interrupts of VFIO devices; undefined: no interrupt is forwarded. */
  readonly irqBypass: IrqBypassManager | undefined;
  /** What the kernel's vgic does otherwise than another's. */
  readonly profile: VgicProfile;
  /** Where its events go. */
  readonly trace: Trace;
  /** Guest physical address bits: frames and slots end below 2 to this. */
  readonly ipaBits: number;
  /** Its memory slots. */
  readonly memory: GuestMemory = new GuestMemory();
  /** Its ioeventfds. */
  readonly ioeventfds: Ioeventfds = new Ioeventfds();
  /** Its irqfds, and where its GSIs lead. */
  readonly irqfds: Irqfds;
  /** In order of creation. Kernel: kvm->vcpus, by vcpu_idx. */
  readonly vcpus: Vcpu[] = [];
  /** What the first KVM_RUN failed with, on kernels where every call on the VM's fds is -EIO from then on. Kernel: kvm_vm_dead(). */
  #death = 0;
  /** Its ITSs, in the order of their creation. */
  readonly itss: VgicIts[] = [];
  /** Its LPIs, and where interrupts are queued. */
  readonly lpis: LpiList;
  /** Translations of MSIs that were made before: the fast path. */
  readonly cache: TranslationCache;
  /** Steps of commands that grow with what the guest has mapped: so that one store has a bound. */
  work = 0;
  /** vPEs of this VM, once they exist. */
  itsVm: ItsVm | undefined;
  #vgic: Vgic | undefined;
  #vfio: KvmVfio | undefined;
  readonly #bus: GuestBus = new GuestBus(this.memory, this.ioeventfds);
  #creating = 0;
  /** The first vCPU that ran. */
  #ran: Vcpu | undefined;

  /** A VM without memory, vCPUs and devices. Kernel: kvm_create_vm() */
  constructor(host: Host, init: KvmVmInit) {
    assertSameHost(host, init.driver, 'driver', 'the ITS driver', 'the VM');
    this.host = host;
    this.number = made.get(host) ?? 0;
    made.set(host, this.number + 1);
    this.driver = init.driver;
    this.irqBypass = init.irqBypass;
    this.profile = vgicProfile(host.profile.name);
    this.trace = host.trace;
    this.ipaBits = init.ipaBits ?? 40;
    this.lpis = new LpiList(this.profile.lpisByIntid, () => this.distributorEnabled);
    this.cache = new TranslationCache(this);
    this.irqfds = new Irqfds(this);
  }

  /** Where refused calls are told. @internal */
  get refusals(): Refusals {
    return this.host.refusals;
  }

  /** Its GICv3, undefined before createVgic(). */
  get vgic(): Vgic | undefined {
    return this.#vgic;
  }

  /** GICD_CTLR.EnableGrp1 of the guest. */
  get distributorEnabled(): boolean {
    return this.#vgic?.distributorEnabled ?? false;
  }

  // Creation

  /**
   * KVM_CREATE_VCPU, in any order of ids.
   *
   * @param room asked last: a negative errno of it, where the caller has no fd for the vCPU, undoes all
   * @param id below 512; by default how many vCPUs there are
   * @returns the vCPU; -EINVAL for an id or a vCPU too many, or when the redistributors do not fit; -EBUSY once the vgic is initialised;
   * -EEXIST
   */
  createVcpu(id: number = this.vcpus.length, room: () => number = () => 0): Vcpu | number {
    return this.#checkVcpu(id) || this.#makeVcpu(id, room);
  }

  /**
   * KVM_CREATE_VCPU as a thread has it: between the number and the vCPU other threads may run.
   *
   * @param id below 512; by default how many vCPUs there are
   * @returns as createVcpu()
   */
  *createVcpuSlowly(id: number = this.vcpus.length): Sleeps<Vcpu | number> {
    const error = this.#checkVcpu(id);
    if (error < 0) return error;
    this.#creating += 1;
    yield CREATE_VCPU;
    this.#creating -= 1;
    return this.#makeVcpu(id, () => 0);
  }

  #checkVcpu(id: number): number {
    const vcpus = this.vcpus.length + this.#creating;
    if (!(id >= 0 && id < MAX_VCPUS) || vcpus >= MAX_VCPUS) return this.refusals.refuse(VCPU_ID, { id, vcpus, limit: MAX_VCPUS });
    return this.#vgic?.initialized === true ? this.refusals.refuse(VCPU_LATE, { id }) : 0;
  }

  #makeVcpu(id: number, room: () => number): Vcpu | number {
    const vcpu = new Vcpu(this, id, this.vcpus.length);
    const { regions } = this.#vgic ?? {};
    const error = regions?.place(vcpu) ?? 0;
    if (error < 0) return error;
    // Only now: a redistributor that was taken for a vCPU that is there already stays taken.
    const taken = this.vcpuById(id);
    if (taken !== undefined) {
      regions?.remove(vcpu);
      return this.refusals.refuse(VCPU_TAKEN, { id, index: taken.index });
    }
    const refused = room();
    if (refused < 0) {
      regions?.remove(vcpu);
      return refused;
    }
    this.vcpus.push(vcpu);
    return vcpu;
  }

  /** The vCPU with an id. Kernel: kvm_get_vcpu_by_id(). @param id what KVM_CREATE_VCPU was given */
  vcpuById(id: number): Vcpu | undefined {
    const likely = this.vcpus[id];
    return likely?.id === id ? likely : this.vcpus.find((vcpu) => vcpu.id === id);
  }

  /** The vCPU that RDbase of an ITS command or of a collection names. @param target an id since 6.7, an index before */
  vcpuOfTarget(target: number): Vcpu | undefined {
    return this.profile.vcpusById ? this.vcpuById(target) : this.vcpus[target];
  }

  /** The vCPU with an affinity. Kernel: kvm_mpidr_to_vcpu(). @param affinity Aff3 to Aff0, 8 bits each, from the top */
  vcpuOfAffinity(affinity: number): Vcpu | undefined {
    return this.vcpus.find((vcpu) => vcpu.affinity === affinity);
  }

  /** A vCPU is being created. */
  get creatingVcpu(): boolean {
    return this.#creating > 0;
  }

  /** KVM_CREATE_DEVICE(ARM_VGIC_V3). @returns the device; -EEXIST; -EBUSY while a vCPU runs, or once one has run */
  createVgic(): Vgic | number {
    const runs = this.#runningVcpu;
    if (runs !== undefined) return this.refusals.refuse(VGIC_LATE, { vcpu: runs.id, is: 'runs' });
    if (this.profile.vgicWaitsForVcpus && this.creatingVcpu) return this.refusals.refuse(VGIC_LATE, { vcpu: this.vcpus.length, is: 'is being created' });
    if (this.#vgic !== undefined) return this.refusals.refuse(VGIC_EXISTS, { type: 'KVM_DEV_TYPE_ARM_VGIC_V3' });
    if (this.#ran !== undefined) return this.refusals.refuse(VGIC_LATE, { vcpu: this.#ran.id, is: 'has run' });
    this.#vgic = new Vgic(this);
    return this.#vgic;
  }

  /** KVM_CREATE_DEVICE(ARM_VGIC_ITS), as many as one likes. @returns the device, or -ENOMEM, and no device, when the VM's vPEs cannot be made */
  createIts(): VgicIts | number {
    const its = new VgicIts(this, this.itss.length);
    this.itss.push(its);
    if (this.#vgic?.initialized === true) {
      const error = this.#vgic.initVpes();
      if (error < 0) {
        this.itss.pop();
        return error;
      }
    }
    return its;
  }

  /** KVM_CREATE_DEVICE(VFIO): there is one. @returns the device, or -EBUSY */
  createVfio(): KvmVfio | number {
    if (this.#vfio !== undefined) return this.refusals.refuse(KVM_VFIO_EXISTS, { groups: this.#vfio.files.length });
    this.#vfio = new KvmVfio(this);
    return this.#vfio;
  }

  /** The fd of the kvm-vfio device is closed: groups serve nobody, and another device may be made. */
  releaseVfio(): void {
    this.#vfio?.destroy();
    this.#vfio = undefined;
  }

  /** The last reference goes: irqfds are shut down, then vPEs freed. */
  destroy(): void {
    for (const vcpu of this.vcpus) vcpu.stop();
    this.irqfds.release();
    // What is queued holds a reference.
    for (const vcpu of this.vcpus) for (const irq of [...vcpu.queue]) this.lpis.unqueue(irq);
    this.#vfio?.destroy();
    for (const its of this.itss) its.destroy();
    this.itsVm?.free();
    this.itsVm = undefined;
    for (const vcpu of this.vcpus) vcpu.vpe = undefined;
  }

  // vCPUs as a whole

  /**
   * What a vCPU needs before it first runs: with a vgic its addresses, and that it is initialised. Kernel: kvm_arch_vcpu_run_pid_change().
   *
   * @returns 0; -ENXIO, -EINVAL or -EBUSY as Vgic.mapResources(); -EIO for a VM in which that has failed
   */
  firstRun(vcpu: Vcpu): number {
    const dead = this.checkAlive();
    if (dead < 0) return dead;
    const error = this.#vgic?.mapResources() ?? 0;
    if (error < 0) {
      if (this.profile.failedFirstRun === 'dead') this.#death = error;
      return error;
    }
    this.#ran ??= vcpu;
    return 0;
  }

  /** What every call on an fd of the VM, its vCPUs and its devices asks first. @returns 0; -EIO for a VM whose first KVM_RUN has failed */
  checkAlive(): number {
    return this.#death === 0 ? 0 : this.refusals.refuse(VM_DEAD, { first: errnoName(this.#death) });
  }

  /** lock_all_vcpus(). @param what asks @returns 0, or -EBUSY while a vCPU is in KVM_RUN */
  checkStopped(what: string): number {
    const runs = this.#runningVcpu;
    return runs === undefined ? 0 : this.refusals.refuse(VCPU_RUNS, { what, vcpu: runs.id });
  }

  get #runningVcpu(): Vcpu | undefined {
    return this.vcpus.find((vcpu) => vcpu.state !== 'stopped');
  }

  /** Every vCPU could be locked: none is in KVM_RUN. */
  get allVcpusStopped(): boolean {
    return this.#runningVcpu === undefined;
  }

  /** The vCPU of this VM that runs on a CPU. @param cpu of the host, counted from 0 */
  residentVcpu(cpu: number): Vcpu | undefined {
    return this.vcpus.find((vcpu) => vcpu.state === 'running' && vcpu.cpu === cpu);
  }

  /** A CPU for a vCPU that woke: the one where it was, else any free one. With none it waits for the next to be freed. @internal */
  cpuFor(vcpu: Vcpu): number | undefined {
    const { cpus } = this.driver;
    const free = cpus.free(vcpu.cpu);
    if (free === undefined && !cpus.waiting.includes(vcpu)) cpus.waiting.push(vcpu);
    return free;
  }

  /** A vCPU has left its CPU, or does not wait for one any more. @internal */
  cpuFreed(vcpu: Vcpu): void {
    const { waiting } = this.driver.cpus;
    removeItem(waiting, vcpu);
    waiting.shift()?.kick();
  }

  // Guest accesses

  /** Puts emulated registers at a guest physical address. @param base the first address @param size bytes */
  mapWindow(base: number, size: number, device: GuestDevice): void {
    this.#bus.map(base, size, device);
  }

  /** Takes emulated registers away. @param base where they begin */
  unmapWindow(base: number): void {
    this.#bus.unmap(base);
  }

  /**
   * A load by guest code. Kernel: kvm_handle_guest_abort()
   *
   * @param gpa guest physical address
   * @param width 1, 2, 4 or 8 bytes
   * @returns undefined outside memory and registers: user space emulates it
   */
  tryLoad(vcpu: Vcpu, gpa: number, width: number): bigint | undefined {
    return this.#bus.load(vcpu, gpa, width);
  }

  /**
   * A load by guest code; outside memory and registers it reads as zero.
   *
   * @param gpa guest physical address
   * @param width 1, 2, 4 or 8 bytes
   */
  load(vcpu: Vcpu, gpa: number, width: number): bigint {
    return this.#bus.load(vcpu, gpa, width) ?? 0n;
  }

  /**
   * A store by guest code.
   *
   * @param gpa guest physical address
   * @param width 1, 2, 4 or 8 bytes
   * @param value unsigned, of that width
   * @returns false outside writable memory, registers and ioeventfds: user space emulates it
   */
  tryStore(vcpu: Vcpu, gpa: number, width: number, value: bigint): boolean {
    return this.#bus.store(vcpu, gpa, width, value);
  }

  /**
   * A store by guest code; outside memory and registers it goes nowhere.
   *
   * @param gpa guest physical address
   * @param width 1, 2, 4 or 8 bytes
   * @param value unsigned, of that width
   */
  store(vcpu: Vcpu, gpa: number, width: number, value: bigint): void {
    this.#bus.store(vcpu, gpa, width, value);
  }

  // Interrupts of registers

  /** An interrupt may have to be delivered now. @internal */
  queue(irq: VgicIrq): void {
    this.lpis.queue(irq);
  }

  /** All vCPUs are out of the guest meanwhile. Kernel: kvm_arm_halt_guest(), kvm_arm_resume_guest() @internal */
  halted(change: () => void): void {
    for (const vcpu of this.vcpus) vcpu.exitGuest();
    change();
    for (const vcpu of this.vcpus) vcpu.enterGuest();
  }

  // MSIs

  /** The ITS whose frames have this guest physical address: KVM takes any of them for the doorbell. @param address guest physical */
  itsAt(address: number): VgicIts | undefined {
    return this.itss.find((its) => its.contains(address));
  }

  /**
   * KVM_SIGNAL_MSI.
   *
   * @param address the doorbell, guest physical
   * @param data EventID, 32 bits
   * @param flags KVM_MSI_VALID_DEVID or 0
   * @param device DeviceID, 32 bits
   * @returns 1 delivered, 0 blocked by the guest, or a negative errno: -EINVAL without vgic, for other flags, or for an address of no ITS;
   * -ENODEV without ITS; -EBUSY while the ITS, or LPIs of the target, are off
   */
  signalMsi(address: number, data: number, flags: number, device: number): number {
    if (this.#vgic === undefined || (flags & ~KVM_MSI_VALID_DEVID) !== 0) return this.refusals.refuse(MSI_REFUSED, { address, flags });
    return this.injectMsi(address, data, (flags & KVM_MSI_VALID_DEVID) === 0 ? undefined : device, device);
  }

  /**
   * vgic_its_inject_msi().
   *
   * @param address the doorbell, guest physical
   * @param data EventID, 32 bits
   * @param device DeviceID, undefined without KVM_MSI_VALID_DEVID
   * @param cacheDevice what the cache is asked for, which does not look at the flag
   * @returns 1 delivered, 0 blocked by the guest, or a negative errno
   */
  injectMsi(address: number, data: number, device: number | undefined, cacheDevice: number): number {
    return this.injectCached(address, cacheDevice, data) ? 1 : this.injectByTables(address, data, device);
  }

  /**
   * injectMsi() for a translation that is not cached. @internal
   *
   * @param address the doorbell, guest physical
   * @param data EventID, 32 bits
   * @returns 1 delivered, 0 blocked by the guest, or a negative errno
   */
  injectByTables(address: number, data: number, device: number | undefined): number {
    const its = device === undefined ? undefined : this.itsAt(address);
    if (device === undefined || its === undefined) {
      const itss = this.itss.length;
      return this.refusals.refuse(MSI_ADDRESS, { address, device, event: data, itss }, itss === 0 ? ENODEV : EINVAL);
    }
    const result = its.triggerMsi(device, data);
    if (result === 0) return 1;
    its.tellUnresolved('msi', device, data);
    return Math.min(result, 0);
  }

  /**
   * The fast path: works only for a translation that is cached. One that was cached before it was forwarded sets the latch, and a list
   * register delivers it.
   *
   * @param address the doorbell, guest physical
   * @param device DeviceID, 32 bits
   * @param data EventID, 32 bits
   * @returns whether it was cached
   */
  injectCached(address: number, device: number, data: number): boolean {
    const its = this.itsAt(address);
    const irq = its?.doorbell !== address ? undefined : this.cache.find(its.index, device, data);
    if (irq === undefined) return false;
    irq.pendingLatch = true;
    this.tellRaised(irq.intid);
    this.lpis.queue(irq);
    return true;
  }

  /** Software has made an interrupt pending. @internal @param intid SGI, PPI, SPI or LPI */
  tellRaised(intid: number): void {
    if (this.trace.followed) this.trace.step(INTERRUPT_RAISED, { vm: this.number, intid });
  }

  // irqfds

  /** KVM_SET_GSI_ROUTING: replaces all routes. */
  setRouting(routes: readonly GsiRoute[]): void {
    this.irqfds.setRouting(routes);
  }

  /** Where a GSI leads, undefined where nowhere. @param gsi below 4096 */
  route(gsi: number): GsiRoute | undefined {
    return this.irqfds.route(gsi);
  }

  /**
   * KVM_IRQFD. An eventfd that has a count is injected at once.
   *
   * @param gsi below 4096
   * @param flags KVM_IRQFD_FLAG_*
   * @param resample with KVM_IRQFD_FLAG_RESAMPLE, who is told that the guest is done with a level
   * @returns 0; -EINVAL for unknown flags; -EAGAIN for a new one before the vgic is initialised; -EBUSY if the eventfd has an irqfd in this
   * VM
   */
  irqfd(eventfd: EventFdContext, gsi: number, flags = 0, resample?: EventFdContext): number {
    return this.irqfds.assign(eventfd, gsi, flags, resample);
  }

  /** KVM_IRQFD with KVM_IRQFD_FLAG_DEASSIGN. @param gsi below 4096 @returns 0, also where there is no such irqfd */
  deassignIrqfd(eventfd: EventFdContext, gsi: number): number {
    return this.irqfds.deassign(eventfd, gsi);
  }

  /** irqfd work items that have not run yet: interrupts that are nowhere but there. */
  get pendingInjections(): number {
    return this.irqfds.pendingInjections;
  }

  /** Waits until every queued irqfd work item has run: what has to happen before pending tables are saved. */
  drainIrqfds(): Sleeps<void> {
    return this.irqfds.drain();
  }
}
