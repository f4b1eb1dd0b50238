/** A small device for tests of servers: registers that do DMA and raise interrupts, a region that may be mapped, and a state to migrate. */
import {
  EBUSY,
  EEXIST,
  EINVAL,
  ENOTTY,
  get,
  removeItem,
  set,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_MASK,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_RESET,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_EVENTFD,
  vfio_device_info,
  vfio_irq_info,
  vfio_irq_set,
  vfio_region_info,
} from '@vsim/vfio-core';
import type { ClientMemory, ServedDevice } from '../src/server/served-device.ts';
import { encodeCapabilities, sparseCapability } from '../src/wire/capabilities.ts';
import type { Descriptor } from '../src/wire/descriptor.ts';
import { MemoryFile } from '../src/wire/memory-files.ts';

/** Region 0: registers. Region 2: memory, which may be mapped from its second page on. Region 7: config space. Others have no bytes. */
export const REGION_SIZES: readonly number[] = [4096, 0, 0x4000, 0, 0, 0, 0, 256, 0];
/** Interrupts of each kind. */
export const IRQ_COUNTS: readonly number[] = [1, 4, 4, 1, 1];
/** Registers of region 0: an IOVA of 64 bits, a length; a write of 1 to GO reads there into region 2, of 2 writes it there; a write to RAISE signals. */
export const REGISTERS = { IOVA: 0x10, LENGTH: 0x18, GO: 0x1c, RAISE: 0x20 } as const;

const CAPABILITIES = encodeCapabilities([{ id: 99, version: 1, body: Uint8Array.of(1, 2, 3, 4) }, sparseCapability([{ offset: 0x1000n, length: 0x3000n }])]);

export class FakeDevice implements ServedDevice {
  readonly regions: Uint8Array[] = REGION_SIZES.map((size) => new Uint8Array(size));
  readonly memory: MemoryFile = new MemoryFile(REGION_SIZES[2]!);
  readonly maps: ClientMemory[] = [];
  readonly eventfds: Map<string, Descriptor> = new Map<string, Descriptor>();
  /** Calls, by what was called. */
  readonly calls: Map<string, number> = new Map<string, number>();
  /** Whether region 2 has memory to map. */
  mappable = true;
  resets = 0;
  disconnects = 0;
  migrationState = 2;
  /** What is left of the saved state. */
  state: number[] = [];
  taken: number[] = [];
  /** The answer of the next mapDma, setIrqs or write, once. */
  refuse = 0;

  ioctl(request: number, argument: Uint8Array): number {
    this.#count(`ioctl ${request}`);
    switch (request) {
      case VFIO_DEVICE_GET_INFO:
        set(argument, vfio_device_info.flags, 3 | 128);
        set(argument, vfio_device_info.num_regions, REGION_SIZES.length);
        set(argument, vfio_device_info.num_irqs, IRQ_COUNTS.length);
        set(argument, vfio_device_info.argsz, 48);
        return 0;
      case VFIO_DEVICE_GET_REGION_INFO:
        return this.#regionInfo(argument);
      case VFIO_DEVICE_GET_IRQ_INFO: {
        const count = IRQ_COUNTS[get(argument, vfio_irq_info.index)];
        if (count === undefined) return -EINVAL;
        set(argument, vfio_irq_info.flags, 9);
        set(argument, vfio_irq_info.count, count);
        return 0;
      }
      case VFIO_DEVICE_RESET:
        this.resets += 1;
        for (const region of [...this.regions, this.memory.bytes]) region.fill(0);
        this.migrationState = 2;
        this.state = [];
        this.taken = [];
        return 0;
      case VFIO_DEVICE_FEATURE:
        return this.#feature(argument);
      default:
        return -ENOTTY;
    }
  }

  read(region: number, offset: number, into: Uint8Array): number {
    this.#count('read');
    const bytes = region === 2 ? this.memory.bytes : this.regions[region]!;
    into.set(bytes.subarray(offset, offset + into.length));
    return into.length;
  }

  write(region: number, offset: number, from: Uint8Array): number {
    this.#count('write');
    if (this.refuse !== 0) return this.#refused();
    const bytes = region === 2 ? this.memory.bytes : this.regions[region]!;
    bytes.set(from, offset);
    if (region === 0 && offset === REGISTERS.GO) this.#go(from[0] ?? 0);
    if (region === 0 && offset === REGISTERS.RAISE) this.eventfds.get(`2 ${from[0] ?? 0}`)?.signal();
    return from.length;
  }

  setIrqs(argument: Uint8Array, eventfds: readonly (Descriptor | undefined)[]): number {
    this.#count('setIrqs');
    const flags = get(argument, vfio_irq_set.flags);
    const index = get(argument, vfio_irq_set.index);
    const start = get(argument, vfio_irq_set.start);
    const count = get(argument, vfio_irq_set.count);
    const total = IRQ_COUNTS[index];
    // As the kernel's: what is no eventfd is none of the device's.
    const strange = eventfds.some((eventfd) => {
      const end = eventfd?.listen(() => undefined);
      end?.();
      return eventfd !== undefined && end === undefined;
    });
    if (this.refuse !== 0 || total === undefined || start + count > total || strange) {
      for (const eventfd of eventfds) eventfd?.close();
      return this.refuse !== 0 ? this.#refused() : -EINVAL;
    }
    if (flags === (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)) eventfds.forEach((eventfd, i) => this.#wire(`${index} ${start + i}`, eventfd));
    else for (const eventfd of eventfds) eventfd?.close();
    if (count === 0) for (let i = 0; i < total; i += 1) this.#wire(`${index} ${i}`, undefined);
    return 0;
  }

  mapDma(memory: ClientMemory): number {
    this.#count('mapDma');
    if (this.refuse !== 0) return this.#refused();
    const last = memory.iova + BigInt(memory.size);
    if (this.maps.some((one) => one.iova < last && memory.iova < one.iova + BigInt(one.size))) return -EEXIST;
    this.maps.push(memory);
    return 0;
  }

  unmapDma(iova: bigint, size: bigint): number {
    this.#count('unmapDma');
    let bytes = 0;
    for (const one of [...this.maps]) {
      if (one.iova < iova || one.iova + BigInt(one.size) > iova + size) continue;
      bytes += one.size;
      one.memory.unmap();
      removeItem(this.maps, one);
    }
    return bytes;
  }

  regionMemory(region: number): Descriptor | undefined {
    this.#count('regionMemory');
    return region === 2 && this.mappable ? this.memory.descriptor() : undefined;
  }

  readState(into: Uint8Array): number {
    this.#count('readState');
    if (this.migrationState !== 3) return -EINVAL;
    const part = this.state.splice(0, Math.min(7, into.length));
    into.set(part);
    return part.length;
  }

  writeState(from: Uint8Array): number {
    this.#count('writeState');
    if (this.migrationState !== 4) return -EINVAL;
    const part = from.subarray(0, 5);
    this.taken.push(...part);
    return part.length;
  }

  disconnect(): void {
    this.#count('disconnect');
    this.disconnects += 1;
    for (const one of this.maps.splice(0)) one.memory.unmap();
    for (const eventfd of this.eventfds.values()) eventfd.close();
    this.eventfds.clear();
  }

  #regionInfo(argument: Uint8Array): number {
    const index = get(argument, vfio_region_info.index);
    const size = REGION_SIZES[index];
    if (size === undefined) return -EINVAL;
    const whole = vfio_region_info.size + (index === 2 ? CAPABILITIES.length : 0);
    set(argument, vfio_region_info.argsz, whole);
    set(argument, vfio_region_info.flags, index === 2 ? 15 : size === 0 ? 0 : 3);
    set(argument, vfio_region_info.region_size, size);
    set(argument, vfio_region_info.offset, BigInt(index) << 40n);
    if (index === 2 && argument.length >= whole) {
      set(argument, vfio_region_info.cap_offset, vfio_region_info.size);
      argument.set(CAPABILITIES, vfio_region_info.size);
    }
    return 0;
  }

  #feature(argument: Uint8Array): number {
    const flags = get(argument, [4, 'u32']);
    const feature = flags & VFIO_DEVICE_FEATURE_MASK;
    if (feature !== VFIO_DEVICE_FEATURE_MIGRATION && feature !== VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE && feature !== VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT) return -ENOTTY;
    if ((flags & VFIO_DEVICE_FEATURE_PROBE) !== 0) return 0;
    const sets = (flags & VFIO_DEVICE_FEATURE_SET) !== 0;
    if (feature === VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE) {
      if (argument.length < 16) return -EINVAL;
      const state = get(argument, [8, 'u32']);
      if (sets && (state === 0 || state > 7)) return -EINVAL;
      if (sets) this.migrationState = state;
      set(argument, [8, 'u32'], this.migrationState);
      set(argument, [12, 's32'], -1);
    } else if (sets) return -ENOTTY;
    else if (feature === VFIO_DEVICE_FEATURE_MIGRATION) set(argument, [8, 'u64'], 1);
    else argument.fill(0x55, 32);
    return 0;
  }

  #go(what: number): void {
    const iova = get(this.regions[0]!, [REGISTERS.IOVA, 'u64']);
    const length = Math.min(get(this.regions[0]!, [REGISTERS.LENGTH, 'u32']), this.memory.bytes.length);
    const found = this.maps.find((one) => one.iova <= iova && iova < one.iova + BigInt(one.size));
    if (found === undefined) return;
    const bytes = this.memory.bytes.subarray(0, length);
    if (what === 1) found.memory.read(Number(iova - found.iova), bytes);
    else found.memory.write(Number(iova - found.iova), bytes);
  }

  #wire(key: string, eventfd: Descriptor | undefined): void {
    this.eventfds.get(key)?.close();
    if (eventfd === undefined) this.eventfds.delete(key);
    else this.eventfds.set(key, eventfd);
  }

  #refused(): number {
    const code = this.refuse;
    this.refuse = 0;
    return code;
  }

  #count(call: string): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
  }
}

/** A refusal for tests. */
export const BUSY: number = -EBUSY;
