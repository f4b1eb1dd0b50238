/** A vCPU's fd: what it is, its registers, and KVM_RUN with guests that are programs. Catalogue: arch/arm64/kvm/arm.c, mmio.c, psci.c, guest.c. */
import { BlockedError, E2BIG, EFAULT, EINTR, EINVAL, ENOENT, ENOEXEC, ENXIO, get, set, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import {
  GUEST_SPINS,
  GUEST_STEP,
  KVM_EXIT_INTR,
  KVM_EXIT_MMIO,
  KVM_EXIT_SYSTEM_EVENT,
  KVM_GET_MP_STATE,
  KVM_GET_ONE_REG,
  KVM_GET_REG_LIST,
  KVM_HAS_DEVICE_ATTR,
  KVM_MP_STATE_RUNNABLE,
  KVM_MP_STATE_STOPPED,
  KVM_REG_ARM_MPIDR,
  KVM_REG_ARM_PC,
  KVM_REG_ARM_PSCI_VERSION,
  KVM_RUN,
  KVM_SET_MP_STATE,
  KVM_SET_ONE_REG,
  KVM_SYSTEM_EVENT_RESET,
  KVM_SYSTEM_EVENT_SHUTDOWN,
  NO_GUEST_CODE,
  PSCI,
  coreRegister,
  kvm_mp_state,
  kvm_one_reg,
  kvm_reg_list,
  kvm_run,
  kvm_vcpu_init,
  type GuestProgram,
} from '../src/index.ts';
import { AT, Booted, Vmm, attribute } from './kvm-fds.ts';

/** A booted VM whose first vCPU runs a program. */
function guest(program: GuestProgram, init: ConstructorParameters<typeof Booted>[0] = {}): Booted {
  const vmm = new Booted(init);
  vmm.kvm.code.set(AT.CODE, program);
  vmm.calls.setReg(vmm.vcpus[0]!, KVM_REG_ARM_PC, AT.CODE);
  return vmm;
}

/** A guest that loads from a device, and then stores there. */
function loads(): { readonly vmm: Booted; readonly seen: readonly bigint[] } {
  const seen: bigint[] = [];
  const vmm = guest(function* (cpu) {
    seen.push(yield* cpu.load(AT.UART, 4));
    yield* cpu.store(AT.UART, 4, 0n);
  });
  return { vmm, seen };
}

const mpState = (vmm: Vmm, vcpu: number, state?: number): number => {
  const bytes = new Uint8Array(kvm_mp_state.size);
  if (state === undefined) return vmm.ioctl(vcpu, KVM_GET_MP_STATE, bytes) < 0 ? -1 : get(bytes, kvm_mp_state.mp_state);
  set(bytes, kvm_mp_state.mp_state, state);
  return vmm.ioctl(vcpu, KVM_SET_MP_STATE, bytes);
};

describe('what a vCPU is', () => {
  it('nothing works before KVM_ARM_VCPU_INIT, but its MP state', () => {
    const vmm = new Vmm();
    const fd = vmm.process.ioctl(vmm.vm(), 0xae41, 3);
    const events = vmm.host.trace.record();
    for (const request of [KVM_RUN, KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_GET_REG_LIST]) {
      expect(why(events, () => vmm.ioctl(fd, request))).toBe('ENOEXEC kvm/vcpu-uninitialised: vCPU 3 had no KVM_ARM_VCPU_INIT');
    }
    expect([mpState(vmm, fd), vmm.run(fd)]).toEqual([KVM_MP_STATE_RUNNABLE, -ENOEXEC]);
  });

  it('another target is EINVAL, an unknown feature ENOENT, one that the CPU has not EINVAL', () => {
    const vmm = new Vmm();
    const fd = vmm.process.ioctl(vmm.vm(), 0xae41, 0);
    expect([vmm.init(fd, 0, 4), vmm.init(fd, 1 << 7), vmm.init(fd, 1 << 3)]).toEqual([-EINVAL, -ENOENT, -EINVAL]);
    const wide = new Uint8Array(kvm_vcpu_init.size);
    set(wide, kvm_vcpu_init.target, 5);
    set(wide, [8, 'u32'], 1);
    expect([vmm.ioctl(fd, 0x4020_aeae, wide), vmm.run(fd)]).toEqual([-ENOENT, -ENOEXEC]);
  });

  it.each<[ProfileName, number]>([['linux-6.1', -ENOENT], ['linux-7.3', -EINVAL]])('%s: feature 7 is %i', (profile, result) => {
    const vmm = new Vmm({ profile });
    expect(vmm.init(vmm.process.ioctl(vmm.vm(), 0xae41, 0), 1 << 7)).toBe(result);
  });

  it.each<[ProfileName, number]>([['linux-6.1', -EINVAL], ['linux-6.12', 0]])('%s: a second call without POWER_OFF is %i', (profile, result) => {
    const vmm = new Vmm({ profile });
    const fd = vmm.vcpu(vmm.vm(), 0, 5);
    expect([mpState(vmm, fd), vmm.init(fd, 4), vmm.init(fd, 0)]).toEqual([KVM_MP_STATE_STOPPED, result, -EINVAL]);
  });

  it('MP states of arm64', () => {
    const vmm = new Vmm();
    const fd = vmm.vcpu(vmm.vm(), 2);
    const events = vmm.host.trace.record();
    expect([mpState(vmm, fd, 5), mpState(vmm, fd), mpState(vmm, fd, 10), mpState(vmm, fd, 0), mpState(vmm, fd)]).toEqual([0, 5, 0, 0, 0]);
    expect(why(events, () => mpState(vmm, fd, 3))).toBe('EINVAL kvm/mp-state: vCPU 2: state 3');
  });

  it('has no attributes', () => {
    const vmm = new Vmm();
    const fd = vmm.vcpu(vmm.vm(), 0);
    expect([vmm.ioctl(fd, KVM_HAS_DEVICE_ATTR, attribute(0, 0, 0)), vmm.ioctl(fd, KVM_HAS_DEVICE_ATTR), vmm.ioctl(fd, 0xae99)]).toEqual([-ENXIO, -EFAULT, -EINVAL]);
  });
});

describe('registers', () => {
  it('are kept: general ones, PC, and at reset EL1h with everything masked', () => {
    const vmm = new Booted();
    const [vcpu] = vmm.vcpus;
    vmm.calls.setReg(vcpu!, coreRegister(30), 0xfedc_ba98_7654_3210n);
    expect([vmm.calls.getReg(vcpu!, coreRegister(30)), vmm.calls.getReg(vcpu!, coreRegister(29)), vmm.calls.getReg(vcpu!, coreRegister(33))]).toEqual([0xfedc_ba98_7654_3210n, 0n, 0x3c5n]);
    vmm.init(vcpu!);
    expect(vmm.calls.getReg(vcpu!, coreRegister(30))).toBe(0n);
  });

  it('KVM_GET_REG_LIST says how many there are, then which', () => {
    const vmm = new Booted();
    const head = new Uint8Array(kvm_reg_list.size);
    const events = vmm.host.trace.record();
    expect(why(events, () => vmm.ioctl(vmm.vcpus[0]!, KVM_GET_REG_LIST, head))).toBe('E2BIG kvm/register-list: room for 0 of 43');
    const list = new Uint8Array(kvm_reg_list.size + 8 * 43);
    set(list, kvm_reg_list.n, 43);
    expect([vmm.ioctl(vmm.vcpus[0]!, KVM_GET_REG_LIST, list), get(head, kvm_reg_list.n), get(list, [8 + 8 * 32, 'u64'])]).toEqual([0, 43n, KVM_REG_ARM_PC]);
    expect(vmm.ioctl(vmm.vcpus[0]!, KVM_GET_REG_LIST, new Uint8Array(8))).toBe(-E2BIG);
    expect(Array.from({ length: 43 }, (_, n) => vmm.calls.getReg(vmm.vcpus[0]!, get(list, [8 + 8 * n, 'u64']))).filter((value) => value !== 0n)).toEqual([0x3c5n, 0x1_0001n, 0x8000_0000n]);
  });

  it('MPIDR_EL1 has the affinity, and the GIC goes by it', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    const fd = vmm.vcpu(vm, 17);
    expect(vmm.calls.getReg(fd, KVM_REG_ARM_MPIDR)).toBe(0x8000_0101n);
    vmm.calls.setReg(fd, KVM_REG_ARM_MPIDR, 0x1_8003_0201n);
    expect([vmm.last.vcpus[0]!.affinity, vmm.calls.getReg(fd, KVM_REG_ARM_MPIDR)]).toEqual([0x0103_0201, 0x1_8003_0201n]);
  });

  it('refuses what is no register of this vCPU, or no value of one', () => {
    const vmm = new Booted();
    const events = vmm.host.trace.record();
    const one = (id: bigint, request = KVM_GET_ONE_REG, value = 0n): string => {
      const data = vmm.process.mmap(-1, 0x1000);
      const bytes = new Uint8Array(8);
      set(bytes, [0, 'u64'], value);
      data.writeBytes(0, bytes);
      const reg = new Uint8Array(kvm_one_reg.size);
      set(reg, kvm_one_reg.id, id);
      set(reg, kvm_one_reg.addr, data.address);
      return why(events, () => vmm.ioctl(vmm.vcpus[0]!, request, reg)).slice(0, 6);
    };
    expect([one(0n), one(coreRegister(0) & ~0xf0_0000_0000_0000n), one(coreRegister(0) + 1n), one(coreRegister(100)), one(coreRegister(120))]).toEqual(['EINVAL', 'EINVAL', 'EINVAL', 'ENOENT', 'ENOENT']);
    expect([one(KVM_REG_ARM_MPIDR + 1n), one(coreRegister(33), KVM_SET_ONE_REG, 0x3c9n), one(KVM_REG_ARM_PSCI_VERSION, KVM_SET_ONE_REG, 0x1_0002n)]).toEqual(['ENOENT', 'EINVAL', 'EINVAL']);
    const nowhere = new Uint8Array(kvm_one_reg.size);
    set(nowhere, kvm_one_reg.id, KVM_REG_ARM_PC);
    expect([vmm.ioctl(vmm.vcpus[0]!, KVM_GET_ONE_REG, nowhere), vmm.ioctl(vmm.vcpus[0]!, KVM_SET_ONE_REG, nowhere), vmm.ioctl(vmm.vcpus[0]!, KVM_GET_ONE_REG)]).toEqual([-EFAULT, -EFAULT, -EFAULT]);
  });

  it.each<[ProfileName, bigint]>([['linux-5.10', 0x1_0000n], ['linux-6.1', 0x1_0001n], ['linux-7.3', 0x1_0003n]])('%s has PSCI %s', (profile, version) => {
    const vmm = new Vmm({ profile });
    expect(vmm.calls.getReg(vmm.vcpu(vmm.vm(), 0), KVM_REG_ARM_PSCI_VERSION)).toBe(version);
  });
});

describe('KVM_RUN', () => {
  it('a store outside of memory is an exit; the next call goes on behind it', () => {
    const vmm = guest(function* (cpu) {
      yield* cpu.write32(AT.RAM, 0x1234);
      yield* cpu.store(AT.UART, 1, 0x141n);
      yield* cpu.store(AT.UART + 8, 8, 0xfedc_ba98_7654_3210n);
    });
    const [run] = vmm.runs;
    expect([vmm.run(vmm.vcpus[0]!), vmm.calls.exitOf(run!).mmio, vmm.ram.read(0, 4)]).toEqual([0, { address: BigInt(AT.UART), length: 1, isWrite: true, data: 0x41n }, 0x1234]);
    expect([vmm.run(vmm.vcpus[0]!), vmm.calls.exitOf(run!).mmio]).toEqual([0, { address: BigInt(AT.UART + 8), length: 8, isWrite: true, data: 0xfedc_ba98_7654_3210n }]);
  });

  it('a load outside of memory gets what user space puts into struct kvm_run', () => {
    const seen: (number | bigint)[] = [];
    const vmm = guest(function* (cpu) {
      seen.push(yield* cpu.load(AT.UART, 2));
      yield* cpu.store(AT.UART, 4, 0n);
      seen.push(yield* cpu.read32(AT.RAM));
      yield* cpu.store(AT.UART, 4, 0n);
    });
    vmm.ram.write(0, 4, 77);
    expect([vmm.run(vmm.vcpus[0]!), vmm.calls.exitOf(vmm.runs[0]!).mmio?.isWrite]).toEqual([0, false]);
    vmm.calls.answerMmio(vmm.runs[0]!, 0xabcd_1234n);
    vmm.run(vmm.vcpus[0]!);
    vmm.run(vmm.vcpus[0]!);
    expect(seen).toEqual([0x1234n, 77]);
  });

  it('with immediate_exit a load is done first, with what was there then', () => {
    const { vmm, seen } = loads();
    const [run] = vmm.runs;
    vmm.run(vmm.vcpus[0]!);
    vmm.calls.answerMmio(run!, 1n);
    run!.write(kvm_run.immediate_exit[0], 1, 1);
    expect(vmm.run(vmm.vcpus[0]!)).toBe(-EINTR);
    vmm.calls.answerMmio(run!, 2n);
    run!.write(kvm_run.immediate_exit[0], 1, 0);
    expect([vmm.run(vmm.vcpus[0]!), seen]).toEqual([0, [1n]]);
  });

  it('an exit whose reason user space has overwritten comes again', () => {
    const { vmm, seen } = loads();
    const [run] = vmm.runs;
    vmm.run(vmm.vcpus[0]!);
    run!.write(kvm_run.exit_reason[0], 4, 0);
    expect([vmm.run(vmm.vcpus[0]!), vmm.calls.exitOf(run!).mmio?.isWrite]).toEqual([0, false]);
    vmm.calls.answerMmio(run!, 5n);
    expect([vmm.run(vmm.vcpus[0]!), seen]).toEqual([0, [5n]]);
  });

  it('goes on where user space has set the PC', () => {
    const vmm = guest(function* (cpu) {
      yield* cpu.store(AT.UART, 4, 1n);
      yield* cpu.store(AT.UART, 4, 2n);
    });
    vmm.kvm.code.set(0x40n, function* (cpu) {
      yield* cpu.store(AT.UART, 4, 7n);
    });
    vmm.run(vmm.vcpus[0]!);
    vmm.calls.setReg(vmm.vcpus[0]!, KVM_REG_ARM_PC, 0x40n);
    expect([vmm.run(vmm.vcpus[0]!), vmm.calls.exitOf(vmm.runs[0]!).mmio?.data]).toEqual([0, 7n]);
  });

  it('registers of the GIC are the kernel\'s: no exit', () => {
    let typer = 0;
    const vmm = guest(function* (cpu) {
      typer = yield* cpu.read32(AT.REDIST + 0x2_0008);
      yield* cpu.store(AT.UART, 4, 0n);
    });
    vmm.run(vmm.vcpus[0]!);
    expect(typer).toBe(0x111);
  });

  it('with immediate_exit it comes back at once; an argument is EINVAL', () => {
    const vmm = guest(function* (cpu) {
      yield* cpu.store(AT.UART, 4, 0n);
    });
    vmm.runs[0]!.write(kvm_run.immediate_exit[0], 1, 1);
    expect([vmm.run(vmm.vcpus[0]!), vmm.ioctl(vmm.vcpus[0]!, KVM_RUN, 1)]).toEqual([-EINTR, -EINVAL]);
    vmm.runs[0]!.write(kvm_run.immediate_exit[0], 1, 0);
    expect([vmm.run(vmm.vcpus[0]!), vmm.calls.exitOf(vmm.runs[0]!).reason]).toEqual([0, KVM_EXIT_MMIO]);
  });

  it('a signal ends it, asleep or not', () => {
    const vmm = guest(function* (cpu) {
      for (;;) yield* cpu.wfi();
    });
    const thread = vmm.process.start('vcpu', vmm.process.sys.ioctl(vmm.vcpus[0]!, KVM_RUN, 0));
    expect(thread.outcome.state).toBe('asleep');
    thread.signal();
    expect([thread.result(), vmm.calls.exitOf(vmm.runs[0]!).reason, vmm.last.vcpus[0]!.state]).toEqual([-EINTR, KVM_EXIT_INTR, 'stopped']);
  });

  it('a guest that never exits is stopped after its steps', () => {
    const vmm = guest(
      function* (cpu) {
        for (;;) yield* cpu.read32(AT.RAM);
      },
      { stepsPerRun: 100 },
    );
    const events = vmm.host.trace.record();
    expect([vmm.run(vmm.vcpus[0]!), events.filter(({ id }) => id === GUEST_SPINS.id).map(({ text }) => text)]).toEqual([-EINTR, ['vCPU 0 made 100 accesses without an exit']]);
  });

  it('where no code is, it waits', () => {
    const vmm = new Booted();
    const events = vmm.host.trace.record();
    expect(() => vmm.run(vmm.vcpus[0]!)).toThrow(BlockedError);
    expect(events.filter(({ id }) => id === NO_GUEST_CODE.id).map(({ text }) => text)).toEqual(['vCPU 0 runs at 0x0, where there is no code']);
  });

  it('a program that ends with another PC goes on there', () => {
    const vmm = guest(function* (cpu) {
      yield* cpu.write32(AT.RAM, 1);
      cpu.registers.pc = 0x40n;
    });
    vmm.kvm.code.set(0x40n, function* (cpu) {
      yield* cpu.store(AT.UART, 4, 7n);
    });
    expect([vmm.run(vmm.vcpus[0]!), vmm.calls.exitOf(vmm.runs[0]!).mmio?.data, vmm.calls.getReg(vmm.vcpus[0]!, KVM_REG_ARM_PC)]).toEqual([0, 7n, 0x40n]);
  });

  it('other requests wait until it is back', () => {
    const vmm = guest(function* (cpu) {
      yield* cpu.wfi();
    });
    const run = vmm.process.start('vcpu', vmm.process.sys.ioctl(vmm.vcpus[0]!, KVM_RUN, 0));
    const state = vmm.process.start('state', vmm.process.sys.ioctl(vmm.vcpus[0]!, KVM_GET_MP_STATE, new Uint8Array(4)));
    expect(state.outcome.state).toBe('asleep');
    run.signal();
    expect([run.result(), state.result()]).toEqual([-EINTR, 0]);
  });

  it('other threads run between the accesses of a guest', () => {
    const vmm = guest(function* (cpu) {
      yield* cpu.write32(AT.RAM, 1);
      yield* cpu.store(AT.UART, 4, 0n);
    });
    vmm.host.scheduler.stopAt(GUEST_STEP);
    const thread = vmm.process.start('vcpu', vmm.process.sys.ioctl(vmm.vcpus[0]!, KVM_RUN, 0));
    expect([thread.outcome, vmm.ram.read(0, 4)]).toEqual([{ state: 'held', at: GUEST_STEP.point }, 0]);
    vmm.host.scheduler.release(GUEST_STEP);
    expect([thread.result(), vmm.ram.read(0, 4)]).toEqual([0, 1]);
  });

  it('a signal that comes between two accesses ends it before the second, which is made at the next KVM_RUN', () => {
    const vmm = guest(function* (cpu) {
      yield* cpu.write32(AT.RAM, 1);
      yield* cpu.store(AT.UART, 4, 0n);
    });
    const run = () => vmm.process.start('vcpu', vmm.process.sys.ioctl(vmm.vcpus[0]!, KVM_RUN, 0));
    vmm.host.scheduler.stopAt(GUEST_STEP);
    const thread = run();
    thread.signal();
    expect([thread.result(), vmm.ram.read(0, 4)]).toEqual([-EINTR, 0]);
    vmm.host.scheduler.release(GUEST_STEP);
    expect([run().result(), vmm.ram.read(0, 4)]).toEqual([0, 1]);
  });

  it('a vCPU waits for a CPU', () => {
    const vmm = new Booted({ vcpus: 5, stepsPerRun: 50 });
    vmm.kvm.code.set(AT.CODE, function* (cpu) {
      yield* cpu.wfi();
    });
    vmm.kvm.code.set(0x10n, function* (cpu) {
      for (;;) yield* cpu.read32(AT.RAM);
    });
    const threads = vmm.vcpus.map((fd, n) => {
      mpState(vmm, fd, KVM_MP_STATE_RUNNABLE);
      vmm.calls.setReg(fd, KVM_REG_ARM_PC, n === 4 ? AT.CODE : 0x10n);
      return fd;
    });
    vmm.host.scheduler.stopAt(GUEST_STEP);
    const running = threads.map((fd, n) => vmm.process.start(`vcpu ${n}`, vmm.process.sys.ioctl(fd, KVM_RUN, 0)));
    expect(running.map(({ outcome }) => outcome.state)).toEqual(['held', 'held', 'held', 'held', 'asleep']);
    running[1]!.signal();
    vmm.host.scheduler.release(GUEST_STEP);
    expect([running[1]!.result(), vmm.last.vcpus[4]!.state]).toEqual([-EINTR, 'blocked']);
  });
});

describe('interrupts of a guest', () => {
  it('the vector runs between two accesses, with the program\'s own answer kept', () => {
    const log: string[] = [];
    const vmm = guest(function* (cpu) {
      yield* cpu.write32(AT.DIST, 2);
      cpu.setPriorityMask(0xff);
      cpu.setGroup1(true);
      cpu.vector = function* () {
        const intid = cpu.acknowledge();
        log.push(`irq ${intid} ${yield* cpu.read32(AT.RAM + 4)}`);
        cpu.endOfInterrupt(intid);
      };
      cpu.sendSgi(0x0300_0001n);
      log.push(`load ${yield* cpu.read32(AT.RAM)}`);
      yield* cpu.store(AT.UART, 4, 0n);
    });
    vmm.ram.write(0, 4, 11);
    vmm.ram.write(4, 4, 22);
    expect([vmm.run(vmm.vcpus[0]!), log]).toEqual([0, ['irq 3 22', 'load 11']]);
  });

  it('WFI sleeps until one comes; masked, it ends all the same', () => {
    const log: string[] = [];
    const vmm = guest(function* (cpu) {
      yield* cpu.write32(AT.DIST, 2);
      yield* cpu.write32(AT.REDIST + 0x1_0100, 1 << 20);
      cpu.setPriorityMask(0xff);
      cpu.setGroup1(true);
      cpu.masked = true;
      yield* cpu.wfi();
      log.push(`woken, ${cpu.interrupted ? 'asserted' : 'nothing'}`);
      log.push(`${cpu.acknowledge()}`);
      yield* cpu.store(AT.UART, 4, 0n);
    });
    const thread = vmm.process.start('vcpu', vmm.process.sys.ioctl(vmm.vcpus[0]!, KVM_RUN, 0));
    expect(thread.outcome.state).toBe('asleep');
    vmm.calls.irqLine(vmm.vmFd, 20, true);
    expect([thread.result(), log]).toEqual([0, ['woken, asserted', '20']]);
  });
});

describe('PSCI', () => {
  const call = (id: number, ...args: readonly bigint[]) => {
    let result: bigint | undefined;
    const vmm = guest(function* (cpu) {
      result = yield* cpu.hvc(id, ...args);
      yield* cpu.store(AT.UART, 4, 0n);
    });
    const returned = vmm.run(vmm.vcpus[0]!);
    return { vmm, returned, result, exit: vmm.calls.exitOf(vmm.runs[0]!) };
  };

  it('has its version and its functions', () => {
    expect([call(PSCI.VERSION).result, call(0x8000_0000).result, call(PSCI.FEATURES, BigInt(PSCI.CPU_ON)).result, call(PSCI.FEATURES, 0x8400_0050n).result, call(0x8400_0050).result]).toEqual([0x1_0001n, 0x1_0001n, 0n, -1n, -1n]);
  });

  it.each([[PSCI.SYSTEM_OFF, KVM_SYSTEM_EVENT_SHUTDOWN], [PSCI.SYSTEM_RESET, KVM_SYSTEM_EVENT_RESET]])('0x%s is system event %i, and no vCPU runs on', (id, event) => {
    const { vmm, returned, result, exit } = call(id);
    expect([returned, result, exit.reason, exit.systemEvent, vmm.runs[0]!.read(kvm_run.system_event_ndata[0], 4)]).toEqual([0, undefined, KVM_EXIT_SYSTEM_EVENT, event, 1]);
    expect(vmm.vcpus.map((fd) => mpState(vmm, fd))).toEqual([KVM_MP_STATE_STOPPED, KVM_MP_STATE_STOPPED]);
  });

  it('CPU_ON starts a CPU that is off, with its context in x0', () => {
    const seen: bigint[] = [];
    const vmm = guest(function* (cpu) {
      seen.push(yield* cpu.hvc(PSCI.AFFINITY_INFO, 1n));
      seen.push(yield* cpu.hvc(PSCI.CPU_ON, 1n, 0x20n, 0x77n));
      seen.push(yield* cpu.hvc(PSCI.CPU_ON, 1n, 0x20n, 0n));
      seen.push(yield* cpu.hvc(PSCI.CPU_ON, 9n, 0x20n, 0n));
      yield* cpu.store(AT.UART, 4, 0n);
    });
    vmm.kvm.code.set(0x20n, function* (cpu) {
      yield* cpu.store(AT.UART, 8, cpu.registers.get(0));
      yield* cpu.hvc(PSCI.CPU_OFF);
    });
    const second = vmm.process.start('vcpu 1', vmm.process.sys.ioctl(vmm.vcpus[1]!, KVM_RUN, 0));
    expect(second.outcome.state).toBe('asleep');
    expect([vmm.run(vmm.vcpus[0]!), seen]).toEqual([0, [1n, 0n, -4n, -2n]]);
    expect([second.result(), vmm.calls.exitOf(vmm.runs[1]!).mmio?.data]).toEqual([0, 0x77n]);
    const off = vmm.process.start('vcpu 1 again', vmm.process.sys.ioctl(vmm.vcpus[1]!, KVM_RUN, 0));
    expect([off.outcome.state, vmm.last.vcpus[1]!.state]).toEqual(['asleep', 'stopped']);
  });

  it('a vCPU without the feature has none', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    const fd = vmm.vcpu(vm, 0, 0);
    let result = 0n;
    vmm.kvm.code.set(0n, function* (cpu) {
      result = yield* cpu.hvc(PSCI.VERSION);
      yield* cpu.store(AT.UART, 4, 0n);
    });
    expect([vmm.run(fd), result]).toEqual([0, -1n]);
  });
});
