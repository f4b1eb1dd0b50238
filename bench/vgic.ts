/**
 * KVM's virtual ITS: saving and restoring its tables in guest memory, and whole migrations.
 *
 * Tables: 57,344 LPIs, each with an event of its own, over 1, 64 and 1,024 devices; 1,000,000 events, which share them, over 64 and 1,024.
 * Target: an event of a million costs at most 34 floors to save and 63 to restore, and at most twice what one of 57,344 does, with as many devices.
 */
import { Host, PhysicalMemory } from '../packages/vfio-core/src/index.ts';
import { ADDR_TYPE, CTRL, encode, Gic, GRP, ItsDriver, KvmVm, type Vgic, type VgicIts } from '../packages/gic-its/src/index.ts';
import { main } from '../apps/cli/src/index.ts';
import { loads, orderOf } from './floor.ts';
import { collect, report, times, type Target } from './measure.ts';

const RAM = 0x4000_0000;
const RAM_BYTES = 0x1800_0000;
const QUEUE = RAM;
const QUEUE_BYTES = 0x10_0000;
const PROPERTIES = RAM + 0x10_0000;
const PENDING = RAM + 0x12_0000;
const COLLECTIONS = RAM + 0x14_0000;
const DEVICES = RAM + 0x20_0000;
const ITTS = RAM + 0x40_0000;
const ITS = 0x0808_0000;
const LPIS = 57_344;
const ROUNDS = 5;
const VALID = 1n << 63n;

/** A VM whose guest has mapped `events` events, evenly over its devices; event i is LPI 8192 + i % 57,344. */
class Guest {
  readonly vgic: Vgic;
  readonly its: VgicIts;
  readonly #ram = new PhysicalMemory([{ base: RAM, size: RAM_BYTES }]);
  readonly #words = new Uint32Array(8);
  #tail = 0;

  constructor(events: number, devices: number) {
    const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x100_0000 }] });
    const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 })) });
    vm.memory.addSlot({ gpa: RAM, size: RAM_BYTES, memory: this.#ram, offset: RAM });
    vm.createVcpu();
    this.vgic = made(vm.createVgic());
    this.its = made(vm.createIts());
    this.vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    this.its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, ITS);
    this.#ram.writeBytes(PROPERTIES, new Uint8Array(LPIS).fill(0xa1));
    this.vgic.setAttr(GRP.REDIST_REGS, 0x70, PROPERTIES + 0x58f);
    this.vgic.setAttr(GRP.REDIST_REGS, 0x78, PENDING + 0x580);
    this.vgic.setAttr(GRP.REDIST_REGS, 0, 1);
    this.tables();
    this.its.setAttr(GRP.ITS_REGS, 0x80, VALID | BigInt(QUEUE + QUEUE_BYTES / 4096 - 1));
    this.its.setAttr(GRP.ITS_REGS, 0, 1n);
    this.#post((to) => encode.mapc(to, 0, 0, true));
    const each = Math.ceil(events / devices);
    const bits = Math.max(1, Math.ceil(Math.log2(each)));
    for (let i = 0; i < events; i += 1) {
      const device = Math.floor(i / each);
      if (i % each === 0) this.#post((to) => encode.mapd(to, device, bits - 1, ITTS + device * 2 ** bits * 8, true));
      this.#post((to) => encode.mapti(to, device, i % each, 8192 + (i % LPIS), 0));
    }
    this.#run();
  }

  /** GITS_BASER0 and 1. */
  tables(): void {
    this.its.setAttr(GRP.ITS_REGS, 0x100, VALID | BigInt(DEVICES));
    this.its.setAttr(GRP.ITS_REGS, 0x108, VALID | BigInt(COLLECTIONS));
  }

  control(attr: number): void {
    const error = this.its.setAttr(GRP.CTRL, attr, 0);
    if (error < 0) throw new Error(`attribute ${attr}: ${error}`);
  }

  #post(build: (to: Uint32Array) => void): void {
    build(this.#words);
    for (let i = 0; i < 8; i += 1) this.#ram.write32(QUEUE + this.#tail + 4 * i, this.#words[i]!);
    this.#tail = (this.#tail + 32) % QUEUE_BYTES;
    // Never a whole ring: that would be an empty one.
    if (this.#tail % (QUEUE_BYTES / 2) === 0) this.#run();
  }

  #run(): void {
    this.its.setAttr(GRP.ITS_REGS, 0x88, BigInt(this.#tail));
  }
}

function made<T extends object>(device: T | number): T {
  if (typeof device === 'number') throw new Error(`errno ${device}`);
  return device;
}

function nsOf(body: () => void): number {
  collect();
  const start = process.hrtime.bigint();
  body();
  return Number(process.hrtime.bigint() - start);
}

interface Cost {
  /** ns for each event. */
  save: number;
  restore: number;
}

/** Save, and restore into an ITS that was reset, of several sizes: the best of several rounds, taken in turn so that they share what disturbs. */
function tables(sizes: readonly number[], devices: number): Cost[] {
  const guests = sizes.map((events) => new Guest(events, devices));
  const best = sizes.map(() => ({ save: Infinity, restore: Infinity }));
  for (let round = 0; round < ROUNDS; round += 1) {
    guests.forEach((guest, n) => {
      const [events, cost] = [sizes[n]!, best[n]!];
      cost.save = Math.min(cost.save, nsOf(() => guest.control(CTRL.ITS_SAVE_TABLES)) / events);
      guest.control(CTRL.ITS_RESET);
      guest.tables();
      cost.restore = Math.min(cost.restore, nsOf(() => guest.control(CTRL.ITS_RESTORE_TABLES)) / events);
      const back = guest.its.mappings.devices.reduce((sum, device) => sum + device.events.size, 0);
      if (back !== events) throw new Error(`restored ${back} of ${events} events`);
    });
  }
  return best;
}

const MILLION = 1_000_000;
/** Floors that an event of a million may cost. */
const MOST = { save: 34, restore: 63 } as const;
/** ns of the floor at 1,000 events, as in gic.ts. */
const floor = times(MILLION, [loads(orderOf(1000), 1000)])[0]!;
const targets: Target[] = [];
// The first is for the compiler.
tables([LPIS], 64);
console.log('events      devices   save ns/ITE   save ITE/s   restore ns/ITE   restore ITE/s');
for (const [sizes, devices] of [[[LPIS], 1], [[LPIS, MILLION], 64], [[LPIS, MILLION], 1024]] as const) {
  const costs = tables(sizes, devices);
  costs.forEach(({ save, restore }, n) => {
    const rate = (ns: number): string => Math.round(1e9 / ns).toLocaleString('en');
    const [what, ways] = [sizes[n]!.toLocaleString('en').padEnd(12), restore.toFixed(1).padStart(17)];
    console.log(`${what}${String(devices).padEnd(10)}${save.toFixed(1).padStart(11)}${rate(save).padStart(13)}${ways}${rate(restore).padStart(16)}`);
  });
  const [few, many] = costs;
  if (few === undefined || many === undefined) continue;
  for (const way of ['save', 'restore'] as const) {
    targets.push([`${way}, ${devices} devices: an event of 1,000,000 in floors`, many[way] / floor, MOST[way]]);
    targets.push([`${way}, ${devices} devices: an event of 1,000,000 against one of 57,344`, many[way] / few[way], 2]);
  }
}

const MIGRATIONS = 1000;
const lines: string[] = [];
const io = {
  out: (line: string) => void lines.push(line),
  err: (line: string) => void lines.push(line),
  progress: () => undefined, write: () => undefined,
  now: () => performance.now(),
  cwd: process.cwd(),
  piped: false,
  columns: undefined,
  colors: false,
};
const code = main(['migrate', '--repeat', String(MIGRATIONS)], io, undefined);
console.log(`vsim migrate --repeat ${MIGRATIONS}: ${lines.join('; ')}`);

process.exitCode = report(targets) && code === 0 ? 0 : 1;
