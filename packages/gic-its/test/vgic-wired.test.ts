/** SGIs, PPIs and SPIs of a guest: delivery, level and edge, active and pending state as guest and VMM see them. Kernel: vgic.c, vgic-mmio.c, vgic-v3.c. */
import { EBUSY, EventFdContext, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { CTRL, GRP, IRQFD_INJECT, KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE, SPURIOUS, type Vcpu } from '../src/index.ts';
import { GUEST, Machine, takeAll, type MachineInit } from './machine.ts';

const IGROUPR = 0x80;
const ISENABLER = 0x100;
const ICENABLER = 0x180;
const ISPENDR = 0x200;
const ICPENDR = 0x280;
const ISACTIVER = 0x300;
const ICACTIVER = 0x380;
const IPRIORITYR = 0x400;
const ICFGR = 0xc00;
const IROUTER = 0x6000;
const SGI_FRAME = 0x1_0000;
/** ICC_AP1R0_EL1 as an attribute. */
const AP1R0 = 0xc648;

class Wired extends Machine {
  constructor(init: MachineInit = {}) {
    super({ version: 'gicv3', ...init });
    this.boot();
    for (let n = 1; n < 8; n += 1) this.gicdStore(ISENABLER + 4 * n, 0xffff_ffff);
    this.vm.vcpus.forEach((_vcpu, n) => { this.sgiFrame(n, ISENABLER, 0xffff_0000); });
  }

  gicdStore(offset: number, value: number): void {
    this.vm.store(this.vcpu(0), GUEST.DIST + offset, 4, BigInt(value >>> 0));
  }

  gicdLoad(offset: number): number {
    return Number(this.vm.load(this.vcpu(0), GUEST.DIST + offset, 4));
  }

  sgiFrame(vcpu: number, offset: number, value: number): void {
    this.vm.store(this.vcpu(vcpu), GUEST.REDIST + vcpu * 0x2_0000 + SGI_FRAME + offset, 4, BigInt(value >>> 0));
  }

  /** All SPIs of a word are edge-triggered. */
  edges(word: number): void {
    this.gicdStore(ICFGR + 8 * word, 0xaaaa_aaaa);
    this.gicdStore(ICFGR + 8 * word + 4, 0xaaaa_aaaa);
  }

  line(intid: number, level: boolean, vcpu?: Vcpu): number {
    return this.vgic.inject(vcpu, intid, level);
  }
}

describe('the virtual timer', () => {
  const rung = (): { readonly m: Wired; readonly vcpu: Vcpu } => {
    const m = new Wired();
    const vcpu = m.vcpu(0);
    vcpu.run(0);
    vcpu.setTimer(true);
    return { m, vcpu };
  };

  it('comes as PPI 27, once if its output falls before the end', () => {
    const { vcpu } = rung();
    expect([vcpu.acknowledge(), vcpu.acknowledge()]).toEqual([27, SPURIOUS]);
    vcpu.setTimer(false);
    vcpu.endOfInterrupt(27);
    expect(vcpu.acknowledge()).toBe(SPURIOUS);
  });

  it('comes again while its output is up', () => {
    const { vcpu } = rung();
    for (let n = 0; n < 3; n += 1) {
      expect(vcpu.acknowledge()).toBe(27);
      vcpu.endOfInterrupt(27);
    }
  });

  it('comes again at the deactivation, with EOImode 1', () => {
    const { m, vcpu } = rung();
    m.gic.cpu(0).virtual.write('ICC_CTLR_EL1', 2n);
    expect(vcpu.acknowledge()).toBe(27);
    vcpu.endOfInterrupt(27);
    expect(vcpu.acknowledge()).toBe(SPURIOUS);
    vcpu.deactivate(27);
    expect(vcpu.acknowledge()).toBe(27);
  });

  it('is the host\'s: its end is the hardware\'s, without a maintenance interrupt', () => {
    const { m, vcpu } = rung();
    expect(m.gic.cpu(0).virtual.listHigh(0) & 0x2000_03ff).toBe(0x2000_001b);
    expect(m.line(27, false, vcpu)).toBe(0);
    expect(vcpu.acknowledge()).toBe(27);
  });
});

describe('a level-sensitive SPI', () => {
  it('comes while its line is up, again and again, and not after', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.line(40, true);
    expect([m.vcpu(0).acknowledge(), m.vcpu(0).acknowledge()]).toEqual([40, SPURIOUS]);
    m.vcpu(0).endOfInterrupt(40);
    expect(m.vcpu(0).acknowledge()).toBe(40);
    m.line(40, false);
    m.vcpu(0).endOfInterrupt(40);
    expect(m.vcpu(0).acknowledge()).toBe(SPURIOUS);
  });

  it('a line that falls before it is taken takes it along', () => {
    const m = new Wired();
    m.line(40, true);
    m.line(40, false);
    m.vcpu(0).run(0);
    expect(m.vcpu(0).acknowledge()).toBe(SPURIOUS);
  });

  it('is pending as long as the line is up, whatever ICPENDR is written', () => {
    const m = new Wired();
    m.line(40, true);
    m.gicdStore(ICPENDR + 4, 0x100);
    expect([m.gicdLoad(ISPENDR + 4), m.gicdLoad(ICPENDR + 4)]).toEqual([0x100, 0x100]);
  });

  it('set pending by ISPENDR comes once', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.gicdStore(ISPENDR + 4, 0x100);
    expect([takeAll(m.vcpu(0)), m.gicdLoad(ISPENDR + 4)]).toEqual([[40], 0]);
  });

  it('while it is active it is not made pending beside', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.line(40, true);
    m.vcpu(0).acknowledge();
    m.vcpu(0).kick();
    expect(m.driver.gic.cpu(0).virtual.listHigh(0) >>> 30).toBe(2);
  });

  it('one that is masked by priority comes when the mask opens', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.gicdStore(IPRIORITYR + 40, 0xa0);
    m.vcpu(0).setPriorityMask(0x80);
    m.line(40, true);
    expect(m.vcpu(0).acknowledge()).toBe(SPURIOUS);
    m.vcpu(0).setPriorityMask(0xff);
    expect(m.vcpu(0).acknowledge()).toBe(40);
  });
});

describe('an edge-triggered SPI', () => {
  it('comes once for each edge, also one that came while it was active', () => {
    const m = new Wired();
    m.edges(1);
    m.vcpu(0).run(0);
    m.line(40, true);
    m.line(40, false);
    expect(m.vcpu(0).acknowledge()).toBe(40);
    m.line(40, true);
    m.vcpu(0).endOfInterrupt(40);
    expect([takeAll(m.vcpu(0)), takeAll(m.vcpu(0))]).toEqual([[40], []]);
  });

  it('a line that falls is no edge', () => {
    const m = new Wired();
    m.edges(1);
    m.vcpu(0).run(0);
    m.line(40, false);
    expect(takeAll(m.vcpu(0))).toEqual([]);
  });

  it('a level that a VMM sets is none, until it is level-sensitive', () => {
    const m = new Wired();
    m.edges(1);
    m.vgic.setAttr(GRP.LEVEL_INFO, 32, 0x100);
    expect(m.gicdLoad(ISPENDR + 4)).toBe(0);
    m.gicdStore(ICFGR + 8, 0);
    expect(m.gicdLoad(ISPENDR + 4)).toBe(0x100);
  });

  it('its edge is kept while it is disabled', () => {
    const m = new Wired();
    m.edges(1);
    m.gicdStore(ICENABLER + 4, 0x100);
    m.vcpu(0).run(0);
    m.line(40, true);
    expect([takeAll(m.vcpu(0)), m.gicdLoad(ISPENDR + 4)]).toEqual([[], 0x100]);
    m.gicdStore(ISENABLER + 4, 0x100);
    expect(takeAll(m.vcpu(0))).toEqual([40]);
  });

  it('ICPENDR takes it back, from a list register too', () => {
    const m = new Wired();
    m.edges(1);
    m.vcpu(0).run(0);
    m.line(40, true);
    expect(m.driver.gic.cpu(0).virtual.listLow(0)).toBe(40);
    m.gicdStore(ICPENDR + 4, 0x100);
    expect(takeAll(m.vcpu(0))).toEqual([]);
  });
});

describe('where an SPI goes', () => {
  it('to the first vCPU, and elsewhere by GICD_IROUTER', () => {
    const m = new Wired();
    m.edges(1);
    m.vcpu(0).run(0);
    m.vcpu(1).run(1);
    m.line(40, true);
    m.gicdStore(IROUTER + 8 * 41, 1);
    m.line(41, true);
    expect([takeAll(m.vcpu(0)), takeAll(m.vcpu(1))]).toEqual([[40], [41]]);
  });

  it('nowhere, where no vCPU has the affinity, until it has', () => {
    const m = new Wired();
    m.gicdStore(IROUTER + 8 * 40, 0x300);
    m.vcpu(0).run(0);
    m.line(40, true);
    expect([takeAll(m.vcpu(0)), m.gicdLoad(ISPENDR + 4)]).toEqual([[], 0x100]);
    m.gicdStore(IROUTER + 8 * 40, 0);
    m.gicdStore(ISENABLER + 4, 0x100);
    expect(m.vcpu(0).acknowledge()).toBe(40);
  });

  it('one that is active stays where it is', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.vcpu(1).run(1);
    m.line(40, true);
    m.vcpu(0).acknowledge();
    m.gicdStore(IROUTER + 8 * 40, 1);
    expect(m.vcpu(1).acknowledge()).toBe(SPURIOUS);
    m.vcpu(0).endOfInterrupt(40);
    expect(m.vcpu(1).acknowledge()).toBe(40);
  });

  it('it wakes the vCPU that sleeps', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.vcpu(0).wfi();
    expect(m.vcpu(0).state).toBe('blocked');
    m.line(40, true);
    expect([m.vcpu(0).state, m.vcpu(0).acknowledge()]).toEqual(['running', 40]);
  });

  it('nowhere while the distributor is off; what came then waits for the next look at it', () => {
    const m = new Wired();
    m.edges(1);
    m.vcpu(0).run(0);
    m.gicdStore(0, 0);
    m.line(40, true);
    m.gicdStore(0, 2);
    expect(takeAll(m.vcpu(0))).toEqual([]);
    m.gicdStore(ISENABLER + 4, 0x100);
    expect(takeAll(m.vcpu(0))).toEqual([40]);
  });
});

describe('more interrupts than list registers', () => {
  it('come by priority', () => {
    const m = new Wired();
    m.edges(1);
    for (let n = 0; n < 8; n += 1) {
      m.vm.store(m.vcpu(0), GUEST.DIST + IPRIORITYR + 40 + n, 1, BigInt(0x80 - 8 * n));
      m.line(40 + n, true);
    }
    m.vcpu(0).run(0);
    expect(takeAll(m.vcpu(0))).toEqual([47, 46, 45, 44, 43, 42, 41, 40]);
  });

  it('active ones are never pushed out', () => {
    const m = new Wired();
    m.edges(1);
    m.vcpu(0).run(0);
    m.vm.store(m.vcpu(0), GUEST.DIST + IPRIORITYR + 40, 1, 0xf0n);
    m.line(40, true);
    expect(m.vcpu(0).acknowledge()).toBe(40);
    for (let n = 1; n < 8; n += 1) m.line(40 + n, true);
    const lists = [0, 1, 2, 3].map((n) => m.driver.gic.cpu(0).virtual.listLow(n));
    expect(lists).toContain(40);
  });

  it('of the same priority come in the order in which they were raised', () => {
    const m = new Wired();
    m.edges(1);
    for (const intid of [47, 41, 46, 42, 45, 43]) m.line(intid, true);
    m.vcpu(0).run(0);
    expect([0, 1, 2, 3].map((n) => m.driver.gic.cpu(0).virtual.listLow(n))).toEqual([47, 41, 46, 42]);
  });
});

describe('PPIs and SGIs', () => {
  it('a PPI is its vCPU\'s, and level-sensitive for good', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.vcpu(1).run(1);
    m.sgiFrame(1, ICFGR + 4, 0xaaaa_aaaa);
    expect([ICFGR, ICFGR + 4].map((offset) => m.vm.load(m.vcpu(1), GUEST.REDIST + 0x2_0000 + SGI_FRAME + offset, 4))).toEqual([0xaaaa_aaaan, 0n]);
    m.line(20, true, m.vcpu(1));
    expect([m.vcpu(0).acknowledge(), m.vcpu(1).acknowledge()]).toEqual([SPURIOUS, 20]);
  });

  it('the timers\' PPIs are the kernel\'s once the vCPU has run', () => {
    const m = new Wired();
    expect([m.line(27, true, m.vcpu(0)), m.vgic.getAttr(GRP.LEVEL_INFO, 0)]).toEqual([0, 1n << 27n]);
    m.vcpu(0).run(0);
    m.line(27, false, m.vcpu(0));
    m.line(30, true, m.vcpu(0));
    m.vcpu(0).stop();
    expect(m.vgic.getAttr(GRP.LEVEL_INFO, 0)).toBe(1n << 27n);
  });

  it('an SGI of Group 0 is no IRQ', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.sgiFrame(0, IGROUPR, 0xffff_fff7);
    m.vcpu(0).sendSgi(0x0300_0001n);
    m.vcpu(0).sendSgi(0x0400_0001n);
    expect(takeAll(m.vcpu(0))).toEqual([4]);
  });
});

describe('active state', () => {
  it('is seen and changed by the guest', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.line(40, true);
    m.vcpu(0).acknowledge();
    expect([m.gicdLoad(ISACTIVER + 4), m.gicdLoad(ICACTIVER + 4), m.gicdLoad(ISPENDR + 4)]).toEqual([0x100, 0x100, 0x100]);
    m.gicdStore(ICACTIVER + 4, 0x100);
    expect([m.gicdLoad(ISACTIVER + 4), m.driver.gic.cpu(0).virtual.listHigh(0) >>> 30]).toEqual([0, 1]);
  });

  it('is seen and changed by a vCPU of what another one has taken', () => {
    const m = new Wired();
    m.edges(1);
    m.gicdStore(IROUTER + 8 * 40, 1);
    m.vcpu(0).run(0);
    m.vcpu(1).run(1);
    m.line(40, true);
    m.vcpu(1).acknowledge();
    expect(m.gicdLoad(ISACTIVER + 4)).toBe(0x100);
    m.gicdStore(ICACTIVER + 4, 0x100);
    expect([m.gicdLoad(ISACTIVER + 4), m.driver.gic.cpu(1).virtual.listHigh(0) >>> 30]).toEqual([0, 0]);
  });

  it('of a PPI is seen by another vCPU', () => {
    const m = new Wired();
    m.vcpu(0).run(0);
    m.vcpu(1).run(1);
    m.line(20, true, m.vcpu(1));
    m.vcpu(1).acknowledge();
    expect(m.vm.load(m.vcpu(0), GUEST.REDIST + 0x2_0000 + SGI_FRAME + ISACTIVER, 4)).toBe(1n << 20n);
  });

  it('that a VMM restores ends with the guest\'s EOI', () => {
    const m = new Wired();
    m.setGicd(ISACTIVER + 4, 0x100);
    m.vgic.setAttr(GRP.CPU_SYSREGS, AP1R0, 1n);
    m.vcpu(0).run(0);
    expect(m.driver.gic.cpu(0).virtual.listHigh(0) >>> 30).toBe(2);
    m.vcpu(0).endOfInterrupt(40);
    expect([m.gicdLoad(ISACTIVER + 4), m.driver.gic.cpu(0).virtual.read('ICC_AP1R0_EL1')]).toEqual([0, 0n]);
  });

  it('with EOImode 1 ends with DIR', () => {
    const m = new Wired();
    m.edges(1);
    m.vcpu(0).run(0);
    m.driver.gic.cpu(0).virtual.write('ICC_CTLR_EL1', 2n);
    m.line(40, true);
    m.vcpu(0).acknowledge();
    m.vcpu(0).endOfInterrupt(40);
    expect(m.gicdLoad(ISACTIVER + 4)).toBe(0x100);
    m.vcpu(0).deactivate(40);
    expect(m.gicdLoad(ISACTIVER + 4)).toBe(0);
  });
});

describe('what a VMM sees', () => {
  it('latches, not lines; and sets them exactly', () => {
    const m = new Wired();
    m.line(40, true);
    m.gicdStore(ISPENDR + 4, 0x200);
    expect([m.gicd(ISPENDR + 4), m.gicd(ICPENDR + 4)]).toEqual([0x200n, 0n]);
    m.setGicd(ICPENDR + 4, 0xffff_ffff);
    expect(m.gicd(ISPENDR + 4)).toBe(0x200n);
    m.setGicd(ISPENDR + 4, 0x401);
    expect(m.gicd(ISPENDR + 4)).toBe(0x401n);
  });

  it('lines of level-sensitive ones; what it sets is delivered', () => {
    const m = new Wired();
    m.edges(1);
    m.gicdStore(ICFGR + 8, 0);
    m.vgic.setAttr(GRP.LEVEL_INFO, 32, 0x1_0001);
    expect(m.vgic.getAttr(GRP.LEVEL_INFO, 32)).toBe(1n);
    m.vcpu(0).run(0);
    expect(m.vcpu(0).acknowledge()).toBe(32);
  });

  it('a state that is saved and restored goes on elsewhere', () => {
    const source = new Wired();
    source.edges(1);
    source.gicdStore(ICFGR + 8, 0);
    source.line(33, true);
    source.line(50, true);
    source.vcpu(0).run(0);
    expect(source.vcpu(0).acknowledge()).toBe(33);
    source.vcpu(0).stop();
    const words = [IGROUPR, ISENABLER, ICFGR + 4, ICFGR + 8, ISPENDR, ISACTIVER].map((offset) => offset + 4);
    const there = new Wired();
    for (const offset of words) there.setGicd(offset, Number(source.gicd(offset)));
    there.vgic.setAttr(GRP.LEVEL_INFO, 32, source.vgic.getAttr(GRP.LEVEL_INFO, 32));
    there.vgic.setAttr(GRP.CPU_SYSREGS, AP1R0, source.vgic.getAttr(GRP.CPU_SYSREGS, AP1R0));
    there.vcpu(0).run(0);
    there.vcpu(0).endOfInterrupt(33);
    const first = there.vcpu(0).acknowledge();
    there.vcpu(0).endOfInterrupt(first);
    expect(new Set([first, there.vcpu(0).acknowledge()])).toEqual(new Set([33, 50]));
  });
});

/** SPI 40, raised by an irqfd with a resampler, and the vCPU that takes it. */
function resampled({ profile, count = 0 }: { readonly profile?: ProfileName; readonly count?: number } = {}) {
  const m = new Wired({ profile });
  const events = m.host.trace.record('warn');
  const [raise, resample] = [new EventFdContext('raise', count), new EventFdContext('resample')];
  m.vm.irqfd(raise, 8, KVM_IRQFD_FLAG_RESAMPLE, resample);
  m.vcpu(0).run(0);
  return { m, vcpu: m.vcpu(0), raise, resample, line: () => m.gicdLoad(ISPENDR + 4) === 0x100, told: () => events.map(({ fields }) => fields) };
}

describe('a resampled SPI', () => {
  it('falls when the guest ends it, and tells who raised it', () => {
    const { vcpu, raise, resample } = resampled();
    raise.signal();
    expect([vcpu.acknowledge(), resample.count]).toEqual([40, 0n]);
    vcpu.endOfInterrupt(40);
    expect([vcpu.acknowledge(), resample.count]).toEqual([SPURIOUS, 1n]);
    raise.signal();
    expect(vcpu.acknowledge()).toBe(40);
  });

  it('that waits, or is being served, tells nobody at an exit', () => {
    const { vcpu, raise, resample } = resampled();
    raise.signal();
    vcpu.kick();
    expect([resample.count, vcpu.acknowledge()]).toEqual([0n, 40]);
    vcpu.kick();
    expect(resample.count).toBe(0n);
  });

  it('one without resampler stays up', () => {
    const m = new Wired();
    const raise = new EventFdContext('raise');
    m.vm.irqfd(raise, 8);
    m.vcpu(0).run(0);
    raise.signal();
    m.vcpu(0).acknowledge();
    m.vcpu(0).endOfInterrupt(40);
    expect(m.vcpu(0).acknowledge()).toBe(40);
  });

  it('whose eventfd has a count already is raised, and the count stays', () => {
    const { vcpu, raise } = resampled({ count: 1 });
    expect([vcpu.acknowledge(), raise.count]).toEqual([40, 1n]);
  });

  it.each<readonly [ProfileName, bigint]>([['linux-5.10', 2n], ['linux-5.13', 0n], ['linux-6.1', 0n]])('leaves what is signalled to user space as well on 5.10 alone: %s', (profile, left) => {
    const { raise } = resampled({ profile });
    raise.signal();
    raise.signal();
    expect([raise.count, raise.hasPriorityListener]).toEqual([left, left === 0n]);
  });

  it('one without resampler whose eventfd has a count is but a pulse', () => {
    const m = new Wired();
    m.vm.irqfd(new EventFdContext('raise', 1), 8);
    m.vcpu(0).run(0);
    expect(m.vcpu(0).acknowledge()).toBe(SPURIOUS);
  });

  it('a work item that waits is done before its irqfd goes', () => {
    const m = new Wired();
    m.edges(1);
    const raise = new EventFdContext('raise', 1);
    m.host.scheduler.stopAt(IRQFD_INJECT);
    m.vm.irqfd(raise, 8);
    m.vcpu(0).run(0);
    expect(m.vcpu(0).acknowledge()).toBe(SPURIOUS);
    m.vm.irqfd(raise, 8, KVM_IRQFD_FLAG_DEASSIGN);
    expect([m.vcpu(0).acknowledge(), raise.count]).toEqual([40, 0n]);
    m.vcpu(0).endOfInterrupt(40);
    m.host.scheduler.release(IRQFD_INJECT);
    expect([m.vcpu(0).acknowledge(), m.vm.pendingInjections]).toEqual([SPURIOUS, 0]);
  });

  it('of two GSIs with one pin the last is told', () => {
    const { m, vcpu, raise, resample } = resampled();
    m.vm.setRouting([{ gsi: 8, pin: 8 }, { gsi: 9, pin: 8 }]);
    raise.signal();
    vcpu.acknowledge();
    vcpu.endOfInterrupt(40);
    expect([vcpu.acknowledge(), resample.count]).toEqual([40, 0n]);
  });

  it.each<readonly [ProfileName, number, number]>([['linux-6.1', 0, 1], ['linux-6.12', 0, 1], ['linux-7.3', 1, 0]])('that is taken and ended between two exits, on %s', (profile, again, told) => {
    const { vcpu, raise, resample, told: events } = resampled({ profile });
    raise.signal();
    vcpu.acknowledge();
    vcpu.endOfInterrupt(40);
    expect([vcpu.acknowledge() === 40, Number(resample.count)]).toEqual([again === 1, told]);
    expect(events()).toEqual(again === 1 ? [{ intid: 40, because: 'unseen' }] : []);
    vcpu.kick();
    vcpu.endOfInterrupt(40);
    expect([vcpu.acknowledge(), Number(resample.count)]).toEqual([SPURIOUS, 1]);
  });

  it('falls with its last irqfd, and nobody is told', () => {
    const { m, raise, line, told } = resampled();
    raise.signal();
    m.vm.irqfd(raise, 8, KVM_IRQFD_FLAG_DEASSIGN);
    expect([line(), told()]).toEqual([false, [{ intid: 40, because: 'deassign' }]]);
  });

  it('an irqfd that is refused lowers the line of its GSI, as its resampler was there for a moment', () => {
    const { m, raise, resample } = resampled();
    m.line(41, true);
    m.vm.irqfd(raise, 9, KVM_IRQFD_FLAG_RESAMPLE, resample);
    expect(m.gicdLoad(ISPENDR + 4)).toBe(0);
  });

  it('that user space lowers by LEVEL_INFO tells nobody', () => {
    const { m, raise, resample, told } = resampled();
    raise.signal();
    m.vcpu(0).stop();
    m.vgic.setAttr(GRP.LEVEL_INFO, 32, 0x100);
    expect(told()).toEqual([]);
    m.vgic.setAttr(GRP.LEVEL_INFO, 32, 0);
    expect([resample.count, told()]).toEqual([0n, [{ intid: 40, because: 'level-info' }]]);
  });

  it('that the guest has edge-triggered comes once, and its end is not told', () => {
    const { m, vcpu, raise, resample, told } = resampled();
    m.edges(1);
    raise.signal();
    vcpu.acknowledge();
    vcpu.endOfInterrupt(40);
    expect([vcpu.acknowledge(), resample.count, told()]).toEqual([SPURIOUS, 0n, [{ intid: 40, because: 'edge' }]]);
  });
});

describe('an eventfd that has an irqfd in another VM', () => {
  it.each<readonly [ProfileName, number]>([['linux-6.1', 0], ['linux-6.12', 0], ['linux-7.3', -EBUSY]])('on %s', (profile, answer) => {
    const m = new Wired({ profile });
    const other = new Machine({ version: 'gicv3', vcpus: 1, on: m });
    const raise = new EventFdContext('raise');
    const told: string[] = [];
    raise.listen({ signalled: () => { told.push('another'); } });
    expect([m.vm.irqfd(raise, 8), other.vm.irqfd(raise, 8)]).toEqual([0, answer]);
    // The first takes it alone: an exclusive waiter.
    raise.signal();
    expect([m.gicdLoad(ISPENDR + 4), other.vgic.getAttr(GRP.LEVEL_INFO, 32), told]).toEqual([0x100, 0n, []]);
  });
});

describe('before the GIC is initialised', () => {
  it('no interrupt is injected', () => {
    const m = new Wired();
    const bare = new Machine({ version: 'gicv3', vcpus: 1, on: m });
    expect([bare.vgic.setAttr(GRP.CTRL, CTRL.INIT, 0), bare.vgic.inject(undefined, 32 + 224, true), bare.vgic.inject(undefined, 20, true)]).toEqual([0, -22, -22]);
  });
});
