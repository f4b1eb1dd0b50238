/**
 * The GIC's hot paths, against a floor measured beside them: two dependent typed-array loads and a byte store at the same number of
 * events, visited in the same order. Bounds in floors: an MSI to a pending LPI 6, one to a new LPI or VLPI with its clearing 15, SYNC 12, other commands
 * for an event 30; at 100,000 events an MSI costs at most twice what it costs at 1,000; MSI to IAR to EOI with 57,344 LPIs enabled at most twice that with 1; 10 million MSIs leave at most 1 MiB.
 */
import { Host } from '../packages/vfio-core/src/index.ts';
import { encode, Gic, GICR, GITS, OPCODE, type CpuInterface, type GicVersion, type Its, type Redistributor } from '../packages/gic-its/src/index.ts';
import { EVENTS_PER_DEVICE, loads, orderOf, type Body } from './floor.ts';
import { collect, nsOf, report, times, type Target } from './measure.ts';

type Build = (to: Uint32Array) => void;

const RAM = 0x8000_0000;
const QUEUE = RAM;
const QUEUE_BYTES = 0x1_0000;
const PROPERTIES = RAM + 0x2_0000;
const PENDING = RAM + 0x4_0000;
const DEVICES = RAM + 0x10_0000;
const COLLECTIONS = RAM + 0x20_0000;
const VPES = RAM + 0x30_0000;
const VPT = RAM + 0x40_0000;
const ITT = RAM + 0x100_0000;
const LPIS = 57344;
/** Commands of a batch. */
const COMMANDS = 1000;
const COMMAND_NAMES = ['SYNC', 'MAPTI', 'MOVI', 'INT', 'CLEAR', 'INV'] as const;
type CommandName = (typeof COMMAND_NAMES)[number];

/** A GIC with an ITS whose device n has 128 events; event i is LPI (or VLPI) 8192 + i % 57344, all enabled. */
class Bench {
  readonly host: Host;
  readonly gic: Gic;
  readonly its: Its;
  readonly rd: Redistributor;
  readonly cpu: CpuInterface;
  readonly order: Uint32Array;
  readonly #words = new Uint32Array(8);
  #tail = 0;

  constructor(version: GicVersion, events: number) {
    this.host = new Host({ ram: [{ base: RAM, size: 0x1000_0000 }] });
    this.gic = new Gic(this.host, { version, cpus: 1, preset: 'arm' });
    this.its = this.gic.its[0]!;
    this.rd = this.gic.redistributors[0]!;
    this.cpu = this.gic.cpu(0);
    const { memory } = this.host;
    const rd = this.gic.redistributorBase[0]!;
    memory.writeBytes(PROPERTIES, new Uint8Array(LPIS).fill(0xa1));
    memory.write32(this.gic.distributorBase, 2);
    memory.write64(rd + GICR.PROPBASER, PROPERTIES + 15, 0);
    memory.write64(rd + GICR.PENDBASER, PENDING, 0);
    memory.write32(rd, 1);
    memory.write64(this.its.base + GITS.BASER, DEVICES + 0x200 + 0xf, 0x8000_0000);
    memory.write64(this.its.base + GITS.BASER + 8, COLLECTIONS + 0x200, 0x8000_0000);
    memory.write64(this.its.base + GITS.BASER + 16, VPES + 0x200, 0x8000_0000);
    memory.write64(this.its.base + GITS.CBASER, QUEUE + QUEUE_BYTES / 4096 - 1, 0x8000_0000);
    memory.write32(this.its.base, 1);
    this.post((to) => encode.mapc(to, 0, 0, true));
    if (version === 'gicv4.1') {
      memory.write64(rd + GICR.VPROPBASER, VPES, 0x8000_0000 + (2 << 21));
      this.post((to) =>
        encode.vmapp(to, { vpeid: 0, valid: true, rdbase: 0, vptAddress: VPT, vptSize: 15, alloc: true, ptz: false, vconfAddress: PROPERTIES, defaultDoorbell: 1023 }),
      );
    }
    for (let i = 0; i < events; i += 1) {
      const device = Math.floor(i / EVENTS_PER_DEVICE);
      const event = i % EVENTS_PER_DEVICE;
      const lpi = 8192 + (i % LPIS);
      if (event === 0) this.post((to) => encode.mapd(to, device, 6, ITT + device * 0x1000, true));
      if (version === 'gicv4.1') this.post((to) => encode.vmapti(to, device, event, 0, lpi, 1023));
      else this.post((to) => encode.mapti(to, device, event, lpi, 0));
    }
    this.order = orderOf(events);
    this.each((device, event) => this.its.write(GITS.TRANSLATER, 4, event, device));
  }

  put(build: Build): void {
    build(this.#words);
    for (let i = 0; i < 8; i += 1) this.host.memory.write32(QUEUE + this.#tail + 4 * i, this.#words[i]!);
    this.#tail = (this.#tail + 32) % QUEUE_BYTES;
  }

  run(): void {
    this.host.memory.write64(this.its.base + GITS.CWRITER, this.#tail, 0);
  }

  post(build: Build): void {
    this.put(build);
    this.run();
  }

  each(act: (device: number, event: number) => void): void {
    for (const id of new Set(this.order)) act(id >>> 16, id & 0xffff);
  }
}

function msis(its: Its, order: Uint32Array): Body {
  return (n) => {
    for (let i = 0; i < n; i += 1) {
      const id = order[i & 0xffff]!;
      its.write(GITS.TRANSLATER, 4, id & 0xffff, id >>> 16);
    }
  };
}

function newMsis(its: Its, order: Uint32Array, bank: { clear(intid: number): boolean }): Body {
  return (n) => {
    for (let i = 0; i < n; i += 1) {
      const id = order[i & 0xffff]!;
      its.write(GITS.TRANSLATER, 4, id & 0xffff, id >>> 16);
      bank.clear(lpiOf(id >>> 16, id & 0xffff));
    }
  };
}

/** ns of one, and of the floor's loop in turn with it: what disturbs the machine for a while disturbs both. */
interface Timing {
  readonly ns: number;
  readonly floor: number;
}

/** A command: the best of many batches, which are written first; only their execution is timed. */
function commands(bench: Bench, name: CommandName, floor: Body): Timing {
  let best = Infinity;
  let bestFloor = Infinity;
  for (let batch = 0; batch < 100; batch += 1) {
    for (let i = 0; i < COMMANDS; i += 1) {
      const id = bench.order[(batch * COMMANDS + i) & 0xffff]!;
      const [device, event] = [id >>> 16, id & 0xffff];
      bench.put((to) => {
        if (name === 'SYNC') encode.sync(to, 0);
        else if (name === 'MAPTI') encode.mapti(to, device, event, lpiOf(device, event), 0);
        else if (name === 'MOVI') encode.movi(to, device, event, 0);
        else encode.event(to, OPCODE[name], device, event);
      });
    }
    const ns = nsOf(() => bench.run()) / COMMANDS;
    const floorNs = nsOf(() => floor(bench.order.length)) / bench.order.length;
    if (batch < 10) continue;
    best = Math.min(best, ns);
    bestFloor = Math.min(bestFloor, floorNs);
  }
  return { ns: best, floor: bestFloor };
}

function lpiOf(device: number, event: number): number {
  return 8192 + ((device * EVENTS_PER_DEVICE + event) % LPIS);
}

/** MSI, IAR, EOI; `pending` LPIs of lower priority wait meanwhile. */
function roundTrip(events: number, pending: number): Body {
  const bench = new Bench('gicv3', events);
  const { its, cpu, order, host, gic, rd } = bench;
  bench.each((device, event) => bench.post((to) => encode.event(to, OPCODE.CLEAR, device, event)));
  if (pending > 0) {
    host.memory.writeBytes(PROPERTIES, new Uint8Array(LPIS).fill(0xb1));
    host.memory.write32(gic.redistributorBase[0]! + GICR.INVALLR, 0);
    for (let lpi = 8192; lpi < 8192 + pending; lpi += 1) rd.lpis.deliver(lpi);
    rd.lpis.clear(8192);
    host.memory.write8(PROPERTIES, 0xa1);
    host.memory.write64(gic.redistributorBase[0]! + GICR.INVLPIR, 8192, 0);
  }
  cpu.write('ICC_PMR_EL1', 0xf0n);
  cpu.write('ICC_IGRPEN1_EL1', 1n);
  return (n) => {
    for (let i = 0; i < n; i += 1) {
      const id = pending > 0 ? 0 : order[i & 0xffff]!;
      its.write(GITS.TRANSLATER, 4, id & 0xffff, id >>> 16);
      cpu.endOfInterrupt(cpu.acknowledge());
    }
  };
}

/** Bytes in use after a collection. */
function heapBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const SIZES = [1, 1000, 100_000] as const;

function measure(events: number): Map<string, Timing> {
  const physical = new Bench('gicv3', events);
  const { order } = physical;
  const throughSpace: Body = (n) => {
    const { memory } = physical.host;
    const { translater } = physical.its;
    for (let i = 0; i < n; i += 1) {
      const id = order[i & 0xffff]!;
      memory.write32(translater, id & 0xffff, id >>> 16);
    }
  };
  const row = new Map<string, Timing>();
  const floor = loads(order, events);
  const put = (iterations: number, bodies: Readonly<Record<string, Body>>): void => {
    const [floorNs, ...each] = times(iterations, [floor, ...Object.values(bodies)]);
    Object.keys(bodies).forEach((name, i) => row.set(name, { ns: each[i]!, floor: floorNs! }));
  };
  put(1_000_000, { 'MSI, pending LPI': msis(physical.its, order), 'through AddressSpace': throughSpace });
  put(500_000, { 'MSI, new LPI (+ clear)': newMsis(physical.its, order, physical.rd.lpis.bank) });
  for (const name of COMMAND_NAMES) row.set(name, commands(physical, name, floor));
  const virtual = new Bench('gicv4.1', events);
  const fresh = newMsis(virtual.its, order, virtual.gic.vpe(0)!.lpis);
  put(500_000, { 'new VLPI, not resident': fresh });
  virtual.host.memory.write64(virtual.gic.redistributorBase[0]! + GICR.VPENDBASER, 0, 0x8400_0000);
  put(500_000, { 'new VLPI, resident': fresh });
  return row;
}

// The first is for the compiler: what it learns there it does not have to learn in the middle of a measurement.
measure(10);
const rows = SIZES.map(measure);
const print = (name: string, values: readonly number[]): void => console.log(`${name.padEnd(26)}${values.map((ns) => ns.toFixed(1).padStart(10)).join('')}  ns`);
console.log(`${'mapped events'.padEnd(26)}${SIZES.map((events) => events.toLocaleString('en').padStart(10)).join('')}`);
print('floor', rows.map((row) => row.get('MSI, pending LPI')!.floor));
for (const name of rows[0]!.keys()) print(name, rows.map((row) => row.get(name)!.ns));

const [one, all, crowded] = times(300_000, [roundTrip(1, 0), roundTrip(LPIS, 0), roundTrip(LPIS, LPIS)]);
console.log(`MSI, IAR, EOI: ${one!.toFixed(1)} ns with 1 LPI, ${all!.toFixed(1)} ns with 57,344 enabled, ${crowded!.toFixed(1)} ns with 57,343 pending below it`);

const crowd = new Bench('gicv3', 100_000);
const burst = msis(crowd.its, crowd.order);
burst(100_000);
const before = heapBytes();
burst(10_000_000);
const grown = (heapBytes() - before) / 2 ** 20;

/** Each at each size, in floors of the same size that ran in turn with it. */
const inFloors = (name: string, most: number, sizes: number = SIZES.length): Target[] =>
  rows.slice(0, sizes).map((row, at) => [`${name}, ${SIZES[at]!.toLocaleString('en')} events: floors`, row.get(name)!.ns / row.get(name)!.floor, most] as const);
const pendingOf = (at: number): number => rows[at]!.get('MSI, pending LPI')!.ns;
const targets: readonly Target[] = [
  ...inFloors('MSI, pending LPI', 6),
  ...inFloors('MSI, new LPI (+ clear)', 15),
  ...inFloors('new VLPI, not resident', 15),
  ...inFloors('new VLPI, resident', 15),
  ...inFloors('SYNC', 12),
  // At 100,000 events what a command takes differs from run to run by more than two times.
  ...['MAPTI', 'MOVI', 'INT', 'CLEAR', 'INV'].flatMap((name) => inFloors(name, 30, 2)),
  ['MSI to a pending LPI: 100,000 events against 1,000', pendingOf(2) / pendingOf(1), 2],
  ['round trip: 57,344 LPIs enabled against 1', all! / one!, 2],
  ['round trip: 57,343 LPIs pending below against 1', crowded! / one!, 2],
  ['heap after 10 million MSIs, MiB more', grown, 1],
];
process.exitCode = report(targets) ? 0 : 1;
