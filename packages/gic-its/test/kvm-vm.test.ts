/** A VM's fd: memory slots, dirty logs, routes, irqfds, ioeventfds, lines. Catalogue: linux/kvm.h, virt/kvm, arch/arm64/kvm/arm.c. */
import { EAGAIN, EBADF, EBUSY, EEXIST, EFAULT, EINVAL, EMFILE, ENOENT, ENXIO, get, set, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import {
  ADDR_TYPE,
  CTRL,
  GRP,
  KVM_ARM_PREFERRED_TARGET,
  KVM_CAP_HALT_POLL,
  KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
  KVM_CLEAR_DIRTY_LOG,
  KVM_CREATE_VCPU,
  KVM_DEV_TYPE_ARM_VGIC_V3,
  KVM_ENABLE_CAP,
  KVM_GET_DIRTY_LOG,
  KVM_IOEVENTFD,
  KVM_IRQFD,
  KVM_IRQ_LINE,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  KVM_SET_GSI_ROUTING,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  KVM_SIGNAL_MSI,
  kvm_clear_dirty_log,
  kvm_dirty_log,
  kvm_enable_cap,
  kvm_ioeventfd,
  kvm_irq_level,
  kvm_irq_routing,
  kvm_irq_routing_entry,
  kvm_irqfd,
  kvm_msi,
  kvm_userspace_memory_region,
  kvm_userspace_memory_region2,
  kvm_vcpu_init,
} from '../src/index.ts';
import { AT, Booted, Vmm } from './kvm-fds.ts';

interface Slot {
  readonly slot?: number;
  readonly flags?: number;
  readonly gpa?: number | bigint;
  readonly size?: number | bigint;
  readonly vaddr?: number | bigint;
}

function setup(init: ConstructorParameters<typeof Vmm>[0] = {}) {
  const vmm = new Vmm(init);
  const vm = vmm.vm();
  const memory = vmm.process.mmap(-1, 0x10_0000);
  const events = vmm.host.trace.record();
  const region = ({ slot = 0, flags = 0, gpa = AT.RAM, size = 0x4_0000, vaddr = memory.address }: Slot = {}, request = KVM_SET_USER_MEMORY_REGION): number => {
    const bytes = new Uint8Array(request === KVM_SET_USER_MEMORY_REGION ? kvm_userspace_memory_region.size : kvm_userspace_memory_region2.size);
    set(bytes, kvm_userspace_memory_region.slot, slot);
    set(bytes, kvm_userspace_memory_region.flags, flags);
    set(bytes, kvm_userspace_memory_region.guest_phys_addr, gpa);
    set(bytes, kvm_userspace_memory_region.memory_size, size);
    set(bytes, kvm_userspace_memory_region.userspace_addr, vaddr);
    return vmm.ioctl(vm, request, bytes);
  };
  return { vmm, vm, memory, events, region };
}

describe('memory slots', () => {
  it('the guest has the process\' memory', () => {
    const { vmm, memory, region } = setup();
    expect(region()).toBe(0);
    memory.write(0x1234, 4, 0xcafe);
    vmm.last.memory.write32(AT.RAM + 0x100, 0xbeef);
    expect([vmm.last.memory.read32(AT.RAM + 0x1234), memory.read(0x100, 4)]).toEqual([0xcafe, 0xbeef]);
  });

  it.each<[string, Slot]>([
    ['a size that is no multiple of 4 KiB', { size: 0x1001 }],
    ['an address that is none', { gpa: AT.RAM + 1 }],
    ['memory that begins within a page', { vaddr: 0x1001 }],
    ['memory beyond user addresses', { vaddr: 0x7fff_ffff_e000 }],
    ['memory that wraps', { vaddr: 0xffff_ffff_ffff_f000n }],
    ['the slot after the last', { slot: 0x7fff }],
    ['another address space', { slot: 0x1_0000 }],
    ['a range that ends at 2^64', { gpa: 0xffff_ffff_ffff_0000n, size: 0x1_0000 }],
    ['more than 2^31 pages', { size: 0x800_0000_0000n, vaddr: 0 }],
    ['an empty slot that is not there', { size: 0 }],
  ])('%s is EINVAL', (_what, slot) => {
    const { vmm, events, region } = setup();
    expect(why(events, () => region(slot))).toContain('EINVAL kvm/memory-region');
    expect(vmm.last.memory.visible(AT.RAM)).toBe(false);
  });

  it('unknown flags are EINVAL', () => {
    const { events, region } = setup();
    expect(why(events, () => region({ flags: 4 }))).toBe('EINVAL kvm/memory-flags: flags are 0x4');
  });

  it('slots do not overlap, and end within the VM\'s addresses', () => {
    const { events, region } = setup();
    expect(region()).toBe(0);
    expect(why(events, () => region({ slot: 1, gpa: AT.RAM + 0x3_f000 }))).toBe('EEXIST kvm/memory-overlap: slot 0x1 would overlap slot 0x0');
    expect(why(events, () => region({ slot: 1, gpa: 2 ** 40 - 0x1000 }))).toBe('EFAULT kvm/memory-ipa: slot 0x1 ends behind 40 bits');
    expect(why(events, () => region({ slot: 1, gpa: 2n ** 60n }))).toContain('EFAULT kvm/memory-ipa');
    expect(region({ slot: 1, gpa: 2 ** 40 - 0x4_0000 })).toBe(0);
  });

  it('a slot moves, but keeps size, memory and READONLY', () => {
    const { vmm, memory, events, region } = setup();
    region();
    const { memory: guest } = vmm.last;
    expect([region(), region({ gpa: 0x8000_0000 }), guest.visible(AT.RAM), guest.visible(0x8000_0000)]).toEqual([0, 0, false, true]);
    const now = { gpa: 0x8000_0000 };
    expect(why(events, () => region({ ...now, size: 0x2_0000 }))).toBe('EINVAL kvm/memory-change: slot 0x0 would change its size');
    expect(why(events, () => region({ ...now, vaddr: memory.address + 0x1000 }))).toBe('EINVAL kvm/memory-change: slot 0x0 would change its memory');
    expect(why(events, () => region({ ...now, flags: KVM_MEM_READONLY }))).toBe('EINVAL kvm/memory-change: slot 0x0 would change its KVM_MEM_READONLY');
    expect([region({ ...now, size: 0 }), guest.visible(0x8000_0000)]).toEqual([0, false]);
  });

  it('a slot moves to where it partly is', () => {
    const { vmm, region } = setup();
    region();
    const { memory: guest } = vmm.last;
    expect([region({ gpa: AT.RAM + 0x1000 }), guest.visible(AT.RAM), guest.visible(AT.RAM + 0x4_0000)]).toEqual([0, false, true]);
  });

  it('a move onto another slot leaves both where they are', () => {
    const { vmm, region } = setup();
    region();
    region({ slot: 1, gpa: 0x8000_0000 });
    expect([region({ slot: 1 }), vmm.last.memory.visible(0x8000_0000)]).toEqual([-EEXIST, true]);
  });

  it('read-only memory takes no store', () => {
    const { vmm, region } = setup();
    region({ flags: KVM_MEM_READONLY });
    vmm.last.memory.write32(AT.RAM, 1);
    expect([vmm.last.memory.read32(AT.RAM), vmm.last.memory.accessible(AT.RAM, 4, true)]).toEqual([0, false]);
  });

  it.each<[ProfileName, number]>([['linux-6.1', -EINVAL], ['linux-6.12', 0], ['linux-7.3', 0]])('%s: KVM_SET_USER_MEMORY_REGION2 is %i', (profile, result) => {
    const { region } = setup({ profile });
    expect(region({}, KVM_SET_USER_MEMORY_REGION2)).toBe(result);
  });

  it('there is no guest_memfd', () => {
    const { events, region } = setup({ profile: 'linux-7.3' });
    expect(why(events, () => region({ flags: 4 }, KVM_SET_USER_MEMORY_REGION2))).toBe('EINVAL kvm/memory-flags: flags are 0x4');
  });
});

describe('dirty logs', () => {
  function logged(flags = KVM_MEM_LOG_DIRTY_PAGES) {
    const it = setup();
    it.region({ flags });
    const into = it.vmm.process.mmap(-1, 0x1000);
    const take = (slot = 0, at: number | bigint = into.address): number => {
      const log = new Uint8Array(kvm_dirty_log.size);
      set(log, kvm_dirty_log.slot, slot);
      set(log, kvm_dirty_log.dirty_bitmap, at);
      return it.vmm.ioctl(it.vm, KVM_GET_DIRTY_LOG, log);
    };
    const clear = (first: number, count: number, bits: bigint, slot = 0): number => {
      const bitmap = new Uint8Array(8);
      set(bitmap, [0, 'u64'], bits);
      into.writeBytes(0x800, bitmap);
      const log = new Uint8Array(kvm_clear_dirty_log.size);
      set(log, kvm_clear_dirty_log.slot, slot);
      set(log, kvm_clear_dirty_log.first_page, first);
      set(log, kvm_clear_dirty_log.num_pages, count);
      set(log, kvm_clear_dirty_log.dirty_bitmap, into.address + 0x800);
      return it.vmm.ioctl(it.vm, KVM_CLEAR_DIRTY_LOG, log);
    };
    const bits = (): bigint => get(into.readBytes(0, 8), [0, 'u64']);
    const guest = it.vmm.last.memory;
    return { ...it, take, clear, bits, guest };
  }

  it('has pages that were written, and begins anew', () => {
    const { take, bits, guest } = logged();
    guest.write8(AT.RAM + 0x2000, 1);
    guest.write32(AT.RAM + 0x4ffe, 1);
    expect([take(), bits(), take(), bits()]).toEqual([0, 0b11_0100n, 0, 0n]);
  });

  it('goes on through a change that leaves its flag, and ends with it', () => {
    const { take, bits, guest, region } = logged();
    guest.write8(AT.RAM, 1);
    expect([region({ flags: KVM_MEM_LOG_DIRTY_PAGES, gpa: 0x8000_0000 }), take(), bits()]).toEqual([0, 0, 1n]);
    expect([region({ gpa: 0x8000_0000 }), take()]).toEqual([0, -ENOENT]);
  });

  it('is asked of a slot that has one, into memory that is there', () => {
    const { events, take } = logged(0);
    expect(why(events, () => take())).toBe('ENOENT kvm/dirty-slot: slot 0x0 has no dirty log');
    expect(why(events, () => take(3))).toBe('ENOENT kvm/dirty-slot: slot 0x3 does not exist');
    expect(why(events, () => take(0x1_0000))).toBe('EINVAL kvm/dirty-slot: slot 0x10000 does not exist');
    expect(logged().take(0, 0)).toBe(-EFAULT);
  });

  it('is taken even if there is no memory for it', () => {
    const { take, bits, guest } = logged();
    guest.write8(AT.RAM + 0x2000, 1);
    expect([take(0, 0), take(), bits()]).toEqual([-EFAULT, 0, 0n]);
  });

  function enable(vmm: Vmm, vm: number, cap: number, value: number | bigint, flags = 0): number {
    const bytes = new Uint8Array(kvm_enable_cap.size);
    set(bytes, kvm_enable_cap.cap, cap);
    set(bytes, kvm_enable_cap.flags, flags);
    set(bytes, kvm_enable_cap.args, value);
    return vmm.ioctl(vm, KVM_ENABLE_CAP, bytes);
  }

  it('with manual protection pages stay until they are cleared by whole words', () => {
    const { vmm, vm, take, clear, bits, guest, events } = logged();
    expect(enable(vmm, vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1)).toBe(0);
    guest.write8(AT.RAM + 0x2000, 1);
    guest.write8(AT.RAM + 0x3000, 1);
    expect([take(), take(), bits()]).toEqual([0, 0, 0b1100n]);
    expect([clear(0, 64, 0b0100n), take(), bits()]).toEqual([0, 0, 0b1000n]);
    expect(why(events, () => clear(1, 63, 0n))).toBe('EINVAL kvm/dirty-range: 63 pages from 1 on, of 64 of slot 0x0');
    for (const [first, count] of [[0, 63], [0, 65], [64, 64], [128, 0]] as const) expect(clear(first, count, 0n)).toBe(-EINVAL);
    expect([clear(64, 0, 0n), clear(0, 64, 0n, 1)]).toEqual([0, -ENOENT]);
  });

  it('is all set at first where that was asked for', () => {
    const { vmm, vm, region, take, bits } = logged(0);
    expect([enable(vmm, vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3), region({ flags: KVM_MEM_LOG_DIRTY_PAGES }), take(), bits()]).toEqual([0, 0, 0, 0xffff_ffff_ffff_ffffn]);
  });

  it('other capabilities are EINVAL', () => {
    const { vmm, vm, events } = setup();
    expect(why(events, () => enable(vmm, vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 2))).toBe('EINVAL kvm/capability: capability 168, flags 0x0, argument 0x2');
    expect(enable(vmm, vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 1, 1)).toBe(-EINVAL);
    expect([enable(vmm, vm, KVM_CAP_HALT_POLL, 1), enable(vmm, vm, KVM_CAP_HALT_POLL, 2n ** 32n), enable(vmm, vm, 9999, 0)]).toEqual([0, -EINVAL, -EINVAL]);
  });
});

describe('vCPUs', () => {
  it('come in any order of ids', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    expect([7, 0, 511].map((id) => vmm.ioctl(vm, KVM_CREATE_VCPU, id) > 0)).toEqual([true, true, true]);
    expect(vmm.last.vcpus.map(({ id }) => id)).toEqual([7, 0, 511]);
    expect([512, 7].map((id) => vmm.ioctl(vm, KVM_CREATE_VCPU, id))).toEqual([-EINVAL, -EEXIST]);
  });

  it('without an fd there is none', () => {
    const vmm = new Vmm();
    const { small, vm } = vmm.full();
    expect([small.tryIoctl(vm, KVM_CREATE_VCPU, 0), small.tryIoctl(vm, KVM_CREATE_VCPU, 512), vmm.last.vcpus]).toEqual([-EMFILE, -EINVAL, []]);
  });

  it('without an fd it leaves its frame in the region, which answers no more, and the next one has the frame behind', () => {
    const vmm = new Vmm();
    const { small, kvm, vm } = vmm.full();
    const vgic = vmm.last.createVgic();
    if (typeof vgic === 'number') throw new Error(`errno ${vgic}`);
    const base = 0x80a_0000;
    expect(vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, (4n << 52n) | BigInt(base))).toBe(0);
    expect(small.tryIoctl(vm, KVM_CREATE_VCPU, 0)).toBe(-EMFILE);
    small.close(kvm);
    expect(small.tryIoctl(vm, KVM_CREATE_VCPU, 0)).toBeGreaterThan(0);
    const iidrs = [0, 1, 2].map((n) => vmm.last.load(vmm.last.vcpus[0]!, base + n * 0x2_0000 + 4, 4));
    expect(iidrs.map((iidr) => iidr !== 0n)).toEqual([false, true, false]);
  });

  it('the preferred target is the generic one, without features', () => {
    const vmm = new Vmm();
    const init = new Uint8Array(kvm_vcpu_init.size).fill(0xff);
    expect([vmm.ioctl(vmm.vm(), KVM_ARM_PREFERRED_TARGET, init), get(init, kvm_vcpu_init.target), get(init, kvm_vcpu_init.features)]).toEqual([0, 5, 0]);
  });
});

describe('routes', () => {
  function route(vmm: Booted, entries: readonly { gsi?: number; type?: number; flags?: number; a?: number; b?: number }[], table: { nr?: number; flags?: number } = {}): number {
    const bytes = new Uint8Array(kvm_irq_routing.size + entries.length * kvm_irq_routing_entry.size);
    set(bytes, kvm_irq_routing.nr, table.nr ?? entries.length);
    set(bytes, kvm_irq_routing.flags, table.flags ?? 0);
    entries.forEach(({ gsi = 0, type = 1, flags = 0, a = 0, b = 0 }, n) => {
      const entry = bytes.subarray(kvm_irq_routing.size + n * kvm_irq_routing_entry.size);
      set(entry, kvm_irq_routing_entry.gsi, gsi);
      set(entry, kvm_irq_routing_entry.type, type);
      set(entry, kvm_irq_routing_entry.flags, flags);
      set(entry, kvm_irq_routing_entry.u_irqchip_irqchip, a);
      set(entry, kvm_irq_routing_entry.u_irqchip_pin, b);
    });
    return vmm.ioctl(vmm.vmFd, KVM_SET_GSI_ROUTING, bytes);
  }

  it('are the pins of the GIC at first', () => {
    const { last } = new Booted();
    expect([last.route(0), last.route(223), last.route(224)]).toEqual([{ gsi: 0, pin: 0 }, { gsi: 223, pin: 223 }, undefined]);
  });

  it('are replaced as a whole, or not at all', () => {
    const vmm = new Booted();
    expect(route(vmm, [{ gsi: 4, b: 7 }])).toBe(0);
    expect([vmm.last.route(0), vmm.last.route(4)]).toEqual([undefined, { gsi: 4, pin: 7 }]);
    expect([route(vmm, [{ gsi: 5 }, { gsi: 6, type: 3 }]), vmm.last.route(5), vmm.last.route(4)]).toEqual([-EINVAL, undefined, { gsi: 4, pin: 7 }]);
  });

  it('refuses what is no route, and says which', () => {
    const vmm = new Booted();
    const events = vmm.host.trace.record();
    const said = (entry: Parameters<typeof route>[1][number], table = {}): string => why(events, () => route(vmm, [{}, entry], table)).replace('EINVAL kvm/routing: ', '');
    expect(said({ gsi: 4096 })).toBe('entry 1: the GSI is 4096');
    expect(said({ gsi: 0 })).toBe('entry 1: the GSI, which has a route already, is 0');
    expect(said({ gsi: 1, b: 988 })).toBe('entry 1: the pin is 988');
    expect(said({ gsi: 1, a: 1 })).toBe('entry 1: the irqchip is 1');
    expect(said({ gsi: 1, type: 3 })).toBe('entry 1: the type is 3');
    expect(said({ gsi: 1, flags: 1 })).toBe('entry 1: flags is 1');
    expect(said({ gsi: 1, type: 2, flags: 2 })).toBe('entry 1: flags is 2');
    expect(said({}, { flags: 1 })).toBe('the table: flags is 1');
    expect(said({}, { nr: 4097 })).toBe('the table: the count is 4097');
    expect(route(vmm, [{}], { nr: 2 })).toBe(-EFAULT);
  });
});

describe('irqfds', () => {
  function irqfd(vmm: Vmm, vm: number, fd: number, { gsi = 0, flags = 0, resample = -1 } = {}): number {
    const bytes = new Uint8Array(kvm_irqfd.size);
    set(bytes, kvm_irqfd.fd, fd);
    set(bytes, kvm_irqfd.gsi, gsi);
    set(bytes, kvm_irqfd.flags, flags);
    set(bytes, kvm_irqfd.resamplefd, resample);
    return vmm.ioctl(vm, KVM_IRQFD, bytes);
  }

  it('wants a GIC before it looks at the fd, and known flags before that', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    expect([irqfd(vmm, vm, 99), irqfd(vmm, vm, 99, { flags: 4 }), irqfd(vmm, vm, 99, { flags: 1 })]).toEqual([-EAGAIN, -EINVAL, -EBADF]);
  });

  it('an eventfd has one in a VM', () => {
    const vmm = new Booted();
    const eventfd = vmm.process.eventfd();
    expect([irqfd(vmm, vmm.vmFd, eventfd), irqfd(vmm, vmm.vmFd, eventfd, { gsi: 1 }), irqfd(vmm, vmm.vmFd, vmm.vmFd), irqfd(vmm, vmm.vmFd, 99)]).toEqual([0, -EBUSY, -EINVAL, -EBADF]);
    expect([irqfd(vmm, vmm.vmFd, eventfd, { flags: 2, resample: 99 }), irqfd(vmm, vmm.vmFd, eventfd, { flags: 1, gsi: 5 }), irqfd(vmm, vmm.vmFd, eventfd, { flags: 1 })]).toEqual([-EBADF, 0, 0]);
    expect(irqfd(vmm, vmm.vmFd, eventfd, { gsi: 1 })).toBe(0);
  });

  it('is taken away whatever its resampler is called', () => {
    const vmm = new Booted();
    const eventfd = vmm.process.eventfd();
    irqfd(vmm, vmm.vmFd, eventfd);
    expect([irqfd(vmm, vmm.vmFd, eventfd, { flags: 3, resample: 99 }), irqfd(vmm, vmm.vmFd, eventfd, { gsi: 1 })]).toEqual([0, 0]);
  });

  it('raises the line of an SPI that is level-sensitive, and leaves it up', () => {
    const vmm = new Booted();
    const eventfd = vmm.process.eventfd();
    irqfd(vmm, vmm.vmFd, eventfd, { gsi: 4 });
    vmm.process.writeEventfd(eventfd, 1n);
    expect([vmm.get(vmm.gicFd, GRP.LEVEL_INFO, 32), vmm.process.readEventfd(eventfd)]).toEqual([16n, 0n]);
  });

  it('are gone when the VM\'s own fd is closed, though vCPUs hold it', () => {
    const vmm = new Booted();
    const eventfd = vmm.process.eventfd();
    irqfd(vmm, vmm.vmFd, eventfd, { gsi: 4 });
    vmm.process.close(vmm.vmFd);
    vmm.process.writeEventfd(eventfd, 1n);
    expect([vmm.process.readEventfd(eventfd), vmm.kvm.vms]).toEqual([1n, [expect.anything()]]);
  });

  it('the last resampler of a GSI lowers its line when it goes', () => {
    const vmm = new Booted();
    const [eventfd, resample] = [vmm.process.eventfd(), vmm.process.eventfd()];
    irqfd(vmm, vmm.vmFd, eventfd, { gsi: 4, flags: 2, resample });
    vmm.process.writeEventfd(eventfd, 1n);
    irqfd(vmm, vmm.vmFd, eventfd, { gsi: 4, flags: 1 });
    expect(vmm.get(vmm.gicFd, GRP.LEVEL_INFO, 32)).toBe(0n);
  });
});

describe('ioeventfds', () => {
  interface Asked {
    readonly address?: number | bigint;
    readonly length?: number;
    readonly flags?: number;
    readonly match?: bigint;
    readonly fd?: number;
  }

  function booted() {
    const vmm = new Booted();
    const fd = vmm.process.eventfd();
    const ask = ({ address = AT.UART, length = 4, flags = 0, match = 0n, fd: of = fd }: Asked = {}): number => {
      const bytes = new Uint8Array(kvm_ioeventfd.size);
      set(bytes, kvm_ioeventfd.addr, address);
      set(bytes, kvm_ioeventfd.len, length);
      set(bytes, kvm_ioeventfd.flags, flags);
      set(bytes, kvm_ioeventfd.datamatch, match);
      set(bytes, kvm_ioeventfd.fd, of);
      return vmm.ioctl(vmm.vmFd, KVM_IOEVENTFD, bytes);
    };
    const { last: vm } = vmm;
    const store = (address: number, width: number, value: bigint): boolean => vm.tryStore(vm.vcpus[0]!, address, width, value);
    return { vmm, ask, store, count: () => vmm.process.readEventfd(fd) };
  }

  it('a store of that address and length signals; another one exits', () => {
    const { ask, store, count } = booted();
    expect(ask()).toBe(0);
    expect([store(AT.UART, 4, 1n), store(AT.UART, 2, 1n), store(AT.UART + 4, 4, 1n), count()]).toEqual([true, false, false, 1n]);
  });

  it('DATAMATCH wants the value; length 0 takes any width', () => {
    const { ask, store, count } = booted();
    expect([ask({ flags: 1, match: 7n }), ask({ address: AT.UART + 8, length: 0 })]).toEqual([0, 0]);
    expect([store(AT.UART, 4, 6n), store(AT.UART, 4, 7n), store(AT.UART + 8, 1, 0n), store(AT.UART + 8, 8, 0n), count()]).toEqual([false, true, true, true, 3n]);
  });

  it('refuses what cannot be, and what is taken', () => {
    const { vmm, ask } = booted();
    const events = vmm.host.trace.record();
    expect(why(events, () => ask({ length: 3 }))).toBe('EINVAL kvm/ioeventfd: the length is 0x3');
    expect(why(events, () => ask({ address: 0xffff_ffff_ffff_fffcn }))).toContain('EINVAL kvm/ioeventfd: the address');
    expect(why(events, () => ask({ flags: 0x20 }))).toBe('EINVAL kvm/ioeventfd: flags is 0x20');
    expect(why(events, () => ask({ length: 0, flags: 1 }))).toBe('EINVAL kvm/ioeventfd: flags is 0x1');
    expect(ask({ fd: 99 })).toBe(-EBADF);
    ask({ flags: 1, match: 7n });
    expect(why(events, () => ask())).toContain('EEXIST kvm/ioeventfd-taken');
    expect([ask({ flags: 1, match: 8n }), ask({ flags: 1, match: 7n }), ask({ length: 0 }), ask({ flags: 2 })]).toEqual([0, -EEXIST, -EEXIST, 0]);
  });

  it('is taken away by what it was made with', () => {
    const { vmm, ask, store } = booted();
    const events = vmm.host.trace.record();
    ask({ flags: 1, match: 7n });
    expect(why(events, () => ask({ flags: 4 }))).toContain('ENOENT kvm/ioeventfd-none');
    expect([ask({ flags: 5, match: 8n }), ask({ flags: 5, match: 7n }), store(AT.UART, 4, 7n)]).toEqual([-ENOENT, 0, false]);
  });

  it('of a length that none has is not there to be taken away', () => {
    const { ask } = booted();
    expect([ask({ flags: 4, length: 3 }), ask({ flags: 4 | 0x20 })]).toEqual([-ENOENT, -ENOENT]);
  });

  it('of a port is out of a guest\'s reach', () => {
    const { ask, store, count } = booted();
    expect([ask({ flags: 2 }), store(AT.UART, 4, 1n), count()]).toEqual([0, false, 0n]);
  });

  it('memory comes first', () => {
    const { ask, store, count } = booted();
    expect([ask({ address: AT.RAM }), store(AT.RAM, 4, 1n), count()]).toEqual([0, true, 0n]);
  });
});

describe('lines', () => {
  function line(vmm: Vmm, vm: number, irq: number, level = 1): number {
    const bytes = new Uint8Array(kvm_irq_level.size);
    set(bytes, kvm_irq_level.irq, irq);
    set(bytes, kvm_irq_level.level, level);
    return vmm.ioctl(vm, KVM_IRQ_LINE, bytes);
  }
  const SPI = 1 << 24;
  const PPI = 2 << 24;

  it('an SPI, and a PPI of a vCPU', () => {
    const vmm = new Booted();
    expect([line(vmm, vmm.vmFd, SPI | 40), line(vmm, vmm.vmFd, PPI | (1 << 16) | 20)]).toEqual([0, 0]);
    expect([vmm.get(vmm.gicFd, GRP.LEVEL_INFO, 32), vmm.get(vmm.gicFd, GRP.LEVEL_INFO, 1n << 32n), vmm.get(vmm.gicFd, GRP.LEVEL_INFO, 0)]).toEqual([0x100n, 0x10_0000n, 0n]);
    expect([line(vmm, vmm.vmFd, SPI | 40, 0), vmm.get(vmm.gicFd, GRP.LEVEL_INFO, 32)]).toEqual([0, 0n]);
  });

  it('says which number is wrong', () => {
    const vmm = new Booted();
    const events = vmm.host.trace.record();
    const said = (irq: number): string => why(events, () => line(vmm, vmm.vmFd, irq)).replace('EINVAL kvm/irq-line: ', '');
    expect([said(SPI | 31), said(SPI | 256), said(SPI | 1020)]).toEqual(['irq 0x100001f: the INTID is 31', 'irq 0x1000100: the INTID is 256', 'irq 0x10003fc: the INTID is 1020']);
    expect([said(PPI | 15), said(PPI | 32), said(PPI | (2 << 16) | 20)]).toEqual(['irq 0x200000f: the INTID is 15', 'irq 0x2000020: the INTID is 32', 'irq 0x2020014: the vCPU is 2']);
    expect(said(3 << 24)).toBe('irq 0x3000000: the type is 3');
    expect(why(events, () => line(vmm, vmm.vmFd, 0))).toBe('ENXIO kvm/irq-line-no-gic: irq 0x0 has no GIC that could take it');
  });

  it('without a GIC only a CPU\'s own line is there', () => {
    const vmm = new Vmm();
    const vm = vmm.vm();
    vmm.vcpu(vm, 0);
    expect([line(vmm, vm, SPI | 40), line(vmm, vm, PPI | 20), line(vmm, vm, 0), line(vmm, vm, 2), line(vmm, vm, 1 << 16)]).toEqual([-ENXIO, -ENXIO, 0, -EINVAL, -EINVAL]);
  });

  it.each<[ProfileName, number]>([['linux-6.1', -EINVAL], ['linux-7.3', -EBUSY]])('%s: a wrong SPI before INIT is %i', (profile, result) => {
    const vmm = new Vmm({ profile });
    const vm = vmm.vm();
    vmm.vcpu(vm, 0);
    vmm.device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
    expect([line(vmm, vm, SPI | 31), line(vmm, vm, SPI | 40)]).toEqual([result, -EBUSY]);
  });

  // 6.1 takes the number for an index, and the id of the vCPU there for an index again.
  it.each<[ProfileName, readonly number[]]>([['linux-6.1', [-EINVAL, 0, -EINVAL]], ['linux-6.12', [-EINVAL, 0, 0]]])('%s: a PPI of vCPU 0, 1 and 5 where there are 5 and 1', (profile, results) => {
    const vmm = new Vmm({ profile });
    const vm = vmm.vm();
    vmm.vcpu(vm, 5);
    vmm.vcpu(vm, 1);
    vmm.set(vmm.device(vm, KVM_DEV_TYPE_ARM_VGIC_V3), GRP.CTRL, CTRL.INIT, undefined);
    expect([0, 1, 5].map((vcpu) => line(vmm, vm, PPI | (vcpu << 16) | 20))).toEqual(results);
  });
});

describe('KVM_SIGNAL_MSI', () => {
  it('wants a GIC and an ITS', () => {
    const msi = new Uint8Array(kvm_msi.size);
    set(msi, kvm_msi.address_lo, AT.ITS + 0x1_0040);
    set(msi, kvm_msi.flags, 1);
    const vmm = new Vmm();
    const vm = vmm.vm();
    expect(vmm.ioctl(vm, KVM_SIGNAL_MSI, msi)).toBe(-EINVAL);
    const booted = new Booted();
    expect(booted.ioctl(booted.vmFd, KVM_SIGNAL_MSI, msi)).toBe(-EBUSY);
  });
});
