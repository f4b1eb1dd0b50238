/**
 * type1 with a thousand and with a million mappings, and what the door of a device fd costs. The numbers are of one run on one
 * machine: read the ratios.
 */
import {
  Bus,
  constant,
  Device,
  DmaPort,
  Driver,
  getDeviceFd,
  Host,
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

const PAGE = 4096;
const SIZES = [1000, 100_000, 1_000_000] as const;
const LIMIT = 3;

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

/** Maps, looks up and unmaps `count` single pages, spread over the space in an order of no use to anybody. */
function mappings(count: number) {
  const { process, container, dma, memory } = setUp();
  // 7919 is prime to every size here: each page once. Every other page is free, so that nothing joins.
  const iova = (i: number) => ((i * 7919) % count) * 2 * PAGE + 0x1_0000_0000;
  const map = new Uint8Array(vfio_iommu_type1_dma_map.size);
  set(map, vfio_iommu_type1_dma_map.argsz, map.length);
  set(map, vfio_iommu_type1_dma_map.flags, VFIO_DMA_MAP_FLAG_READ);
  set(map, vfio_iommu_type1_dma_map.vaddr, memory.address);
  set(map, vfio_iommu_type1_dma_map.map_size, PAGE);
  const unmap = new Uint8Array(vfio_iommu_type1_dma_unmap.size);
  const into = new Uint8Array(4);
  return {
    map: time(count, (i) => {
      set(map, vfio_iommu_type1_dma_map.iova, iova(i));
      process.ioctl(container, VFIO_IOMMU_MAP_DMA, map);
    }),
    lookup: time(count, (i) => {
      if (!dma.read(iova(i * 31) + 16, into)) throw new Error('not mapped');
    }),
    unmap: time(count, (i) => {
      set(unmap, vfio_iommu_type1_dma_unmap.argsz, unmap.length);
      set(unmap, vfio_iommu_type1_dma_unmap.iova, iova(i));
      set(unmap, vfio_iommu_type1_dma_unmap.unmap_size, PAGE);
      process.ioctl(container, VFIO_IOMMU_UNMAP_DMA, unmap);
    }),
  };
}

for (let warm = 0; warm < 30; warm += 1) mappings(1000);
const results = SIZES.map((size) => {
  // A thousand is over in a blink: the median of many.
  const runs = Array.from({ length: size === 1000 ? 51 : 1 }, () => mappings(size));
  const median = (what: 'map' | 'lookup' | 'unmap') => runs.map((run) => run[what]).sort((a, b) => a - b)[runs.length >> 1]!;
  return { size, map: median('map'), lookup: median('lookup'), unmap: median('unmap') };
});
let good = true;
console.log('ns per operation          1,000     100,000   1,000,000   1,000,000 : 1,000');
for (const what of ['map', 'lookup', 'unmap'] as const) {
  const [small, middle, large] = results.map((result) => result[what]);
  const ratio = large! / small!;
  good &&= ratio <= LIMIT;
  const columns = [small!, middle!, large!].map((ns) => ns.toFixed(0).padStart(12)).join('');
  console.log(`${what.padEnd(18)}${columns}${ratio.toFixed(2).padStart(20)}${ratio > LIMIT ? `  above ${LIMIT}` : ''}`);
}

const { process: user, fd, device } = setUp();
const into = new Uint8Array(4);
const ROUNDS = 2_000_000;
let door = Infinity;
let plain = Infinity;
for (let round = 0; round < 7; round += 1) {
  door = Math.min(door, time(ROUNDS, (i) => user.pread(fd, into, i & 60)));
  plain = Math.min(plain, time(ROUNDS, (i) => device.read(into, i & 60)));
}
console.log(`\npread of 4 bytes: ${door.toFixed(1)} ns through the door, ${plain.toFixed(1)} ns as a plain method call: ${(door / plain).toFixed(1)} times`);
process.exitCode = good ? 0 : 1;
