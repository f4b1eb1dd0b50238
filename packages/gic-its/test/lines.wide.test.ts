/** Random programs on a GIC: what onLines was told last is what the lines are, and nothing that a guest does throws. */
import { Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds, RUNS } from '../../../testing/random.ts';
import { AS_GUEST, AT_EL1, AT_EL2, encode, GICR, OPCODE, SYSTEM_REGISTERS, type GicVersion, type RegisterAccess } from '../src/index.ts';
import { AT, BareGic, VALID } from './bare-gic.ts';

const STEPS = 400;
const VIEWS: readonly RegisterAccess[] = [AT_EL2, AT_EL1, AS_GUEST, { el: 1, imo: true, fmo: false }, { el: 1, imo: false, fmo: true }];
/** Values that do something: priorities, INTIDs, enables, states of list registers. */
const VALUES = [0, 1, 2, 3, 7, 0xf0, 0xff, 20, 21, 33, 40, 8200, 8300, 1023, 0x80, 0xffff_ffff, 0x0100_0001] as const;
const HIGH = [0, 0x5080_0000, 0x4060_0000, 0x1080_0200, 0x9080_0000, 0x7080_0014, 0x100, 0xffff_ffff] as const;

class Program {
  readonly #random: Random;
  readonly #gic: BareGic;
  readonly #told: number[];
  readonly #halves = new Uint32Array(2);

  constructor(version: GicVersion, seed: number) {
    this.#random = new Random(seed);
    this.#gic = new BareGic({ version });
    this.#gic.host.memory.write32(this.#gic.gic.distributorBase, 3);
    this.#gic.mapDevice(1);
    for (let n = 0; n < 4; n += 1) this.#gic.post((to) => encode.mapti(to, 1, n, 8200 + n, n % 2));
    if (version !== 'gicv3') {
      this.#gic.post(this.#gic.vmapp(0));
      for (let n = 4; n < 8; n += 1) this.#gic.post((to) => encode.vmapti(to, 1, n, 0, 8300 + n, version === 'gicv4' ? 9000 : 1023));
    }
    this.#told = this.#gic.gic.redistributors.map(({ cpu }) => cpu.lines);
    this.#gic.gic.redistributors.forEach(({ cpu }, n) => (cpu.onLines = (levels) => (this.#told[n] = levels)));
  }

  step(): string {
    const random = this.#random;
    const { gic, host } = this.#gic;
    const n = random.below(2);
    const sgiFrame = gic.redistributorBase[n]! + GICR.SGI_FRAME;
    const value = random.below(3) === 0 ? random.uint32() : VALUES[random.below(VALUES.length)]!;
    switch (random.below(13)) {
      case 12: {
        const { virtual } = gic.cpu(n);
        virtual.write('ICH_HCR_EL2', 1n);
        virtual.write('ICH_VMCR_EL2', 0xf000_0000n + BigInt(random.below(4)));
        virtual.setList(random.below(4), 40 + random.below(4), (0x4080_0000 | (random.below(2) * 0x1000_0000)) >>> 0);
        return 'list';
      }
      case 0:
      case 1:
      case 2:
      case 3: {
        const register = SYSTEM_REGISTERS[random.below(SYSTEM_REGISTERS.length)]!;
        const encoding = random.below(20) === 0 ? random.below(0x1_0000) : register.encoding;
        const view = VIEWS[random.below(VIEWS.length)]!;
        if (random.below(2) === 0) return `mrs ${register.name} ${gic.cpu(n).readRegister(encoding, view, this.#halves)}`;
        return `msr ${register.name} ${gic.cpu(n).writeRegister(encoding, view, value, HIGH[random.below(HIGH.length)]!)}`;
      }
      case 4:
        gic.setPpi(n, 16 + random.below(16), random.below(2) === 0);
        return 'ppi';
      case 5:
        gic.setSpi(32 + random.below(4), random.below(2) === 0);
        return 'spi';
      case 6:
        this.#gic.msi(1, random.below(8));
        return 'msi';
      case 7:
        host.memory.write32(sgiFrame + [0x80, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380][random.below(7)]!, value);
        return 'frame';
      case 8:
        host.memory.write8(sgiFrame + 0x400 + random.below(32), value & 0xff);
        return 'priority';
      case 9:
        if (random.below(4) === 0) host.memory.write32(gic.distributorBase, random.below(4));
        else host.memory.write32(gic.distributorBase + [0x84, 0x104, 0x184, 0x204][random.below(4)]!, value);
        return 'distributor';
      case 10:
        if (gic.version === 'gicv4.1') this.#gic.rd64(n, GICR.VPENDBASER, 0, random.below(2) === 0 ? 0 : VALID + random.below(4) * 0x0400_0000);
        else if (gic.version === 'gicv4') this.#gic.rd64(n, GICR.VPENDBASER, AT.VPT, random.below(2) === 0 ? 0 : VALID);
        return 'residency';
      default:
        this.#command(n);
        return 'command';
    }
  }

  #command(n: number): void {
    const random = this.#random;
    const { gic, host } = this.#gic;
    const event = random.below(8);
    switch (random.below(6)) {
      case 0:
        this.#gic.post((to) => encode.event(to, [OPCODE.INT, OPCODE.CLEAR, OPCODE.INV][random.below(3)]!, 1, event));
        return;
      case 1:
        this.#gic.property(8200 + (event & 3), 0xa0 + random.below(2));
        this.#gic.post((to) => encode.invall(to, n));
        return;
      case 2:
        this.#gic.post((to) => encode.movi(to, 1, event, n));
        return;
      case 3:
        if (gic.version === 'gicv4.1') this.#gic.post((to) => encode.vsgi(to, 0, event, { enabled: random.below(4) > 0, group1: random.below(2) === 0, priority: 0x60 + 16 * event }, random.below(4) === 0));
        return;
      case 4:
        if (gic.version === 'gicv4.1') host.memory.write64(gic.its[0]!.base + 0x2_0020, event, 0);
        return;
      default:
        if (random.below(20) === 0) gic.reset();
        else if (gic.version !== 'gicv3') this.#gic.post((to) => encode.vmovp(to, 0, n, 0, 0, undefined));
    }
  }

  /** CPUs whose lines are not as they were told. */
  get wrong(): string[] {
    return this.#gic.gic.redistributors.flatMap(({ cpu }, n) => (cpu.lines === this.#told[n] ? [] : [`cpu ${n}: told ${this.#told[n]}, is ${cpu.lines}`]));
  }

  /** The lines that were seen. */
  get told(): readonly number[] {
    return this.#told;
  }
}

describe('what onLines was told last [H7]', () => {
  it.each(['gicv3', 'gicv4', 'gicv4.1'] as const)('%s: is what the lines are', (version) => {
    const seen = new Set<number>();
    forSeeds((seed) => {
      const program = new Program(version, seed);
      for (let step = 0; step < STEPS; step += 1) {
        const what = program.step();
        expect({ what, step, wrong: program.wrong }).toEqual({ what, step, wrong: [] });
        for (const levels of program.told) seen.add(levels);
      }
    });
    // All five lines rise and fall, where there are enough programs.
    if (RUNS >= 20) expect([...seen].reduce((all, levels) => all | levels, 0)).toBe(31);
  });
});
