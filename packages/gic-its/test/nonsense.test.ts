/** What a guest or a driver writes never throws out of the model, and every access ends. */
import { Host, Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Gic, type GicPreset, type GicVersion } from '../src/index.ts';
import { GUEST, Machine } from './machine.ts';

const env: Readonly<Record<string, string | undefined>> = process.env;
const runs = Number(env['VSIM_RUNS'] ?? 60);
const seed = Number(env['VSIM_SEED'] ?? 1);

const OPCODES = [0x01, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x21, 0x22, 0x23, 0x25, 0x29, 0x2a, 0x2b, 0x2d, 0x2e];

/** Runs a program for many seeds; a failure names the one that repeats it. */
function programs(program: (start: number) => void): void {
  const seeds = new Random(seed);
  for (let n = 0; n < runs; n += 1) {
    const start = runs === 1 ? seed : seeds.uint32();
    try {
      program(start);
    } catch (error) {
      throw new Error(`VSIM_RUNS=1 VSIM_SEED=${start}`, { cause: error });
    }
  }
}

/** A command whose fields are often in range and sometimes anything. */
function command(random: Random, ram: number, ramBytes: number): Uint32Array {
  const small = (): number => (random.below(4) === 0 ? random.uint32() : random.below(8));
  const intid = (): number => (random.below(4) === 0 ? random.uint32() : 8192 + random.below(64));
  const address = (): number => (random.below(8) === 0 ? random.uint32() : ram + random.below(ramBytes));
  const opcode = random.below(16) === 0 ? random.below(256) : OPCODES[random.below(OPCODES.length)]!;
  const valid = random.below(3) === 0 ? 0 : 0x8000_0000;
  const words = [opcode, small(), small(), small(), small(), valid + small() % 2, address(), random.below(2)];
  if (opcode === 0x08) words[4] = address();
  if (opcode === 0x09) words[4] = (small() << 16) | small();
  if (opcode === 0x0a) words[3] = intid();
  if (opcode === 0x2a) [words[4], words[5]] = [intid(), intid()];
  if (opcode === 0x29) [words[0], words[4]] = [(opcode | (random.below(4) << 8) | (address() & 0xffff_0000)) >>> 0, small() << 16];
  return Uint32Array.from(words);
}

describe('nonsense', () => {
  it.each<[GicVersion, GicPreset]>([
    ['gicv3', 'arm'],
    ['gicv4', 'qemu'],
    ['gicv4', 'arm'],
    ['gicv4.1', 'arm'],
  ])('commands, registers and tables of a %s, preset %s', (version, preset) => {
    programs((start) => {
      const random = new Random(start);
      const base = 0x4000_0000;
      const bytes = 0x20_0000;
      const host = new Host({ ram: [{ base, size: bytes }] });
      const gic = new Gic(host, { version, preset, cpus: 2 });
      const its = gic.its[0]!.base;
      host.memory.write32(gic.distributorBase, 0x12);
      for (let n = 0; n < 2; n += 1) {
        const rd = gic.redistributorBase[n]!;
        host.memory.write64(rd + 0x70, base + 0x1_000f, 0);
        host.memory.write64(rd + 0x78, base + 0x2_0000 + n * 0x1_0000, 0);
        host.memory.write32(rd, 1);
      }
      host.memory.writeBytes(base + 0x1_0000, random.bytes(0x1000));
      for (let n = 0; n < 3; n += 1) host.memory.write64(its + 0x100 + 8 * n, base + 0x4_0000 + n * 0x1_0000 + 0x200, 0x8000_0000);
      host.memory.write64(its + 0x80, base, 0x8000_0000);
      host.memory.write32(its, 1);
      let at = 0;
      for (let i = 0; i < 200; i += 1) {
        const kind = random.below(20);
        if (kind === 0) host.memory.write32(its + 4 * random.below(0x100), random.uint32());
        else if (kind === 1) host.memory.write64(gic.redistributorBase[random.below(2)]! + 8 * random.below(0x6000), random.uint32(), random.uint32());
        else if (kind === 2) host.memory.write32(gic.distributorBase + 4 * random.below(0x4000), random.uint32());
        else if (kind === 3) host.memory.write32(base + 0x4_0000 + 4 * random.below(0x1000), random.uint32());
        else if (kind === 4) host.memory.write32(its + 0x1_0040, random.below(16), random.below(16));
        else if (kind === 5) gic.cpu(0).endOfInterrupt(gic.cpu(0).acknowledge());
        else {
          command(random, base, bytes).forEach((word, n) => host.memory.write32(base + at + 4 * n, word));
          at = (at + 32) % 4096;
          host.memory.write64(its + 0x88, at + 1, 0);
        }
      }
      // It still answers.
      expect(host.memory.read32(gic.distributorBase + 0xffe8) & 0xf0).toBe(version === 'gicv3' ? 0x30 : 0x40);
    });
  });

  it('commands and registers of a guest, with vCPUs that run and forwarded interrupts', () => {
    programs((start) => {
      const random = new Random(start);
      const machine = new Machine();
      machine.boot();
      machine.mapDevice(1, [8192, 8193, 8194]);
      const irqs = machine.driver.allocate(1, 3, false);
      const vectors = irqs.map((irq, event) => machine.vector(1, event, irq));
      const boot = machine.vcpu(0);
      for (let i = 0; i < 150; i += 1) {
        const vcpu = machine.vcpu(random.below(2));
        const kind = random.below(12);
        if (kind === 0) vcpu.run(random.below(2));
        else if (kind === 1) vcpu.wfi();
        else if (kind === 2) vcpu.stop();
        else if (kind === 3) vcpu.endOfInterrupt(vcpu.acknowledge());
        else if (kind === 4) machine.vm.store(vcpu, GUEST.ITS + 8 * random.below(0x40), 8, BigInt(random.uint32()));
        else if (kind === 5) machine.vm.store(vcpu, GUEST.REDIST + 8 * random.below(0x20), 8, BigInt(random.uint32()));
        else if (kind === 6) machine.vgic.setAttr(4, 3, 0);
        else if (kind === 7) machine.its.setAttr(4, 1 + random.below(4), 0);
        else if (kind === 8) machine.raise(vectors[random.below(3)]!);
        else {
          const words = command(random, GUEST.RAM, 0x40_0000);
          machine.command((to) => to.set(words));
        }
      }
      machine.vm.destroy();
      expect(boot.state).toBe('stopped');
      expect(irqs.every((irq) => !irq.forwarded)).toBe(true);
    });
  });
});
