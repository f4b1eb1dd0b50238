/** The doors of this package for fuzzers: a device's DMA behind type1, pointers, the claim of a group's DMA, threads of a process that exits. */
import {
  DEVICE_FOUND,
  DmaPort,
  EFAULT,
  mapDma,
  Process,
  setContainer,
  unmapDma,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_NESTING_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type Mapping,
  type ProfileName,
  type Random,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { edgeAddress, pick, random64, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { SLEEPERS } from './eventfd-sleepers.ts';
import { REFUSALS } from './refused-calls.ts';
import { openGroup, sampleHost } from './sample-device.ts';

const PAGE = 4096;
const END = 1n << 64n;
const SECRET_PAGES = 4;
const PAGES = 8;
const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];

interface DmaInput {
  readonly kind: 'map' | 'unmap' | 'read' | 'write';
  readonly iova: bigint;
  /** Of a map or unmap, in pages; of a transfer, in bytes. */
  readonly length: number;
  /** The first page of the user's memory, or the byte that is written. */
  readonly value: number;
  readonly flags: number;
}

interface Mapped {
  readonly iova: bigint;
  readonly size: bigint;
  readonly page: number;
  readonly flags: number;
}

/** A device and its user, beside a shadow of bytes: of what the device may reach, and of host memory that it may not. */
class DeviceDma implements World<DmaInput> {
  readonly #sample = sampleHost(['a'], { ram: [{ base: 0, size: 0x10_0000 }] });
  readonly #secret = new Uint8Array(SECRET_PAGES * PAGE);
  readonly #shadow = new Uint8Array(PAGES * PAGE);
  readonly #memory: Mapping;
  readonly #container: number;
  readonly #dma: DmaPort;
  #list: Mapped[] = [];

  constructor(random: Random) {
    const { host, root, bind, bus } = this.#sample;
    host.pages.allocate(SECRET_PAGES); // physical 0 on
    this.#secret.set(random.bytes(this.#secret.length));
    host.memory.writeBytes(0, this.#secret);
    bind('a');
    this.#container = openGroup(this.#sample, 0).container;
    this.#memory = root.mmap(-1, PAGES * PAGE);
    this.#dma = new DmaPort(host, 'a', 8, () => bus.device('a')?.iommuGroup);
  }

  generate(random: Random): DmaInput {
    const kind = pick(random, ['map', 'unmap', 'read', 'read', 'write', 'write'] as const);
    const known = random.below(10) < 6 ? this.#list[random.below(Math.max(1, this.#list.length))] : undefined;
    const flags = 1 + random.below(3);
    if (kind === 'map' || kind === 'unmap') {
      const near = random.below(10) < 7 ? BigInt(random.below(40)) * 4096n : edgeAddress(random) & ~0xfffn;
      const exact = kind === 'unmap' && known !== undefined && random.below(4) > 0;
      const length = exact ? Number(known.size) / PAGE : 1 + random.below(4);
      return { kind, iova: exact ? known.iova : near, length, value: random.below(PAGES - 3), flags };
    }
    const inside = known === undefined ? undefined : known.iova + BigInt(random.below(Number(known.size)));
    return { kind, iova: inside ?? (random.below(2) === 0 ? edgeAddress(random) : random64(random)), length: pick(random, [1, 4, 8, 64, 4096, 5000]), value: random.below(256), flags };
  }

  check(input: DmaInput): Depth {
    const depth = input.kind === 'map' ? this.#map(input) : input.kind === 'unmap' ? this.#unmap(input) : this.#transfer(input);
    const { host } = this.#sample;
    const now = new Uint8Array(this.#secret.length);
    host.memory.readBytes(0, now);
    sameBytes('what the device may not reach', now, this.#secret);
    sameBytes('what it may', this.#memory.readBytes(0, PAGES * PAGE), this.#shadow);
    same('locked pages', BigInt(this.#sample.root.mm.lockedPages) * 4096n, this.#list.reduce((sum, { size }) => sum + size, 0n));
    return depth;
  }

  end(): void {
    const { root, host } = this.#sample;
    root.exit();
    same('threads, pages and locked pages that are left', [host.scheduler.threads.length, host.pages.used - SECRET_PAGES, root.mm.lockedPages], [0, 0, 0]);
  }

  #hits(iova: bigint, size: bigint): Mapped[] {
    return this.#list.filter((one) => one.iova < iova + size && iova < one.iova + one.size);
  }

  #map({ iova, length, value, flags }: DmaInput): Depth {
    const size = BigInt(length) * 4096n;
    const usable = iova + size <= 0xfee0_0000n || (iova >= 0xfef0_0000n && iova + size <= 1n << 48n);
    const wanted = iova + size < END && this.#hits(iova, size).length > 0 ? 'EEXIST' : usable ? 'success' : 'EINVAL';
    const vaddr = this.#memory.address + value * PAGE;
    same('MAP_DMA', outcomeOf(() => mapDma(this.#sample.root, this.#container, { iova, size, vaddr, flags })), wanted);
    if (wanted === 'success') this.#list.push({ iova, size, page: value, flags });
    return wanted === 'success' ? 'succeeded' : wanted === 'EEXIST' ? 'past' : 'refused';
  }

  #unmap({ iova, length }: DmaInput): Depth {
    const size = BigInt(length) * 4096n;
    const hits = iova + size >= END ? [] : this.#hits(iova, size);
    const cut = hits.some((one) => one.iova < iova || one.iova + one.size > iova + size);
    let told: bigint | string = 0n;
    const outcome = outcomeOf(() => (told = unmapDma(this.#sample.root, this.#container, iova, size)));
    const wanted = iova + size > END || cut ? 'EINVAL' : hits.reduce((sum, one) => sum + one.size, 0n);
    same('UNMAP_DMA', outcome === 'success' ? told : outcome, wanted);
    if (wanted === 'EINVAL') return cut ? 'past' : 'refused';
    this.#list = this.#list.filter((one) => !hits.includes(one));
    return hits.length > 0 ? 'succeeded' : 'refused';
  }

  #transfer({ kind, iova, length, value }: DmaInput): Depth {
    const need = kind === 'read' ? 1 : 2;
    const places: number[] = [];
    for (let i = 0; i < length; i += 1) {
      const at = iova + BigInt(i);
      const found = at < END ? this.#list.find((one) => (one.flags & need) !== 0 && one.iova <= at && at < one.iova + one.size) : undefined;
      if (found === undefined) break;
      places.push(found.page * PAGE + Number(at - found.iova));
    }
    const allowed = places.length === length;
    const bytes = new Uint8Array(length).fill(value);
    const lo = Number(iova & 0xffff_ffffn);
    const hi = Number(iova >> 32n);
    same('the transfer', kind === 'read' ? this.#dma.readWide(lo, hi, bytes) : this.#dma.writeWide(lo, hi, bytes), allowed);
    const asNumber = new Uint8Array(length).fill(value);
    if (kind === 'read') same('the same by a number', this.#dma.read(Number(iova), asNumber), allowed && BigInt(Number(iova)) === iova);
    const wanted = new Uint8Array(length).fill(value);
    if (allowed && kind === 'read') places.forEach((place, i) => (wanted[i] = this.#shadow[place]!));
    if (allowed && kind === 'write') for (const place of places) this.#shadow[place] = value;
    sameBytes('the bytes', bytes, wanted);
    return allowed ? 'succeeded' : places.length > 0 ? 'past' : 'refused';
  }
}

type ExitStep = 'device' | 'sleep' | 'write' | 'open' | 'close' | 'exit' | 'release';

/** A process whose threads are held inside GET_DEVICE_FD or asleep on eventfds when it exits. */
class Exits implements World<ExitStep> {
  readonly #sample;
  #user: Process;
  #group = -1;
  #semaphore = -1;
  #asleep = 0;

  constructor(random: Random) {
    this.#sample = sampleHost(['a'], { profile: pick(random, PROFILES) });
    this.#sample.bind('a');
    this.#user = this.#start();
  }

  generate(random: Random): ExitStep {
    return pick(random, ['device', 'sleep', 'sleep', 'write', 'open', 'close', 'exit', 'release'] as const);
  }

  check(step: ExitStep): Depth {
    const { host } = this.#sample;
    const user = this.#user;
    switch (step) {
      case 'device':
        user.start('device', user.sys.ioctl(this.#group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('a\0')));
        return 'succeeded';
      case 'sleep':
        this.#asleep += user.start('read', user.sys.read(this.#semaphore, new Uint8Array(8))).finished ? 0 : 1;
        return 'succeeded';
      case 'write':
        if (this.#asleep === 0) return 'refused';
        user.writeEventfd(this.#semaphore, 1n);
        this.#asleep -= 1;
        same('sleepers', host.scheduler.threads.filter(({ outcome }) => outcome.state === 'asleep').length, this.#asleep);
        return 'succeeded';
      case 'open':
        same('an open of the group', user.start('open', user.sys.open('/dev/vfio/0', 2)).result(), -16);
        return 'past';
      case 'close':
        user.close(user.eventfd());
        return 'succeeded';
      case 'release':
        host.scheduler.release(DEVICE_FOUND);
        host.scheduler.stopAt(DEVICE_FOUND);
        return 'succeeded';
      case 'exit':
        user.exit();
        host.scheduler.release(DEVICE_FOUND);
        this.#nothingLeft();
        this.#user = this.#start();
        return 'succeeded';
    }
  }

  end(): void {
    this.#user.exit();
    this.#sample.host.scheduler.release(DEVICE_FOUND);
    this.#nothingLeft();
  }

  #start(): Process {
    const { host } = this.#sample;
    const user = new Process(host);
    this.#asleep = 0;
    const { group } = openGroup({ ...this.#sample, root: user }, 0);
    user.mmap(-1, PAGE);
    this.#group = group;
    this.#semaphore = user.eventfd(0, { nonblocking: false, semaphore: true });
    host.scheduler.stopAt(DEVICE_FOUND);
    return user;
  }

  #nothingLeft(): void {
    const { host, vfio } = this.#sample;
    same('threads, pages, fds and containers that are left', [host.scheduler.threads.length, host.pages.used, this.#user.fds.length, vfio.containers.size], [0, 0, 0, 0]);
  }
}

/** Pointers of 64 bits: only those inside of the user's memory are followed. */
class Pointers implements World<bigint> {
  readonly #root: Process;
  readonly #group: number;
  readonly #memory: Mapping;

  constructor() {
    const sample = sampleHost(['a']);
    sample.bind('a');
    this.#root = sample.root;
    this.#group = openGroup(sample, 0).group;
    this.#memory = sample.root.mmap(-1, PAGE);
  }

  generate(random: Random): bigint {
    const inside = BigInt(this.#memory.address + random.below(PAGE + 16) - 8);
    return [inside, inside, inside + (1n << BigInt(47 + random.below(17))), edgeAddress(random)][random.below(4)]!;
  }

  check(pointer: bigint): Depth {
    // Whatever the alignment, what lies there is an argsz of 8 or more.
    const before = new Uint8Array(PAGE).map((_, i) => (i % 4 === 0 ? 8 : 0));
    this.#memory.writeBytes(0, before);
    const base = BigInt(this.#memory.address);
    const good = pointer >= base && pointer + 8n <= base + BigInt(PAGE);
    same('GROUP_GET_STATUS', this.#root.tryIoctl(this.#group, VFIO_GROUP_GET_STATUS, pointer), good ? 0 : -EFAULT);
    if (!good) sameBytes('memory after a refusal', this.#memory.readBytes(0, PAGE), before);
    return good ? 'succeeded' : 'refused';
  }
}

type ClaimStep = 'set' | 'unset' | 'iommu' | 'nesting';

/** Whether a device left bus master reads the host's memory, at each step of its group through a container. */
class Claims implements World<ClaimStep> {
  readonly #sample;
  readonly #container: number;
  readonly #group: number;
  readonly #dma: DmaPort;
  #where: 'out' | 'in' | 'mapped' = 'out';

  constructor(random: Random) {
    this.#sample = sampleHost(['a'], { profile: pick(random, PROFILES) });
    const { root, host, bind, bus } = this.#sample;
    bind('a');
    this.#container = root.open('/dev/vfio/vfio');
    this.#group = root.open('/dev/vfio/0');
    this.#dma = new DmaPort(host, 'a', 8, () => bus.device('a')?.iommuGroup);
  }

  generate(random: Random): ClaimStep {
    return pick(random, ['set', 'unset', 'iommu', 'nesting'] as const);
  }

  check(step: ClaimStep): Depth {
    const { root, host } = this.#sample;
    const old = this.#where;
    const calls = {
      set: () => setContainer(root, this.#group, this.#container),
      unset: () => root.ioctl(this.#group, VFIO_GROUP_UNSET_CONTAINER),
      iommu: () => root.ioctl(this.#container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU),
      nesting: () => root.ioctl(this.#container, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU),
    };
    const works = step === 'set' ? old === 'out' : step === 'unset' ? old !== 'out' : step === 'iommu' && old === 'in';
    same(step, outcomeOf(calls[step]) === 'success', works);
    if (works) this.#where = step === 'set' ? 'in' : step === 'unset' ? 'out' : 'mapped';
    const blocked = this.#where === 'mapped' || (this.#where === 'in' && host.profile.dmaOwnership);
    same('the device reads the host’s memory', this.#dma.read(0x1_0000_0000, new Uint8Array(4)), !blocked);
    return works ? 'succeeded' : step === 'nesting' && old === 'in' ? 'past' : 'refused';
  }
}

function sameBytes(what: string, got: Uint8Array, wanted: Uint8Array): void {
  for (let i = 0; i < wanted.length; i += 1) if (got[i] !== wanted[i]) throw new Error(`${what}: byte ${i} is ${got[i]}, not ${wanted[i]}`);
}

export const DOORS: readonly Door[] = [
  { name: 'device-dma', length: 200, open: (random) => new DeviceDma(random) },
  { name: 'pointers', length: 100, open: () => new Pointers() },
  { name: 'dma-claim', length: 50, open: (random) => new Claims(random) },
  { name: 'process-exit', length: 100, open: (random) => new Exits(random) },
  SLEEPERS,
  REFUSALS,
];
