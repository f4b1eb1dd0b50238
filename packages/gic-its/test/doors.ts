/** The doors of this package for fuzzers: what a guest does to its GIC beside another VM, and what a VMM does through device attributes. */
import { PhysicalMemory, type ProfileName, type Random } from '@vsim/vfio-core';
import { pick, random64, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { GRP, OPCODE, type GicVersion } from '../src/index.ts';
import { GUEST, Machine, takeAll, type Vector } from './machine.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const VERSIONS: readonly GicVersion[] = ['gicv3', 'gicv4', 'gicv4.1'];
const WIDTHS = [1, 2, 3, 4, 4, 4, 8, 8, 16];
/** Frames of the guest's GIC, with the offsets where registers are. */
const FRAMES = [
  { base: GUEST.DIST, bytes: 0x1_0000, near: [0, 4, 8, 0xc, 0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380, 0x400, 0xc00, 0x6100, 0xffe8] },
  { base: GUEST.REDIST, bytes: 0x4_0000, near: [0, 4, 8, 0x10, 0x14, 0x70, 0x78, 0xa0, 0xb0, 0xc0, 0x1_0080, 0x1_0100, 0x1_0200, 0x1_0280, 0x1_0400, 0x1_0c00, 0x2_0000, 0x2_0078] },
  { base: GUEST.ITS, bytes: 0x2_0000, near: [0, 4, 8, 0x80, 0x88, 0x90, 0x100, 0x108, 0x110, 0xffe8, 0x1_0040] },
] as const;
/** Registers of 64 bits and of bytes, by the architecture (Arm IHI 0069): the oracle's own list. */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [GUEST.DIST + 0x6000, GUEST.DIST + 0x8000],
  ...[0, 1].flatMap((n) => [0x8, 0x70, 0x78, 0xa0, 0xb0].map((at) => [GUEST.REDIST + n * 0x2_0000 + at, GUEST.REDIST + n * 0x2_0000 + at + 8] as const)),
  [GUEST.ITS + 0x8, GUEST.ITS + 0x10],
  [GUEST.ITS + 0x80, GUEST.ITS + 0x98],
  [GUEST.ITS + 0x100, GUEST.ITS + 0x140],
];
const BYTES: readonly (readonly [first: number, last: number])[] = [
  [GUEST.DIST + 0x400, GUEST.DIST + 0xc00],
  [GUEST.REDIST + 0x1_0400, GUEST.REDIST + 0x1_0420],
  [GUEST.REDIST + 0x3_0400, GUEST.REDIST + 0x3_0420],
];
const HOSTILE = 0x10;
const WITNESS = 0x40;
const WITNESS_LPIS = [8200, 8201, 8300];

type GuestInput =
  | { readonly kind: 'load' | 'store'; readonly address: number; readonly width: number; readonly value: bigint; readonly vcpu: number }
  | { readonly kind: 'command'; readonly words: readonly number[] }
  | { readonly kind: 'memory'; readonly address: number; readonly value: number }
  | { readonly kind: 'plug' | 'unplug' | 'raise' | 'free'; readonly vector: number }
  | { readonly kind: 'run' | 'stop' | 'wfi' | 'save' | 'restart'; readonly vcpu: number };

/** A hostile VM on CPU 0, and a VM on CPU 1 whose every interrupt has to come, and nothing else. */
class Neighbours implements World<GuestInput> {
  readonly #witness: Machine;
  readonly #witnessVectors: readonly Vector[];
  #hostile: Machine;
  #vectors: (Vector | undefined)[] = [];

  constructor(random: Random) {
    const version = pick(random, VERSIONS);
    const profile = pick(random, PROFILES);
    this.#hostile = new Machine({ version, profile });
    this.#boot();
    this.#witness = new Machine({ on: this.#hostile, vcpus: 1 });
    this.#witness.boot();
    this.#witness.mapDevice(WITNESS, WITNESS_LPIS);
    this.#witnessVectors = this.#witness.driver.allocate(WITNESS, WITNESS_LPIS.length, false).map((irq, n) => this.#witness.vector(WITNESS, n, irq));
    this.#witness.vcpu(0).run(1);
  }

  generate(random: Random): GuestInput {
    const vcpu = random.below(2);
    const roll = random.below(16);
    if (roll < 5) {
      const frame = pick(random, FRAMES);
      const offset = random.below(3) === 0 ? random.below(frame.bytes) : pick(random, frame.near) + (random.below(3) === 0 ? random.below(9) : 0);
      const small = random.below(2) === 0 ? BigInt(random.below(8)) * 32n : 0xb800_0000_0000_0400n | BigInt(pick(random, [GUEST.QUEUE, GUEST.DEVICES, GUEST.COLLECTIONS]) + random.below(8));
      return { kind: random.below(3) === 0 ? 'load' : 'store', address: frame.base + offset, width: pick(random, WIDTHS), value: random.below(4) === 0 ? random64(random) : small, vcpu };
    }
    if (roll < 11) return { kind: 'command', words: commandOf(random) };
    if (roll === 11) return { kind: 'memory', address: pick(random, [GUEST.PROPERTIES, GUEST.PENDING + 0x400, GUEST.DEVICES + 8 * HOSTILE, GUEST.ITT]) + 4 * random.below(64), value: random.uint32() };
    if (roll < 14) return { kind: pick(random, ['plug', 'plug', 'unplug', 'raise', 'free']), vector: random.below(4) };
    return { kind: pick(random, ['run', 'run', 'stop', 'wfi', 'save', 'restart']), vcpu };
  }

  check(input: GuestInput): Depth {
    const depth = this.#do(input);
    this.#witnessIsWell(this.#witnessVectors[input.kind.length % this.#witnessVectors.length]!);
    return depth;
  }

  end(): void {
    this.#hostile.vm.destroy();
    for (const vector of this.#witnessVectors) this.#witnessIsWell(vector);
    const next = new Machine({ on: this.#hostile });
    next.boot();
    next.mapDevice(HOSTILE + 1, [8192, 8193]);
    for (const [n, irq] of next.driver.allocate(HOSTILE + 1, 2, false).entries()) next.vector(HOSTILE + 1, n, irq);
    next.vcpu(0).run(0);
    for (const vector of this.#vectors) if (vector !== undefined) this.#hostile.raise(vector);
    same('the next VM took', takeAll(next.vcpu(0)), []);
    next.vm.destroy();
  }

  #boot(): void {
    this.#hostile.boot();
    // Three devices share an LPI.
    [[8192], [8192], [8193, 8194], [8192]].forEach((lpis, n) => {
      this.#hostile.mapDevice(HOSTILE + n, lpis);
    });
  }

  #witnessIsWell(vector: Vector): void {
    const vcpu = this.#witness.vcpu(0);
    same('the witness took unasked', takeAll(vcpu), []);
    this.#witness.raise(vector);
    same('the witness took', takeAll(vcpu), [WITNESS_LPIS[vector.irq.event]]);
  }

  #do(input: GuestInput): Depth {
    const machine = this.#hostile;
    switch (input.kind) {
      case 'load':
      case 'store': {
        const { address, width } = input;
        const good = width === 4 || (width === 8 && holds(WIDE, address)) || (width === 1 && holds(BYTES, address));
        const allowed = good && address % width === 0;
        if (input.kind === 'store') machine.vm.store(machine.vcpu(input.vcpu), address, width, input.value);
        else if (machine.vm.load(machine.vcpu(input.vcpu), address, width) !== 0n && !allowed) throw new Error('a refused load read something');
        return allowed ? 'succeeded' : 'refused';
      }
      case 'command':
        machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 1n);
        machine.command((to) => to.set(input.words));
        return 'past';
      case 'memory':
        machine.ram.write32(input.address, input.value);
        return 'succeeded';
      case 'plug': {
        if (this.#vectors[input.vector] !== undefined) return 'refused';
        const [irq] = machine.driver.allocate(HOSTILE + input.vector, 1, false);
        if (irq === undefined) return 'refused';
        this.#vectors[input.vector] = machine.vector(HOSTILE + input.vector, 0, irq);
        return 'succeeded';
      }
      case 'unplug':
      case 'free':
      case 'raise':
        return this.#vector(input.kind, input.vector);
      case 'run':
        return machine.vcpu(input.vcpu).run(0) === 0 ? 'succeeded' : 'refused';
      case 'stop':
        machine.vcpu(input.vcpu).stop();
        return 'succeeded';
      case 'wfi':
        machine.vcpu(input.vcpu).wfi();
        return 'succeeded';
      case 'save':
        for (const vcpu of machine.vm.vcpus) vcpu.stop();
        return machine.savePending() === 0 && machine.saveTables() === 0 && machine.restoreTables() === 0 ? 'succeeded' : 'past';
      case 'restart':
        machine.vm.destroy();
        this.#hostile = new Machine({ on: this.#witness });
        this.#boot();
        this.#strangersAreSilent();
        return 'succeeded';
    }
  }

  /** The devices of the VM that is gone raise: nothing of it comes to the one that has its place. Then they are given back. */
  #strangersAreSilent(): void {
    const machine = this.#hostile;
    machine.vcpu(0).run(0);
    for (const vector of this.#vectors) if (vector !== undefined) machine.raise(vector);
    same('the next VM took', takeAll(machine.vcpu(0)), []);
    for (const vector of this.#vectors.splice(0)) if (vector !== undefined) machine.driver.release(vector.device, [vector.irq]);
  }

  #vector(kind: 'unplug' | 'free' | 'raise', n: number): Depth {
    const vector = this.#vectors[n];
    if (vector === undefined) return 'refused';
    const machine = this.#hostile;
    if (kind === 'raise') {
      machine.raise(vector);
      return 'succeeded';
    }
    machine.bypass.unregisterProducer(vector.producer);
    machine.vm.deassignIrqfd(vector.eventfd, vector.gsi);
    if (kind === 'unplug') return 'succeeded';
    // VFIO gives the interrupt back, and with it the event: it may be another VM's next.
    machine.driver.release(vector.device, [vector.irq]);
    this.#vectors[n] = undefined;
    return 'succeeded';
  }
}

function holds(ranges: readonly (readonly [first: number, last: number])[], address: number): boolean {
  return ranges.some(([first, last]) => address >= first && address < last);
}

/** A command whose fields are mostly those that mean something. */
function commandOf(random: Random): number[] {
  const device = pick(random, [HOSTILE, HOSTILE, HOSTILE + 1, HOSTILE + 2, HOSTILE + 3, WITNESS, random.below(0x1_0000)]);
  const event = pick(random, [0, 0, 1, 2, 3, random.below(0x100)]);
  const lpi = pick(random, [8192, 8193, 8194, 8200, 8201, 8192 + random.below(0x1000), random.uint32()]);
  const icid = pick(random, [0, 1, 1, random.below(0x1_0000)]);
  const opcode = pick(random, [OPCODE.MAPTI, OPCODE.MAPTI, OPCODE.MAPD, OPCODE.MAPC, OPCODE.MOVI, OPCODE.MOVALL, OPCODE.DISCARD, OPCODE.INT, OPCODE.INT, OPCODE.CLEAR, OPCODE.INV, OPCODE.INVALL, OPCODE.SYNC, random.below(0x40)]);
  const valid = random.below(4) === 0 ? 0 : 0x8000_0000;
  const words = [opcode, device, event, lpi, icid, valid, 0, 0];
  if (opcode === OPCODE.MAPD) words.splice(2, 4, random.below(random.below(4) === 0 ? 32 : 6), 0, GUEST.ITT + 0x1000 * random.below(16), valid);
  if (opcode === OPCODE.MAPC) words.splice(4, 2, ((random.below(3) << 16) | (icid & 0xffff)) >>> 0, valid);
  if (opcode === OPCODE.MOVALL) words.splice(4, 3, random.below(3) << 16, 0, random.below(3) << 16);
  return words.map((word) => word >>> 0);
}

// Device attributes

interface AttrInput {
  readonly device: 'vgic' | 'its';
  readonly call: 'set' | 'get' | 'has';
  readonly group: number;
  readonly attr: bigint;
  readonly value: bigint | undefined;
}

const ERRNOS = [-1, -2, -5, -6, -7, -13, -14, -16, -17, -19, -22];

class Attributes implements World<AttrInput> {
  readonly #machine: Machine;

  constructor(random: Random) {
    this.#machine = new Machine({ version: pick(random, VERSIONS), profile: pick(random, PROFILES) });
    this.#machine.boot();
    this.#machine.mapDevice(1, [8192, 8193]);
  }

  generate(random: Random): AttrInput {
    const its = random.below(2) === 0;
    const regs = its ? [GRP.ITS_REGS] : [GRP.DIST_REGS, GRP.REDIST_REGS, GRP.CPU_SYSREGS, GRP.LEVEL_INFO];
    const group = random.below(5) === 0 ? pick(random, [GRP.ADDR, GRP.NR_IRQS, 2, 3, 20]) : pick(random, regs);
    const frame = FRAMES[its ? 2 : group === GRP.DIST_REGS ? 0 : 1];
    const offset = random.below(4) === 0 ? random.below(0x2_0000) : pick(random, frame.near);
    const sysreg = 0xc000 | random.below(0x1000);
    const low = group === GRP.CPU_SYSREGS ? sysreg : offset;
    const high = random.below(4) === 0 ? BigInt(random.uint32()) : BigInt(its ? 0 : random.below(2));
    return {
      device: its ? 'its' : 'vgic',
      call: pick(random, ['set', 'set', 'get', 'has']),
      group,
      attr: random.below(16) === 0 ? random64(random) : (high << 32n) | BigInt(low),
      value: random.below(12) === 0 ? undefined : random64(random),
    };
  }

  check({ device, call, group, attr, value }: AttrInput): Depth {
    const to = device === 'its' ? this.#machine.its : this.#machine.vgic;
    const before = this.#digest();
    const result = call === 'set' ? to.setAttr(group, attr, value) : call === 'get' ? to.getAttr(group, attr) : to.hasAttr(group, attr);
    if (typeof result === 'bigint') {
      if (result < 0n || result >= 1n << 64n) throw new Error(`a value of ${result}`);
    } else if (result !== 0 && !ERRNOS.includes(result)) throw new Error(`result ${result}`);
    if (call !== 'set' || (typeof result === 'number' && result < 0)) same('the state after what changes nothing', this.#digest(), before);
    if (call === 'set' && value === undefined && result === 0) throw new Error('a pointer that cannot be read was taken');
    return typeof result === 'number' && result < 0 ? 'refused' : 'succeeded';
  }

  /** Every register that has a value, and what is mapped. */
  #digest(): string {
    const { vgic, its, vm } = this.#machine;
    const parts: unknown[] = [];
    for (const offset of FRAMES[0].near) parts.push(vgic.getAttr(GRP.DIST_REGS, offset));
    for (let n = 0; n < 2; n += 1) for (const offset of [0, 0x70, 0x74, 0x78, 0x7c, 0x1_0080, 0x1_0100, 0x1_0200, 0x1_0300, 0x1_0400, 0x1_0c00]) parts.push(this.#machine.gicr(n, offset));
    for (const offset of FRAMES[2].near) parts.push(its.getAttr(GRP.ITS_REGS, offset));
    for (const { id, bits, events } of its.mappings.devices) parts.push(id, bits, ...events.values().map(({ id: event, irq }) => `${event}:${irq.intid}`));
    for (const irq of vm.lpis.all()) parts.push(irq.intid, irq.priority, irq.enabled, irq.pendingLatch, irq.target?.id);
    return parts.join();
  }
}

// Guest memory that is not there

interface HoleInput {
  readonly page: number;
  readonly call: 'tables' | 'pending' | 'restore';
}

/** Guest memory with a page that the VMM has unmapped, which counts how often it is read. */
class Holes extends PhysicalMemory {
  hole: number | undefined;
  reads = 0;

  override accessible(address: number, length: number): boolean {
    const inside = this.hole !== undefined && address < this.hole + PAGE && address + length > this.hole;
    return !inside && super.accessible(address, length);
  }

  // No words at once: what there is no page for is asked for first.
  override readWords(): boolean {
    return false;
  }

  override writeWords(): boolean {
    return false;
  }

  override read8(address: number): number {
    this.reads += 1;
    return super.read8(address);
  }
}

const PAGE = 4096;
const ITT = GUEST.ITT + 0x1000;
/** What each call writes or reads: LPIs 8192 and 8193, of vCPUs 0 and 1, are bytes 0x400 of their tables. */
const TOUCHED = {
  tables: [GUEST.DEVICES, ITT, GUEST.COLLECTIONS],
  pending: [GUEST.PENDING, GUEST.PENDING + 0x1_0000],
  restore: [GUEST.DEVICES, ITT, GUEST.COLLECTIONS, GUEST.PROPERTIES, GUEST.PENDING, GUEST.PENDING + 0x1_0000],
} as const;

class UnmappedPages implements World<HoleInput> {
  readonly #ram = new Holes([{ base: GUEST.RAM, size: 0x80_0000 }]);
  readonly #machine: Machine;

  constructor(random: Random) {
    this.#machine = new Machine({ version: 'gicv3', profile: pick(random, PROFILES), ram: this.#ram });
    this.#machine.boot();
    this.#machine.mapDevice(1, [8192, 8193]);
  }

  generate(random: Random): HoleInput {
    return { page: pick(random, [...TOUCHED.restore, GUEST.QUEUE, GUEST.DEVICES + PAGE, GUEST.RAM]), call: pick(random, ['tables', 'pending', 'restore']) };
  }

  check({ page, call }: HoleInput): Depth {
    const machine = this.#machine;
    if (call === 'restore') {
      same('a save', machine.saveTables(), 0);
      machine.resetIts();
    }
    this.#ram.hole = page;
    const touched: readonly number[] = TOUCHED[call];
    const fails = touched.includes(page);
    const result = call === 'tables' ? machine.saveTables() : call === 'pending' ? machine.savePending() : machine.restoreTables();
    this.#ram.hole = undefined;
    same(`${call} without the page at ${page.toString(16)}`, result, fails ? -14 : 0);
    if (call === 'restore') {
      if (fails) {
        machine.resetIts();
        same('a restore of what is whole', machine.restoreTables(), 0);
      }
      machine.setIts(0x80, 0xb800_0000_0000_0400n | BigInt(GUEST.QUEUE));
    }
    return fails ? 'past' : 'succeeded';
  }
}

// One store

/** Two commands, over and over. */
type FloodInput = readonly [first: readonly number[], second: readonly number[]];

const LPIS = 1500;
const COMMANDS = 4000;
const LONG_QUEUE = 0x4060_0000;
/** Reads of guest memory by one store: what the queue and a bounded amount of work take. */
const MOST_READS = 0x12_0000;

class OneStore implements World<FloodInput> {
  readonly #ram = new Holes([{ base: GUEST.RAM, size: 0x80_0000 }]);
  readonly #machine: Machine;

  constructor() {
    this.#machine = new Machine({ version: 'gicv3', profile: 'linux-6.1', ram: this.#ram });
    this.#machine.boot();
    this.#machine.command((to) => to.set([OPCODE.MAPD, 1, 14, 0, GUEST.ITT, 0x8000_0000]));
    for (let n = 0; n < LPIS; n += 1) this.#machine.command((to) => to.set([OPCODE.MAPTI, 1, n, 8192 + n, 0, 0]));
  }

  generate(random: Random): FloodInput {
    const one = (): number[] => pick(random, [[OPCODE.INVALL, 0, 0, 0, random.below(2), 0, 0, 0], [OPCODE.MOVI, 1, random.below(LPIS), 0, random.below(2), 0, 0, 0], [OPCODE.MOVALL, 0, 0, 0, 0, 0, 0x1_0000, 0], [OPCODE.INV, 1, random.below(LPIS), 0, 0, 0, 0, 0], [OPCODE.INT, 1, random.below(LPIS), 0, 0, 0, 0, 0]]);
    return [one(), one()];
  }

  check(input: FloodInput): Depth {
    const { vm } = this.#machine;
    const [vcpu] = vm.vcpus;
    for (let n = 0; n < COMMANDS; n += 1) input[n % 2]!.forEach((word, i) => {
      this.#ram.write32(LONG_QUEUE + 32 * n + 4 * i, word);
    });
    vm.store(vcpu!, GUEST.ITS, 4, 0n);
    vm.store(vcpu!, GUEST.ITS + 0x80, 8, 0xb800_0000_0000_0400n | BigInt(LONG_QUEUE) | 0x3fn);
    vm.store(vcpu!, GUEST.ITS, 4, 1n);
    this.#ram.reads = 0;
    vm.store(vcpu!, GUEST.ITS + 0x88, 8, BigInt(32 * COMMANDS));
    if (this.#ram.reads > MOST_READS) throw new Error(`one store read guest memory ${this.#ram.reads} times`);
    for (let tries = 0; tries < 100; tries += 1) if (vm.load(vcpu!, GUEST.ITS + 0x90, 8) === BigInt(32 * COMMANDS)) return 'succeeded';
    throw new Error('the queue does not end');
  }
}

export const DOORS: readonly Door[] = [
  { name: 'guest-gic', length: 150, open: (random) => new Neighbours(random) },
  { name: 'kvm-attributes', length: 200, open: (random) => new Attributes(random) },
  { name: 'unmapped-pages', length: 100, open: (random) => new UnmappedPages(random) },
  { name: 'one-store', length: 4, open: () => new OneStore() },
];
