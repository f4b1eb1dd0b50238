import {
  EINTR,
  EINVAL,
  ENOENT,
  ENXIO,
  File,
  PAGE_SIZE,
  WOULD_SLEEP,
  WaitQueue,
  eventKind,
  exactAddress,
  get,
  hex,
  set,
  type EventKind,
  type MappedPages,
  type Mapping,
  type MmapRequest,
  type PageRun,
  type Point,
  type Process,
  type Sleeps,
  type UserArgument,
} from '@vsim/vfio-core';
import type { Vcpu } from '../vgic/vcpu.ts';
import { GuestCpu, type Guest, type GuestStep } from './guest-program.ts';
import { KVM_ARGUMENT, KVM_MP_STATE_UNKNOWN, KVM_REGISTER, KVM_REGISTER_LIST, KVM_VCPU_TARGET, KVM_VCPU_UNINITIALISED } from './kvm-reasons.ts';
import { KvmRunPage } from './kvm-run-page.ts';
import type { OpenVm } from './open-vm.ts';
import { psciCall } from './psci.ts';
import { kvmRequestName } from './request-name.ts';
import * as uapi from './uapi.ts';
import { KVM_REG_ARM_PC, VcpuRegisters } from './vcpu-registers.ts';

/** KVM_GET_VCPU_MMAP_SIZE: 8 KiB, a page of struct kvm_run, and one of the ring of coalesced MMIO, which stays empty. */
export const VCPU_MMAP_SIZE = 0x2000;

/** Before each access of a guest: hold threads here to let others run between two of them. */
export const GUEST_STEP: Point = { point: 'kvm/guest-step' };

/** `kvm/no-guest-code`: a vCPU runs where no program stands: nothing comes of it until a signal. */
export const NO_GUEST_CODE: EventKind<{ readonly vcpu: number; readonly pc: bigint }> = eventKind(
  'kvm/no-guest-code',
  'info',
  ({ vcpu, pc }) => `vCPU ${vcpu} runs at ${hex(pc)}, where there is no code`,
);

/** `kvm/guest-spins`: a guest goes on and on without an exit: after Kvm.stepsPerRun accesses KVM_RUN comes back as after a signal. */
export const GUEST_SPINS: EventKind<{ readonly vcpu: number; readonly steps: number }> = eventKind(
  'kvm/guest-spins',
  'info',
  ({ vcpu, steps }) => `vCPU ${vcpu} made ${steps} accesses without an exit`,
);

/** Features that the model's CPUs have. */
const FEATURES = (1 << uapi.KVM_ARM_VCPU_POWER_OFF) | (1 << uapi.KVM_ARM_VCPU_PSCI_0_2);
const POWER_OFF = 1 << uapi.KVM_ARM_VCPU_POWER_OFF;
const FEATURE_WORDS = 7;

/**
 * The fd of a vCPU: its registers, its state, struct kvm_run for mmap(), and KVM_RUN.
 *
 * Kernel: kvm_vcpu_ioctl(), kvm_arch_vcpu_ioctl(), kvm_arch_vcpu_ioctl_run(). Guest code is a program (guest-program.ts); each of its accesses is one turn of
 * the kernel's loop, with a point before it at which other threads may run. Not modelled: attributes of a vCPU, events, debugging, statistics.
 */
export class VcpuFile extends File {
  /** What /proc/PID/fd shows: `anon_inode:kvm-vcpu:` and the vCPU's id. */
  override readonly label: string;
  readonly #open: OpenVm;
  /** The vCPU in the typed layer. */
  readonly vcpu: Vcpu;
  /** The CPU as the guest's code sees it. */
  readonly cpu: GuestCpu;
  /** What KVM_GET_ONE_REG reaches. */
  readonly registers: VcpuRegisters;
  /** struct kvm_run, and the page of the coalesced ring. */
  readonly #pages: PageRun;
  readonly #kvmRun: KvmRunPage;
  /** The features of the first KVM_ARM_VCPU_INIT; undefined before. */
  #features: number | undefined;
  #mpState: number = uapi.KVM_MP_STATE_RUNNABLE;
  /** The program that runs, and above it the vector's: each with what its last access gave. */
  readonly #frames: { readonly code: Guest; answer: bigint }[] = [];
  /** Where the program began. */
  #entry = 0n;
  /** The access that user space emulates, where a load's value comes from struct kvm_run; or the step before which a signal came. */
  #unfinished: GuestStep | undefined;
  #running = false;
  readonly #woken = new WaitQueue('a vCPU to be able to run');
  readonly #free = new WaitQueue('another KVM_RUN of the vCPU');

  /** By KVM_CREATE_VCPU. @internal */
  constructor(open: OpenVm, vcpu: Vcpu, pages: PageRun) {
    super();
    this.label = `anon_inode:kvm-vcpu:${vcpu.id}`;
    this.#open = open;
    this.vcpu = vcpu;
    this.#pages = pages;
    this.#kvmRun = new KvmRunPage(open.kvm.host.memory, pages.first * PAGE_SIZE);
    this.registers = new VcpuRegisters(vcpu, open.profile.psci);
    this.cpu = new GuestCpu(vcpu, this.registers);
    const onWake = (): void => { this.#woken.wake(); };
    vcpu.onWake = onWake;
    open.get();
    open.vcpus.push(this);
  }

  /** Whether KVM_ARM_VCPU_INIT asked for KVM_ARM_VCPU_PSCI_0_2: the guest's HVCs are answered. */
  get hasPsci(): boolean {
    return ((this.#features ?? 0) & (1 << uapi.KVM_ARM_VCPU_PSCI_0_2)) !== 0;
  }

  /** KVM_MP_STATE_RUNNABLE, STOPPED or SUSPENDED. */
  get mpState(): number {
    return this.#mpState;
  }

  /** KVM_SET_MP_STATE, and what PSCI does: a KVM_RUN that waits looks again. @param state KVM_MP_STATE_RUNNABLE, STOPPED or SUSPENDED */
  setMpState(state: number): void {
    this.#mpState = state;
    this.#woken.wake();
  }

  /** PSCI's CPU_ON: a CPU that begins at an address, with a word in x0. @param pc guest physical @param context 64 bits */
  start(pc: bigint, context: bigint): void {
    this.registers.reset();
    this.registers.pc = pc;
    this.registers.set(0, context);
    this.#frames.length = 0;
    this.setMpState(uapi.KVM_MP_STATE_RUNNABLE);
  }

  /** Name of one of KVM's requests, for messages. @param request any number */
  override requestName(request: number): string | undefined {
    return kvmRequestName(request);
  }

  /**
   * Requests on a vCPU; KVM_RUN, and all others while it runs, sleep.
   *
   * @param request KVM_*
   * @returns 0 or a negative errno: -EIO for another process, -EINVAL for a request that there is not
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    const error = this.#open.check(process, argument);
    if (error < 0) return error;
    // Every other request waits for the lock that KVM_RUN has.
    return request === uapi.KVM_RUN || this.#running ? WOULD_SLEEP : this.#request(process, request, argument);
  }

  /** KVM_RUN, or another request once it is over. @param request KVM_* @returns 0 or a negative errno: -EINTR when a signal ends KVM_RUN */
  override *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    const scheduler = process.host.scheduler;
    while (this.#running) yield* this.#free.waitKillable(scheduler, () => !this.#running);
    if (request !== uapi.KVM_RUN) return this.#request(process, request, argument);
    this.#running = true;
    const result = yield* this.#run(process, argument);
    this.#running = false;
    this.#free.wake();
    return result;
  }

  #request(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case uapi.KVM_ARM_VCPU_INIT: {
        const bytes = argument.copyIn(uapi.kvm_vcpu_init.size);
        return bytes === undefined ? argument.fault() : this.#init(argument, bytes);
      }
      case uapi.KVM_GET_ONE_REG:
      case uapi.KVM_SET_ONE_REG:
        return this.#uninitialised(argument) ?? this.#oneReg(process, request, argument);
      case uapi.KVM_GET_REG_LIST:
        return this.#uninitialised(argument) ?? this.#regList(argument);
      case uapi.KVM_GET_MP_STATE: {
        const bytes = new Uint8Array(uapi.kvm_mp_state.size);
        set(bytes, uapi.kvm_mp_state.mp_state, this.#mpState);
        return argument.copyOut(bytes) ? 0 : argument.fault();
      }
      case uapi.KVM_SET_MP_STATE: {
        const bytes = argument.copyIn(uapi.kvm_mp_state.size);
        return bytes === undefined ? argument.fault() : this.#setMpState(argument, get(bytes, uapi.kvm_mp_state.mp_state));
      }
      case uapi.KVM_SET_DEVICE_ATTR:
      case uapi.KVM_GET_DEVICE_ATTR:
      case uapi.KVM_HAS_DEVICE_ATTR:
        // PMU, timer and PV time are not there.
        return argument.copyIn(uapi.kvm_device_attr.size) === undefined ? argument.fault() : argument.unknown(ENXIO);
      default:
        return argument.unknown(EINVAL);
    }
  }

  /** struct kvm_run at offset 0, the ring of coalesced MMIO at 0x1000. @returns the mapping, or the errno of mapping it */
  override mmap(process: Process, { length, offset, read, write, shared }: MmapRequest): Mapping | number {
    const first = offset / PAGE_SIZE;
    const count = Math.ceil(length / PAGE_SIZE);
    const there = Math.max(0, Math.min(count, VCPU_MMAP_SIZE / PAGE_SIZE - first));
    const pages: MappedPages[] = there === 0 ? [] : [{ run: this.#pages, frame: this.#pages.first + first, count: there }];
    // What lies behind faults when it is touched.
    if (there < count) pages.push({ run: undefined, frame: 0, count: count - there });
    return process.mm.mapPages(pages, read, write, shared);
  }

  /** Its last fd is closed: the pages of struct kvm_run go back, and the VM has one fd less. */
  protected override *release(): Sleeps<void> {
    this.#pages.put();
    this.#open.put();
  }

  // What the vCPU is

  #uninitialised(argument: UserArgument): number | undefined {
    return this.#features === undefined ? argument.refuse(KVM_VCPU_UNINITIALISED, { vcpu: this.vcpu.id }) : undefined;
  }

  /** kvm_arch_vcpu_ioctl_vcpu_init(). */
  #init(argument: UserArgument, bytes: Uint8Array): number {
    const { powerOffOnce, vcpuFeatures } = this.#open.profile;
    const vcpu = this.vcpu.id;
    const target = get(bytes, uapi.kvm_vcpu_init.target);
    if (target !== uapi.KVM_ARM_TARGET_GENERIC_V8) return argument.refuse(KVM_VCPU_TARGET, { vcpu, field: 'the target', value: target });
    const wanted = get(bytes, uapi.kvm_vcpu_init.features);
    for (let word = 0; word < FEATURE_WORDS; word += 1) {
      const value = get(bytes, [4 + 4 * word, 'u32']);
      if ((word === 0 ? value >>> vcpuFeatures : value) !== 0) return argument.refuse(KVM_VCPU_TARGET, { vcpu, field: `word ${word} of the features`, value }, ENOENT);
    }
    const kept = powerOffOnce ? wanted & ~POWER_OFF : wanted;
    if ((wanted & ~FEATURES) !== 0 || (this.#features !== undefined && this.#features !== kept)) {
      return argument.refuse(KVM_VCPU_TARGET, { vcpu, field: 'word 0 of the features', value: wanted });
    }
    this.#features = kept;
    this.registers.reset();
    this.#frames.length = 0;
    this.#unfinished = undefined;
    this.setMpState((wanted & POWER_OFF) === 0 ? uapi.KVM_MP_STATE_RUNNABLE : uapi.KVM_MP_STATE_STOPPED);
    return 0;
  }

  #setMpState(argument: UserArgument, state: number): number {
    if (state !== uapi.KVM_MP_STATE_RUNNABLE && state !== uapi.KVM_MP_STATE_STOPPED && state !== uapi.KVM_MP_STATE_SUSPENDED) {
      return argument.refuse(KVM_MP_STATE_UNKNOWN, { vcpu: this.vcpu.id, state });
    }
    this.setMpState(state);
    return 0;
  }

  #oneReg(process: Process, request: number, argument: UserArgument): number {
    const bytes = argument.copyIn(uapi.kvm_one_reg.size);
    if (bytes === undefined) return argument.fault();
    const id = get(bytes, uapi.kvm_one_reg.id);
    const at = exactAddress(get(bytes, uapi.kvm_one_reg.addr));
    const refuse = (errno: number): number => argument.refuse(KVM_REGISTER, { vcpu: this.vcpu.id, id }, errno);
    const old = this.registers.read(id);
    if (typeof old === 'number') return refuse(-old);
    const data = new Uint8Array(8);
    if (request === uapi.KVM_GET_ONE_REG) {
      set(data, [0, 'u64'], old);
      return at !== undefined && process.mm.copyToUser(at, data) ? 0 : argument.fault();
    }
    if (at === undefined || !process.mm.copyFromUser(at, data)) return argument.fault();
    const error = this.registers.write(id, get(data, [0, 'u64']));
    if (error < 0) return refuse(-error);
    // Code that was under way is not gone on with elsewhere.
    if (id === KVM_REG_ARM_PC) this.#frames.length = 0;
    return 0;
  }

  #regList(argument: UserArgument): number {
    const head = argument.copyIn(uapi.kvm_reg_list.size);
    if (head === undefined) return argument.fault();
    const room = get(head, uapi.kvm_reg_list.n);
    const { ids } = this.registers;
    set(head, uapi.kvm_reg_list.n, ids.length);
    if (!argument.copyOut(head)) return argument.fault();
    if (room < BigInt(ids.length)) return argument.refuse(KVM_REGISTER_LIST, { room, count: ids.length });
    const list = new Uint8Array(8 * ids.length);
    ids.forEach((id, n) => { set(list, [8 * n, 'u64'], id); });
    return argument.copyOut(list, uapi.kvm_reg_list.size) ? 0 : argument.fault();
  }

  // KVM_RUN

  *#run(process: Process, argument: UserArgument): Sleeps<number> {
    const refused = withoutArgument(argument) ?? this.#uninitialised(argument) ?? this.#open.vm.firstRun(this.vcpu);
    if (refused < 0) return refused;
    this.#completeMmio();
    if (this.#kvmRun.get(uapi.kvm_run.immediate_exit) !== 0) return -EINTR;
    this.#kvmRun.set(uapi.kvm_run.exit_reason, uapi.KVM_EXIT_UNKNOWN);
    this.#kvmRun.set(uapi.kvm_run.flags, 0);
    const { scheduler } = process.host;
    for (let steps = 0; ; steps += 1) {
      const ready = yield* this.#enter(process);
      if (!ready) return this.#interrupted();
      if (steps === this.#open.kvm.stepsPerRun) {
        if (process.host.trace.on) process.host.trace.emit(GUEST_SPINS, { vcpu: this.vcpu.id, steps });
        return this.#interrupted();
      }
      const step = this.#again() ?? this.#next();
      if (step === undefined) {
        // No code, or its end: nothing happens until a signal.
        yield* this.#woken.waitInterruptible(scheduler, () => false);
        return this.#interrupted();
      }
      yield GUEST_STEP;
      // A signal that came here ends the stay in the guest before the step.
      if (scheduler.current?.signalPending === true) {
        this.#unfinished = step;
        return this.#interrupted();
      }
      if (this.#perform(step)) {
        this.vcpu.stop();
        return 0;
      }
    }
  }

  /** Until the vCPU is loaded on a CPU. @returns false if a signal came first */
  *#enter(process: Process): Sleeps<boolean> {
    const { scheduler } = process.host;
    const { vcpu } = this;
    for (;;) {
      if (scheduler.current?.signalPending === true) return false;
      const runnable = this.#mpState === uapi.KVM_MP_STATE_RUNNABLE;
      if (runnable && vcpu.state === 'running') return true;
      if (runnable && vcpu.state === 'stopped') {
        const cpu = vcpu.vm.cpuFor(vcpu);
        if (cpu !== undefined) {
          vcpu.run(cpu);
          continue;
        }
      } else if (!runnable && vcpu.state !== 'stopped') {
        vcpu.stop();
      }
      const ready = (): boolean =>
        this.#mpState === uapi.KVM_MP_STATE_RUNNABLE && (vcpu.state === 'running' || (vcpu.state === 'stopped' && vcpu.vm.cpuFor(vcpu) !== undefined));
      if ((yield* this.#woken.waitInterruptible(scheduler, ready)) === 'signal') return false;
    }
  }

  #interrupted(): number {
    this.vcpu.stop();
    this.#kvmRun.set(uapi.kvm_run.exit_reason, uapi.KVM_EXIT_INTR);
    return -EINTR;
  }

  /** A step that was not completed is made anew: the PC still stands there. */
  #again(): GuestStep | undefined {
    const step = this.#frames.length === 0 ? undefined : this.#unfinished;
    this.#unfinished = undefined;
    return step;
  }

  /** The next access of the guest: of its vector if an interrupt is there and may be taken; undefined where no code is. */
  #next(): GuestStep | undefined {
    const { cpu } = this;
    if (this.#frames.length === 0 && !this.#fetch()) return undefined;
    if (!cpu.masked && this.#frames.length === 1 && cpu.vector !== undefined && cpu.interrupted) this.#frames.push({ code: cpu.vector(cpu), answer: 0n });
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) return undefined;
      const next = frame.code.next(frame.answer);
      frame.answer = 0n;
      if (next.done !== true) return next.value;
      this.#frames.pop();
      // The end of a vector is an ERET; that of a program a branch to where it has set the PC, or the end of its CPU.
      if (this.#frames.length > 0) continue;
      if (this.registers.pc === this.#entry) this.registers.pc = 0n;
      if (!this.#fetch()) return undefined;
    }
  }

  /** The program at the PC begins. */
  #fetch(): boolean {
    const { vcpu, cpu } = this;
    const { pc } = this.registers;
    const program = this.#open.kvm.code.get(pc);
    this.#entry = pc;
    if (program !== undefined) this.#frames.push({ code: program(cpu), answer: 0n });
    else if (vcpu.vm.trace.on) vcpu.vm.trace.emit(NO_GUEST_CODE, { vcpu: vcpu.id, pc });
    return program !== undefined;
  }

  /** @returns whether it ends in an exit to user space */
  #perform(step: GuestStep): boolean {
    const { vcpu } = this;
    switch (step.op) {
      case 'load': {
        const value = vcpu.vm.tryLoad(vcpu, step.address, step.width);
        if (value === undefined) return this.#exitMmio(step);
        this.#answer(value);
        return false;
      }
      case 'store':
        return vcpu.vm.tryStore(vcpu, step.address, step.width, step.value) ? false : this.#exitMmio(step);
      case 'wfi':
        vcpu.wfi();
        return false;
      case 'hvc':
        return this.#hypercall();
    }
  }

  #answer(value: bigint): void {
    const frame = this.#frames.at(-1);
    if (frame !== undefined) frame.answer = value;
  }

  #hypercall(): boolean {
    const event = psciCall(this, this.#open);
    if (event === undefined) return false;
    this.#kvmRun.set(uapi.kvm_run.system_event_type, event);
    // Before 5.19 the count is where the flags are, and both are 0 here but for the count.
    this.#kvmRun.set(uapi.kvm_run.system_event_ndata, this.#open.profile.systemEventData ? 1 : 0);
    this.#kvmRun.set([40, 'u64'], 0);
    this.#kvmRun.set(uapi.kvm_run.exit_reason, uapi.KVM_EXIT_SYSTEM_EVENT);
    return true;
  }

  #exitMmio(step: Extract<GuestStep, { op: 'load' | 'store' }>): boolean {
    this.#unfinished = step;
    this.#kvmRun.set(uapi.kvm_run.mmio_phys_addr, step.address);
    this.#kvmRun.set(uapi.kvm_run.mmio_len, step.width);
    this.#kvmRun.set(uapi.kvm_run.mmio_is_write, step.op === 'store' ? 1 : 0);
    if (step.op === 'store') this.#kvmRun.set(uapi.kvm_run.mmio_data, BigInt.asUintN(8 * step.width, step.value));
    this.#kvmRun.set(uapi.kvm_run.exit_reason, uapi.KVM_EXIT_MMIO);
    return true;
  }

  /** kvm_handle_mmio_return(): what user space put into struct kvm_run is what the load gives, unless it has overwritten why it was asked. */
  #completeMmio(): void {
    const step = this.#unfinished;
    if (step === undefined || this.#kvmRun.get(uapi.kvm_run.exit_reason) !== uapi.KVM_EXIT_MMIO) return;
    this.#unfinished = undefined;
    if (step.op === 'load') this.#answer(BigInt.asUintN(8 * step.width, this.#kvmRun.get64(uapi.kvm_run.mmio_data)));
  }
}

/** @internal @returns -EINVAL for an argument that is not 0 */
export function withoutArgument(argument: UserArgument): number | undefined {
  return argument.value === 0 ? undefined : argument.refuse(KVM_ARGUMENT, { request: argument.request, argument: argument.value });
}
