/**
 * type1 with a thousand and with a million mappings, hosts, and what the door of a device fd costs. The numbers are of one run on
 * one machine: read the ratios. Each is the least of several rounds, as other programs only ever add to a time.
 */
import {
  ApicMsi,
  Bus,
  constant,
  Device,
  DmaPort,
  Driver,
  getDeviceFd,
  Host,
  mapDma,
  Process,
  set,
  setContainer,
  Vfio,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
  VfioDevice,
  VtdIommu,
  type Sleeps,
} from '../packages/vfio-core/src/index.ts';
import { buildConfig, PciBus, PciFunction, type BarInit } from '../packages/vfio-pci/src/index.ts';
import { collect, report, type Target } from './measure.ts';

const PAGE = 4096;
const SIZES = [1000, 100_000, 1_000_000] as const;

class BenchDevice extends VfioDevice {
  readonly registers: Uint8Array = new Uint8Array(64);

  protected override openDevice(): Sleeps<number> {
    return constant(0);
  }

  protected override closeDevice(): Sleeps<void> {
    return constant(undefined);
  }

  override read(into: Uint8Array, offset: number): number {
    for (let i = 0; i < into.length; i += 1) into[i] = this.registers[offset + i]!;
    return into.length;
  }
}

class BenchDriver extends Driver<Device> {
  override readonly name: string = 'vfio-bench';
  override readonly managesDma: boolean = true;
  made: BenchDevice | undefined;
  readonly #vfio: Vfio;

  constructor(vfio: Vfio) {
    super();
    this.#vfio = vfio;
  }

  override match(): boolean {
    return true;
  }

  override *probe(device: Device): Sleeps<number> {
    this.made = new BenchDevice(this.#vfio, device);
    return yield* this.made.register();
  }

  override *remove(): Sleeps<void> {
    yield* this.made!.unregister();
  }
}

class PlainDevice extends Device {}

function setUp() {
  const host = new Host();
  const vfio = new Vfio(host);
  const bus = new Bus<Device>(host, 'bench');
  const device = new PlainDevice(host, 'b0', '/sys/devices/b0');
  new VtdIommu(host).addGroup([device]);
  bus.announce(device);
  const driver = new BenchDriver(vfio);
  host.scheduler.call('modprobe', bus.addDriver(driver));
  vfio.type1.dmaEntryLimit = 2_000_000;
  const process = new Process(host);
  const container = process.open('/dev/vfio/vfio');
  const group = process.open('/dev/vfio/0');
  setContainer(process, group, container);
  process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  const fd = getDeviceFd(process, group, 'b0');
  const dma = new DmaPort(host, 'b0', 0, () => device.iommuGroup);
  const memory = process.mmap(-1, PAGE);
  return { process, container, fd, dma, memory, device: driver.made! };
}

/** ns for each of `count` calls of `body`. */
function time(count: number, body: (i: number) => void): number {
  const start = performance.now();
  for (let i = 0; i < count; i += 1) body(i);
  return ((performance.now() - start) * 1e6) / count;
}

/** The least of `rounds` calls. */
function least(rounds: number, measured: () => number): number {
  return Math.min(...Array.from({ length: rounds }, measured));
}

interface Costs {
  readonly map: number;
  readonly lookup: number;
  readonly unmap: number;
  /** A plain binary search among as many keys, in the same order. */
  readonly search: number;
}

/** Maps, looks up and unmaps `count` single pages, spread over the space in an order of no use to anybody. */
function mappings(count: number): Costs {
  const { process, container, dma, memory } = setUp();
  // 7919 is prime to every size here: each page once. Every other page is free, so that nothing joins.
  const iova = (i: number) => ((i * 7919) % count) * 2 * PAGE + 0x1_0000_0000;
  const keys = Float64Array.from({ length: count }, (_, i) => i * 2 * PAGE + 0x1_0000_0000);
  const map = new Uint8Array(vfio_iommu_type1_dma_map.size);
  set(map, vfio_iommu_type1_dma_map.argsz, map.length);
  set(map, vfio_iommu_type1_dma_map.flags, VFIO_DMA_MAP_FLAG_READ);
  set(map, vfio_iommu_type1_dma_map.vaddr, memory.address);
  set(map, vfio_iommu_type1_dma_map.map_size, PAGE);
  const unmap = new Uint8Array(vfio_iommu_type1_dma_unmap.size);
  const into = new Uint8Array(4);
  const mapped = time(count, (i) => {
    set(map, vfio_iommu_type1_dma_map.iova, iova(i));
    process.ioctl(container, VFIO_IOMMU_MAP_DMA, map);
  });
  const search = least(3, () => time(count, (i) => {
    if (below(keys, iova(i * 31) + 16) < 0) throw new Error('not there');
  }));
  const lookup = least(3, () => time(count, (i) => {
    if (!dma.read(iova(i * 31) + 16, into)) throw new Error('not mapped');
  }));
  const unmapped = time(count, (i) => {
    set(unmap, vfio_iommu_type1_dma_unmap.argsz, unmap.length);
    set(unmap, vfio_iommu_type1_dma_unmap.iova, iova(i));
    set(unmap, vfio_iommu_type1_dma_unmap.unmap_size, PAGE);
    process.ioctl(container, VFIO_IOMMU_UNMAP_DMA, unmap);
  });
  return { map: mapped, lookup, unmap: unmapped, search };
}

/** The index of the last key that is not above `key`. */
function below(keys: Float64Array, key: number): number {
  let lo = 0;
  let hi = keys.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (keys[mid]! <= key) lo = mid + 1;
    else hi = mid;
  }
  return lo - 1;
}

/** MiB that the heap has grown by after ten million look-ups. */
function grown(): number {
  const { process: user, container, dma, memory } = setUp();
  mapDma(user, container, { iova: 0, size: PAGE, vaddr: memory.address, flags: VFIO_DMA_MAP_FLAG_READ });
  const into = new Uint8Array(4);
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  time(100_000, (i) => dma.read(i & 0xff, into));
  const before = heap();
  time(10_000_000, (i) => dma.read(i & 0xff, into));
  return (heap() - before) / 2 ** 20;
}

const BARS: readonly BarInit[] = [{ index: 0, size: 0x1000 }];

function machine(): void {
  const host = new Host();
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  bus.plug(new PciFunction(host, { address: '0000:00:03.0', config: buildConfig({ vendor: 1, device: 2, bars: BARS }), bars: BARS }), { group: 1 });
}

for (let warm = 0; warm < 30; warm += 1) mappings(1000);
const results = SIZES.map((size) => {
  const runs = Array.from({ length: size === 1000 ? 51 : 2 }, () => {
    if (size > 1000) collect();
    return mappings(size);
  });
  const of = (what: keyof Costs) => Math.min(...runs.map((run) => run[what]));
  return { map: of('map'), lookup: of('lookup'), unmap: of('unmap'), search: of('search') };
});
console.log(`ns per operation  ${SIZES.map((size) => size.toLocaleString('en').padStart(12)).join('')}`);
for (const what of ['map', 'lookup', 'unmap', 'search'] as const) {
  console.log(`${what.padEnd(18)}${results.map((result) => result[what].toFixed(0).padStart(12)).join('')}`);
}

const { process: user, fd, device } = setUp();
const into = new Uint8Array(4);
const ROUNDS = 2_000_000;
const door = least(7, () => time(ROUNDS, (i) => user.pread(fd, into, i & 60)));
const plain = least(7, () => time(ROUNDS, (i) => device.read(into, i & 60)));
console.log(`\npread of 4 bytes: ${door.toFixed(1)} ns through the door, ${plain.toFixed(1)} ns as a plain method call: ${(door / plain).toFixed(1)} times\n`);

const hosts: Host[] = [];
const [small, , large] = results;
const MS = 1e-6;
const targets: readonly Target[] = [
  ['look-up among 1,000: plain searches', small!.lookup / small!.search, 4],
  ['look-up among 1,000,000: plain searches', large!.lookup / large!.search, 4],
  ['map among 1,000: us', small!.map / 1000, 1.5],
  ['unmap among 1,000: us', small!.unmap / 1000, 1.5],
  ['map among 1,000,000: us', large!.map / 1000, 3.75],
  ['unmap among 1,000,000: us', large!.unmap / 1000, 3.75],
  ['heap after 10 million look-ups, MiB more', grown(), 1],
  ...[32, 40, 51].map((bits) => [`new Host() with 2^${bits} bytes of RAM: ms`, least(15, () => time(200, () => { hosts.push(new Host({ ram: [{ base: 0, size: 2 ** bits }] })); hosts.length = 0; })) * MS, 0.03] as const),
  ['a host with IOMMU, PCI bus and one function: ms', least(15, () => time(200, machine)) * MS, 0.1],
];
process.exitCode = report(targets) ? 0 : 1;
