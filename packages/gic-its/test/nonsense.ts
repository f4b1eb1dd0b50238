/** Programs of accesses that make no sense, for the hardware. For tests only. */
import { Host, Random } from '@vsim/vfio-core';
import { Gic, type GicPreset, type GicVersion } from '../src/index.ts';

/** A kind of GIC, and how its programs differ. */
export const KINDS: readonly (readonly [GicVersion, GicPreset])[] = [
  ['gicv3', 'arm'],
  ['gicv4', 'qemu'],
  ['gicv4', 'arm'],
  ['gicv4', 'strict'],
  ['gicv4.1', 'arm'],
  ['gicv4.1', 'strict'],
];

const OPCODES = [0x01, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x21, 0x22, 0x23, 0x25, 0x29, 0x2a, 0x2b, 0x2d, 0x2e];

/** A command whose fields are often in range and sometimes anything. */
export function command(random: Random, ram: number, ramBytes: number): Uint32Array {
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

/** One program of random commands, registers, tables and messages. @returns the GIC, which still answers */
export function nonsense(version: GicVersion, preset: GicPreset, seed: number, steps: number): Gic {
  const random = new Random(seed);
  const base = 0x4000_0000;
  const bytes = 0x20_0000;
  const host = new Host({ ram: [{ base, size: bytes }] });
  const gic = new Gic(host, {
    version,
    preset,
    cpus: 2,
    its: [0x2000_0000, 0x2010_0000],
    choices: { directLpi: random.below(2) === 0, vmovpOnce: random.below(2) === 0, commandErrors: random.below(4) === 0 ? 'stall' : 'skip' },
  });
  host.memory.write32(gic.distributorBase, 0x12);
  gic.redistributorBase.forEach((rd, n) => {
    host.memory.write64(rd + 0x70, base + 0x1_000f, 0);
    host.memory.write64(rd + 0x78, base + 0x2_0000 + n * 0x1_0000, 0);
    host.memory.write64(rd + 0x2_0070, base + 0x6_0000, 0x8040_0000);
    host.memory.write32(rd, 1);
    gic.cpu(n).write('ICC_PMR_EL1', 0xffn);
    gic.cpu(n).write('ICC_IGRPEN1_EL1', 1n);
  });
  host.memory.writeBytes(base + 0x1_0000, random.bytes(0x1000));
  gic.its.forEach(({ base: its }, i) => {
    for (let n = 0; n < 3; n += 1) host.memory.write64(its + 0x100 + 8 * n, base + 0x4_0000 + n * 0x1_0000 + 0x200, 0x8000_0000);
    host.memory.write64(its + 0x80, base + i * 0x1000, 0x8000_0000);
    host.memory.write32(its, 1);
  });
  const tails = [0, 0];
  for (let i = 0; i < steps; i += 1) {
    const which = random.below(2);
    const its = gic.its[which]!.base;
    const rd = gic.redistributorBase[random.below(2)]!;
    const kind = random.below(24);
    if (kind === 0) host.memory.write32(its + 4 * random.below(0x100), random.uint32());
    else if (kind === 1) host.memory.write64(rd + 8 * random.below(0x6000), random.uint32(), random.uint32());
    else if (kind === 2) host.memory.write32(gic.distributorBase + 4 * random.below(0x4000), random.uint32());
    else if (kind === 3) host.memory.write32(base + 0x4_0000 + 4 * random.below(0x1000), random.uint32());
    else if (kind === 4) host.memory.write32(its + 0x1_0040, random.below(16), random.below(16));
    else if (kind === 5) host.memory.write32(its + 0x1_0040, random.uint32(), random.uint32());
    else if (kind === 6) gic.cpu(0).endOfInterrupt(gic.cpu(0).acknowledge());
    else if (kind === 7) host.memory.write64(rd + 0x2_0078, random.below(8), random.below(16) * 0x1000_0000);
    else if (kind === 8) host.memory.write64(rd + [0x40, 0x48, 0xa0, 0xb0][random.below(4)]!, 8192 + random.below(64), random.below(2) * 0x8000_0000);
    else if (kind === 9) host.memory.write64(its + 0x2_0020, random.below(16), random.below(8));
    else if (kind === 10) host.memory.read32((random.below(2) === 0 ? its : rd) + 4 * random.below(0x8000));
    else {
      command(random, base, bytes).forEach((word, n) => host.memory.write32(base + which * 0x1000 + tails[which]! + 4 * n, word));
      tails[which] = (tails[which]! + 32) % 4096;
      host.memory.write64(its + 0x88, tails[which] + 1, 0);
    }
  }
  return gic;
}
