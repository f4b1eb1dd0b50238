/**
 * vCPUs with ids in any order, where their redistributors lie, and what a first KVM_RUN asks for: the checks of the kernel's selftest
 * vgic_init (tools/testing/selftests/kvm), and what it does not look at.
 */
import { Host, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { ADDR_TYPE, CREATE_VCPU, CTRL, encode, Gic, GRP, ItsDriver, KvmVm, MAX_VCPUS, REGION, Vcpu, type Vgic } from '../src/index.ts';
import { GUEST, Machine, made } from './machine.ts';

const [EIO, ENXIO, E2BIG, EBUSY, EEXIST, EINVAL, EFAULT, ENOENT] = [-5, -6, -7, -16, -17, -22, -14, -2];
const LIMIT = 2 ** 40;
const LAST = 0x10n;
/** Profiles whose rules are those of linux-6.1, and the two before. */
const NEW = ['linux-6.1', 'linux-6.12', 'linux-7.3'] as const;

interface Bare {
  readonly vm: KvmVm;
  readonly vgic: Vgic;
  /** The attribute ADDR of the vgic, set. */
  readonly at: (type: number, address: number | bigint) => number;
  /** A REDIST_REGION, set. */
  readonly region: (count: number, base: number, index: number, flags?: number) => number;
  /** GICR_TYPER of a vCPU, its lower half, by user access. */
  readonly typer: (id: number) => bigint | number;
}

/** A VM with these vCPUs and a GIC that is not initialised. */
function bare(ids: readonly number[], profile?: ProfileName): Bare {
  const host = new Host({ profile, ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
  const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 2 })) });
  for (const id of ids) made(vm.createVcpu(id));
  const vgic = made(vm.createVgic());
  const at = (type: number, address: number | bigint): number => vgic.setAttr(GRP.ADDR, type, address);
  return {
    vm,
    vgic,
    at,
    region: (count, base, index, flags = 0) => at(ADDR_TYPE.REDIST_REGION, (BigInt(count) << REGION.COUNT_SHIFT) | BigInt(base) | BigInt((flags << 12) | index)),
    typer: (id) => vgic.getAttr(GRP.REDIST_REGS, (BigInt(id) << 32n) | 8n),
  };
}

const init = ({ vgic }: Bare): number => vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
const run = ({ vm }: Bare, id: number): number => vm.vcpuById(id)!.run(0);

describe('vCPU ids', () => {
  it('in any order, each once, below 512, and none once the vgic is initialised', () => {
    const { vm, vgic } = bare([5, 0]);
    expect(vm.vcpus.map(({ id, index }) => [id, index])).toEqual([[5, 0], [0, 1]]);
    expect([vm.createVcpu(5), vm.createVcpu(MAX_VCPUS), vm.createVcpu(-1)]).toEqual([EEXIST, EINVAL, EINVAL]);
    expect(vm.createVcpu(511)).toBeInstanceOf(Vcpu);
    vgic.setAttr(GRP.CTRL, CTRL.INIT, 0);
    expect([vm.createVcpu(6), vm.createVcpu(5)]).toEqual([EBUSY, EBUSY]);
    expect([vm.vcpuById(511)?.index, vm.vcpuById(4)]).toEqual([2, undefined]);
  });

  it('512 vCPUs are the most, with those that are being made', () => {
    const { vm } = bare(Array.from({ length: MAX_VCPUS - 1 }, (_, id) => id));
    vm.host.scheduler.stopAt(CREATE_VCPU);
    vm.host.scheduler.spawn('KVM_CREATE_VCPU', vm.createVcpuSlowly(511));
    expect(vm.createVcpu(511)).toBe(EINVAL);
    vm.host.scheduler.release(CREATE_VCPU);
    expect([vm.vcpus.length, vm.createVcpu(0)]).toEqual([512, EINVAL]);
  });

  it.each([[3, 3n], [15, 15n], [16, 0x100n], [0x25, 0x205n], [511, 0x1f0fn]])('vCPU %i has affinity %s: Aff0 is 16 wide [M2]', (id, affinity) => {
    const machine = bare([id]);
    init(machine);
    const attr = affinity << 32n;
    expect(machine.vgic.getAttr(GRP.REDIST_REGS, attr | 0xcn)).toBe(affinity);
    expect(machine.vgic.getAttr(GRP.REDIST_REGS, attr | 8n)).toBe(BigInt(id) << 8n);
    expect(machine.vgic.getAttr(GRP.REDIST_REGS, (BigInt(id + 1) << 32n) | 8n)).toBe(EINVAL);
  });

  it('an SGI goes to whom its affinities name', () => {
    const { vm } = bare([0, 17, 33]);
    for (const vcpu of vm.vcpus) vcpu.setPriorityMask(0xff);
    // Aff1 1, Aff0 1: vCPU 17.
    vm.vcpus[0]!.sendSgi((3n << 24n) | (1n << 16n) | 2n);
    expect(vm.vcpus.map((vcpu) => vcpu.privates.read(0x200, 4, 'user'))).toEqual([0, 8, 0]);
  });

  it.each(['linux-6.1', 'linux-6.12'] as const)('%s: an SGI to all others leaves out the sender, or the vCPU of its number', (profile) => {
    const { vm } = bare([1, 0, 2], profile);
    // The vCPU with id 1, which is number 0.
    vm.vcpus[0]!.sendSgi((3n << 24n) | (1n << 40n));
    expect(vm.vcpus.map((vcpu) => vcpu.privates.read(0x200, 4, 'user'))).toEqual(profile === 'linux-6.1' ? [8, 0, 8] : [0, 8, 8]);
  });

  it.each([['linux-5.13', 1], ['linux-6.1', 1], ['linux-6.12', 7], ['linux-7.3', 7]] as const)('%s: the ITS names the second vCPU %i', (profile, target) => {
    const machine = new Machine({ version: 'gicv3', profile, vcpus: 0 });
    expect(machine.vm.vcpus).toEqual([]);
    const { vm } = bare([3, 7], profile);
    expect([vm.vcpuOfTarget(target)?.id, vm.vcpuOfTarget(3)?.id, vm.vcpuOfTarget(9)]).toEqual([7, target === 7 ? 3 : undefined, undefined]);
  });

  it('MAPC takes the vCPUs that there are, and no other', () => {
    const machine = new Machine({ version: 'gicv3', profile: 'linux-6.12', ids: [3, 7] });
    machine.boot();
    for (const [icid, target] of [[10, 7], [11, 3], [12, 0], [13, 1]] as const) machine.command((to) => encode.mapc(to, icid, target, true));
    const mapped = machine.its.mappings.collections.map(({ icid, target }) => [icid, target]);
    expect(mapped.slice(-2)).toEqual([[10, 7], [11, 3]]);
    expect(machine.its.mappings.vcpuOf(machine.its.mappings.findCollection(10))).toBe(machine.vm.vcpus[1]);
  });
});

describe('REDIST and DIST', () => {
  it.each(NEW)('%s: not aligned, beyond the limit, half beyond it, twice, mixed [M6]', (profile) => {
    const machine = bare([0, 1, 2, 3], profile);
    const { at, region } = machine;
    expect(machine.vgic.hasAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION)).toBe(0);
    expect([machine.vgic.hasAttr(GRP.ADDR, -1n), machine.vgic.hasAttr(GRP.ADDR, (1n << 32n) | 2n)]).toEqual([ENXIO, ENXIO]);
    expect([at(ADDR_TYPE.DIST, 0x1000), at(ADDR_TYPE.REDIST, 0x1000)]).toEqual([EINVAL, EINVAL]);
    expect([at(ADDR_TYPE.DIST, LIMIT), at(ADDR_TYPE.REDIST, LIMIT), at(ADDR_TYPE.REDIST, LIMIT - 0x1_0000)]).toEqual([E2BIG, E2BIG, E2BIG]);
    expect([at(ADDR_TYPE.REDIST, 0), at(ADDR_TYPE.REDIST, 0xe_0000), region(4, 0x10_0000, 0)]).toEqual([0, EEXIST, EINVAL]);
    // On the redistributors: nobody looks before a vCPU runs.
    expect(at(ADDR_TYPE.DIST, 0x7_0000)).toBe(0);
    expect(run(machine, 3)).toBe(EINVAL);
  });

  it('an address of 64 bits that wraps or is not aligned is EINVAL, also where numbers are not exact', () => {
    const { at } = bare([0]);
    const top = 1n << 64n;
    expect([at(ADDR_TYPE.REDIST, top - 0x2_0000n), at(ADDR_TYPE.REDIST, top - 0x1_0000n), at(ADDR_TYPE.REDIST, (1n << 60n) + 1n)]).toEqual([EINVAL, EINVAL, EINVAL]);
    expect([at(ADDR_TYPE.DIST, (1n << 60n) + 1n), at(ADDR_TYPE.DIST, 1n << 60n)]).toEqual([EINVAL, E2BIG]);
  });

  it('REDIST on a distributor that is there already is EINVAL; one without vCPUs is empty', () => {
    const { at } = bare([0, 1]);
    expect(at(ADDR_TYPE.DIST, 0x4_0000)).toBe(0);
    expect([at(ADDR_TYPE.REDIST, 0x1_0000), at(ADDR_TYPE.REDIST, 0x5_0000)]).toEqual([EINVAL, 0]);
    const none = bare([]);
    none.at(ADDR_TYPE.DIST, 0x4_0000);
    expect(none.at(ADDR_TYPE.REDIST, 0x4_0000)).toBe(0);
  });

  it('REDIST is set twice with EINVAL before 5.13', () => {
    const { at, region } = bare([0, 1], 'linux-5.10');
    expect([at(ADDR_TYPE.REDIST, 0), at(ADDR_TYPE.REDIST, 0xe_0000), region(2, 0x10_0000, 1)]).toEqual([0, EINVAL, EINVAL]);
    expect(bare([0, 1], 'linux-5.13').region(2, 0, 0)).toBe(0);
  });

  it('a vCPU for which the region does not fit is found by the next', () => {
    const { vm, at } = bare([0]);
    at(ADDR_TYPE.REDIST, LIMIT - 0x4_0000);
    expect([vm.createVcpu(1), vm.createVcpu(2), vm.createVcpu(3)]).toEqual([expect.any(Vcpu), expect.any(Vcpu), EINVAL]);
  });
});

describe('REDIST_REGION', () => {
  /** The regions of the selftest: 0 with two redistributors, 1 with one. */
  function regions(): Bare {
    const machine = bare([0, 1, 2, 3]);
    machine.region(2, 0x20_0000, 0);
    machine.region(1, 0x24_0000, 1);
    return machine;
  }

  it('count, flags, index, alignment, overlap, limit [M6]', () => {
    const machine = bare([0, 1, 2, 3]);
    const { region, at } = machine;
    expect([region(4, 0x10_0000, 0, 2), region(0, 0x10_0000, 0), region(2, 0x20_0000, 1), region(2, 0x20_1000, 1)]).toEqual([EINVAL, EINVAL, EINVAL, EINVAL]);
    expect([region(2, 0x20_0000, 0), region(2, 0x20_0000, 1), region(1, 0x21_0000, 2), region(1, 0x24_0000, 2), region(1, 0x24_0000, 1)]).toEqual([0, EINVAL, EINVAL, EINVAL, 0]);
    expect([region(1, LIMIT, 2), region(2, LIMIT - 0x3_0000, 2), at(ADDR_TYPE.REDIST, 0x26_0000)]).toEqual([E2BIG, E2BIG, EINVAL]);
    expect(machine.vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, undefined)).toBe(EFAULT);
    expect([at(ADDR_TYPE.DIST, 0x26_0000), region(1, 0x26_0000, 2)]).toEqual([0, EINVAL]);
  });

  it('is read by its index; REDIST reads the first [M6]', () => {
    const { vgic } = regions();
    const read = (index: number): bigint | number => vgic.getAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION, index);
    expect([read(0), read(1), read(2)]).toEqual([(2n << 52n) | 0x20_0000n, (1n << 52n) | 0x24_0001n, ENOENT]);
    expect([vgic.getAttr(GRP.ADDR, ADDR_TYPE.REDIST), vgic.getAttr(GRP.ADDR, ADDR_TYPE.REDIST_REGION)]).toEqual([0x20_0000n, EFAULT]);
    // Of the index KVM keeps 8 bits.
    expect(read(0x101)).toBe((1n << 52n) | 0x24_0001n);
    expect(bare([]).vgic.getAttr(GRP.ADDR, ADDR_TYPE.REDIST)).toBe(0xffff_ffff_ffff_ffffn);
  });

  it('vCPUs fill the regions in the order in which they were made, and later ones what is left', () => {
    const { vm, region } = bare([1, 3]);
    region(3, 0x20_0000, 0);
    made(vm.createVcpu(0));
    const typer = (base: number): bigint => vm.load(vm.vcpus[0]!, base + 8, 4) >> 8n;
    expect([0x20_0000, 0x22_0000, 0x24_0000].map(typer)).toEqual([1n, 3n, 0n]);
    // Nothing is left for it: only a run would say so.
    expect(vm.createVcpu(2)).toBeInstanceOf(Vcpu);
  });

  it('an id that is taken costs a redistributor', () => {
    const { vm, region } = bare([0]);
    region(3, 0x20_0000, 0);
    expect(vm.createVcpu(0)).toBe(EEXIST);
    made(vm.createVcpu(1));
    expect([0x22_0000, 0x24_0000].map((base) => vm.tryLoad(vm.vcpus[0]!, base + 8, 4))).toEqual([undefined, 0x110n]);
  });

  it('one that meets the distributor takes the frames of the vCPUs before along', () => {
    const { vm, at, region } = bare([0, 1]);
    region(1, 0x20_0000, 0);
    at(ADDR_TYPE.DIST, 0x26_0000);
    const { vcpus } = vm;
    expect(vm.load(vcpus[0]!, 0x20_0004, 4)).toBe(0x4b00_043bn);
    expect(region(1, 0x26_0000, 1)).toBe(EINVAL);
    expect(vm.load(vcpus[0]!, 0x20_0004, 4)).not.toBe(0x4b00_043bn);
    expect([region(1, 0x28_0000, 1), vm.load(vcpus[1]!, 0x28_0004, 4)]).toEqual([0, 0x4b00_043bn]);
  });
});

describe('GICR_TYPER.Last', () => {
  it('is nobody\'s before there is a region [M7]', () => {
    const machine = bare([0, 3, 1, 2]);
    expect(machine.typer(1)).toBe(EBUSY);
    init(machine);
    expect([0, 1, 2, 3].map(machine.typer)).toEqual([0n, 0x100n, 0x200n, 0x300n]);
    machine.region(2, 0x20_0000, 0);
    expect([0, 3].map(machine.typer)).toEqual([0n, 0x300n | LAST]);
    expect(machine.region(10, 0x10_0000, 1)).toBe(EINVAL);
    expect([1, 2].map(machine.typer)).toEqual([0x100n, 0x200n]);
    machine.region(10, 0x2_0000, 1);
    expect([1, 2].map(machine.typer)).toEqual([0x100n, 0x200n | LAST]);
  });

  it.each(['linux-5.13', ...NEW] as const)('%s: regions that touch are one [M7]', (profile) => {
    const machine = bare([0, 3, 5, 4, 1, 2], profile);
    init(machine);
    machine.region(2, 0x10_0000, 0);
    machine.region(2, 0x24_0000, 1);
    machine.region(2, 0x20_0000, 2);
    expect([0, 1, 2, 3, 5, 4].map(machine.typer)).toEqual([0n, 0x100n, 0x200n, 0x310n, 0x500n, 0x410n]);
  });

  it.each(['linux-5.13', ...NEW] as const)('%s: a region behind it without a redistributor does not go on', (profile) => {
    const machine = bare([0, 1], profile);
    init(machine);
    machine.region(2, 0x10_0000, 0);
    machine.region(2, 0x14_0000, 1);
    expect([0, 1].map(machine.typer)).toEqual([0n, 0x100n | LAST]);
  });

  it('before 5.13 the guest alone sees it, at the end of each region', () => {
    const machine = bare([0, 1, 2, 3], 'linux-5.10');
    init(machine);
    machine.region(2, 0x24_0000, 0);
    machine.region(2, 0x20_0000, 1);
    const { vm } = machine;
    expect([0, 1, 2, 3].map(machine.typer)).toEqual([0n, 0x100n, 0x200n, 0x300n]);
    expect([0x24_0000, 0x26_0000, 0x20_0000, 0x22_0000].map((base) => vm.load(vm.vcpus[0]!, base + 8, 4))).toEqual([0n, 0x110n, 0x200n, 0x310n]);
  });

  it('a region of REDIST ends with the vCPU that came last', () => {
    const machine = bare([0, 3, 5, 4, 1, 2]);
    init(machine);
    machine.at(ADDR_TYPE.REDIST, 0x1_0000);
    expect([0, 3, 5, 4, 1, 2].map(machine.typer)).toEqual([0n, 0x300n, 0x500n, 0x400n, 0x100n, 0x210n]);
  });
});

describe('the first KVM_RUN', () => {
  it('without a vgic it needs nothing', () => {
    const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x200_0000 }] });
    const vm = new KvmVm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 })) });
    expect(made(vm.createVcpu()).run(0)).toBe(0);
    // A vgic comes before the first run, or not at all.
    expect(vm.createVgic()).toBe(EBUSY);
    vm.vcpus[0]!.stop();
    expect(vm.createVgic()).toBe(EBUSY);
  });

  it('each redistributor and the distributor have an address: ENXIO [M3]', () => {
    const none = bare([0]);
    init(none);
    expect(run(none, 0)).toBe(ENXIO);
    const noDistributor = bare([0]);
    init(noDistributor);
    noDistributor.at(ADDR_TYPE.REDIST, 0);
    expect(run(noDistributor, 0)).toBe(ENXIO);
    const tooFew = bare([0, 1, 2, 3]);
    tooFew.region(2, 0x20_0000, 0);
    tooFew.region(1, 0x24_0000, 1);
    tooFew.at(ADDR_TYPE.DIST, 0x26_0000);
    init(tooFew);
    expect(run(tooFew, 0)).toBe(ENXIO);
  });

  it('the vgic is initialised: EBUSY, after its addresses [M3]', () => {
    const machine = bare([0, 1, 2, 3]);
    machine.region(2, 0x20_0000, 0);
    machine.region(2, 0x28_0000, 1);
    machine.at(ADDR_TYPE.DIST, 0x26_0000);
    expect(run(machine, 3)).toBe(EBUSY);
    const other = bare([0]);
    other.at(ADDR_TYPE.REDIST, 0);
    other.at(ADDR_TYPE.DIST, 0x2_0000);
    init(other);
    expect(run(other, 0)).toBe(0);
    expect(other.vm.createVgic()).toBe(EBUSY);
    other.vm.vcpus[0]!.stop();
    expect(other.vm.createVgic()).toBe(EEXIST);
  });

  it('vCPUs that came later may have made the region too long: EINVAL [M3]', () => {
    const machine = bare([0]);
    machine.at(ADDR_TYPE.REDIST, LIMIT - 3 * 0x2_0000);
    machine.at(ADDR_TYPE.DIST, 0);
    for (const id of [1, 2, 3]) made(machine.vm.createVcpu(id));
    init(machine);
    expect(run(machine, 2)).toBe(EINVAL);
    const overlap = bare([0]);
    overlap.at(ADDR_TYPE.REDIST, 0);
    overlap.at(ADDR_TYPE.DIST, 0x7_0000);
    for (const id of [1, 2, 3]) made(overlap.vm.createVcpu(id));
    init(overlap);
    expect(run(overlap, 0)).toBe(EINVAL);
  });

  it.each([['linux-5.10', EBUSY, 0], ['linux-5.13', ENXIO, ENXIO], ['linux-6.1', EIO, EIO], ['linux-6.12', EIO, EIO], ['linux-7.3', EIO, EIO]] as const)(
    '%s: one that fails leaves no vgic, or a dead VM: %i, then with everything set again %i [M3]',
    (profile, again, mended) => {
      const machine = bare([0], profile);
      machine.at(ADDR_TYPE.DIST, 0x10_0000);
      init(machine);
      expect(run(machine, 0)).toBe(ENXIO);
      machine.at(ADDR_TYPE.REDIST, 0);
      expect([run(machine, 0), machine.vm.checkAlive()]).toEqual([again, profile === 'linux-5.10' || profile === 'linux-5.13' ? 0 : EIO]);
      machine.at(ADDR_TYPE.REDIST, 0);
      init(machine);
      expect(run(machine, 0)).toBe(mended);
    },
  );
});

describe('interrupts of the VM', () => {
  it('NR_IRQS counts SGIs and PPIs before it is set [M11]', () => {
    const machine = bare([0]);
    expect(machine.vgic.getAttr(GRP.NR_IRQS, 0)).toBe(32n);
    init(machine);
    expect(machine.vgic.getAttr(GRP.NR_IRQS, 0)).toBe(256n);
    const told = bare([0]);
    told.vgic.setAttr(GRP.NR_IRQS, 0, 96);
    expect(told.vgic.getAttr(GRP.NR_IRQS, 0)).toBe(96n);
  });

  it('registers of interrupts that are not there are none', () => {
    const { vgic } = bare([0]);
    const has = (): number[] => [0x80, 0x84, 0x88, 0x8c, 0x400, 0x45c, 0x460, 0xc14, 0xc18, 0x62f8, 0x6300, 0xd80, 0xe00].map((offset) => vgic.hasAttr(GRP.DIST_REGS, offset));
    const [yes, no] = [0, ENXIO];
    expect(has()).toEqual([yes, no, no, no, yes, no, no, no, no, no, no, no, no]);
    vgic.setAttr(GRP.NR_IRQS, 0, 96);
    expect(has()).toEqual([yes, yes, yes, no, yes, yes, no, yes, no, yes, no, no, no]);
  });

  it('HAS_DEVICE_ATTR of a register asks for the vCPU first, of one of the distributor for any', () => {
    const { vgic } = bare([4]);
    const of = (group: number, affinity: bigint, offset: bigint): number => vgic.hasAttr(group, (affinity << 32n) | offset);
    expect([of(GRP.REDIST_REGS, 4n, 0n), of(GRP.REDIST_REGS, 0n, 0n), of(GRP.REDIST_REGS, 4n, 0x18n), of(GRP.DIST_REGS, 9n, 0n)]).toEqual([0, EINVAL, ENXIO, 0]);
    expect([of(GRP.CPU_SYSREGS, 4n, 0xc230n), of(GRP.CPU_SYSREGS, 5n, 0xc230n)]).toEqual([0, EINVAL]);
    expect(bare([]).vgic.hasAttr(GRP.DIST_REGS, 0)).toBe(EINVAL);
  });

  it('GICD_IROUTER keeps Aff2 to Aff0 of what user space and the guest write [M12]', () => {
    const machine = new Machine({ version: 'gicv3' });
    const { vm, vgic } = machine;
    const attr = 0x6000 + 8 * 40;
    expect(vgic.setAttr(GRP.DIST_REGS, attr, 0x8012_3456)).toBe(0);
    expect(vgic.setAttr(GRP.DIST_REGS, attr + 4, 0xff)).toBe(0);
    expect([vgic.getAttr(GRP.DIST_REGS, attr), vgic.getAttr(GRP.DIST_REGS, attr + 4)]).toEqual([0x12_3456n, 0n]);
    vm.store(vm.vcpus[0]!, GUEST.DIST + attr, 8, 0x7f_0000_0101n);
    expect(vm.load(vm.vcpus[0]!, GUEST.DIST + attr, 8)).toBe(0x101n);
    // Private interrupts have none.
    vgic.setAttr(GRP.DIST_REGS, 0x6000, 1);
    expect(vgic.getAttr(GRP.DIST_REGS, 0x6000)).toBe(0n);
  });
});
