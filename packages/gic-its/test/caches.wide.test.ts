/** A GIC with every cache, whose effects wait for SYNC and VSYNC, against one that holds nothing: after each of these they agree. */
import { Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../testing/random.ts';
import { encode, GICR, OPCODE, type GicVersion } from '../src/index.ts';
import { AT, BareGic, DOORBELL_LPI, RESIDENT_GRP1, VALID } from './bare-gic.ts';

const CPUS = 4;
const COLLECTIONS = 3;
const VPES = 3;
const DEVICES = 2;
const EVENTS = 3;
const STEPS = 100;

interface Event {
  readonly device: number;
  readonly event: number;
  readonly intid: number;
  /** ICID, or vPE. */
  target: number;
  state: 'unmapped' | 'physical' | 'virtual';
}

/** One program, run on two GICs; what legal software has to know is kept once. */
class Pair {
  readonly #random: Random;
  readonly #gics: readonly BareGic[];
  readonly #v41: boolean;
  readonly #events: Event[] = [];
  /** Where each collection and each vPE is. */
  readonly #collections: number[] = Array.from({ length: COLLECTIONS }, (_, n) => n);
  readonly #vpes: { cpu: number; mapped: boolean; resident: boolean }[] = [];

  constructor(version: GicVersion, seed: number) {
    this.#random = new Random(seed);
    this.#v41 = version === 'gicv4.1';
    const caches = { cacheLpis: true, cacheVpt: true, cacheTranslations: true, completion: 'sync' } as const;
    const none = { cacheLpis: false, cacheVpt: false, cacheTranslations: false, completion: 'command' } as const;
    this.#gics = [caches, none].map((choices) => new BareGic({ version, cpus: CPUS, choices, idBits: 13 }));
    for (let device = 0; device < DEVICES; device += 1) {
      this.#both((gic) => gic.mapDevice(device));
      for (let event = 0; event < EVENTS; event += 1) {
        this.#events.push({ device, event, intid: 8192 + device * 40 + event, target: 0, state: 'unmapped' });
      }
    }
    for (let vpeid = 0; vpeid < (version === 'gicv3' ? 0 : VPES); vpeid += 1) {
      this.#vpes.push({ cpu: 0, mapped: false, resident: false });
      this.#mapVpe(vpeid);
    }
    for (const event of this.#events) this.#map(event);
  }

  step(): void {
    const event = this.#events[this.#random.below(this.#events.length)]!;
    const kind = this.#random.below(this.#vpes.length > 0 ? 20 : 12);
    if (kind < 4) this.#both((gic) => gic.msi(event.device, event.event));
    else if (kind === 4) this.#take();
    else if (kind === 5) this.#signal(event, this.#random.below(2) === 0 ? OPCODE.INT : OPCODE.CLEAR);
    else if (kind === 6) this.#configure(event);
    else if (kind === 7) this.#move(event);
    else if (kind === 8) this.#remap(event);
    else if (kind === 9) this.#moveCollection();
    else if (kind === 10) this.#toggleLpis();
    else if (kind === 11) this.#invalidateAll();
    else if (kind < 15) this.#residency();
    else if (kind === 15) this.#moveVpe();
    else if (kind === 16) this.#remapVpe();
    else if (kind === 17 && this.#v41) this.#sgi();
    else this.#vtake();
  }

  compare(): void {
    const [cached, plain] = this.#gics.map((gic) => this.#look(gic));
    expect(JSON.stringify(cached)).toBe(JSON.stringify(plain));
  }

  #look(gic: BareGic): unknown {
    const lpis = [...this.#events.map(({ intid }) => intid), ...this.#vpes.map((_vpe, n) => DOORBELL_LPI + n)];
    return {
      best: gic.gic.redistributors.map(({ best }) => `${best.intid}/${best.priority}`),
      bestVlpi: gic.gic.redistributors.map(({ bestVlpi }) => `${bestVlpi.intid}/${bestVlpi.priority}`),
      pending: gic.gic.redistributors.map(({ lpis: { bank } }) => lpis.filter((lpi) => bank.test(lpi))),
      vpendbaser: this.#vpes.length === 0 ? [] : gic.gic.redistributors.map((_rd, cpu) => gic.rd32(cpu, GICR.VPENDBASER + 4)),
      vpes: this.#v41 ? this.#vpes.map((_vpe, n) => this.#lookAtVpe(gic, n)) : [],
    };
  }

  #lookAtVpe(gic: BareGic, n: number): unknown {
    const vpe = gic.gic.vpe(n);
    const vlpis = this.#events.map(({ intid }) => intid).filter((intid) => vpe?.lpis.test(intid));
    return [vlpis, vpe?.sgis.pending, vpe?.doorbellArmed, vpe?.residentOn];
  }

  #both(act: (gic: BareGic) => void): void {
    for (const gic of this.#gics) act(gic);
  }

  #answers(ask: (gic: BareGic) => number): void {
    const [cached, plain] = this.#gics.map(ask);
    expect(cached).toBe(plain);
  }

  #syncFor({ state, target }: Event): (to: Uint32Array) => void {
    return state === 'virtual' ? (to) => encode.vpe(to, OPCODE.VSYNC, target) : (to) => encode.sync(to, this.#collections[target]!);
  }

  #usable({ state, target }: Event): boolean {
    return state === 'physical' || (state === 'virtual' && this.#vpes[target]!.mapped);
  }

  #map(event: Event): void {
    const virtual = this.#vpes.length > 0 && event.device >= DEVICES / 2;
    event.state = virtual ? 'virtual' : 'physical';
    event.target = this.#random.below(virtual ? VPES : COLLECTIONS);
    const { device, event: n, intid, target } = event;
    const doorbell = this.#v41 ? 1023 : DOORBELL_LPI + target;
    this.#both((gic) => {
      gic.post((to) => (virtual ? encode.vmapti(to, device, n, target, intid, doorbell) : encode.mapti(to, device, n, intid, target)), this.#syncFor(event));
    });
  }

  #remap(event: Event): void {
    if (event.state === 'unmapped') this.#map(event);
    else if (this.#usable(event)) {
      this.#both((gic) => gic.post((to) => encode.event(to, OPCODE.DISCARD, event.device, event.event), this.#syncFor(event)));
      event.state = 'unmapped';
    }
  }

  #signal(event: Event, opcode: number): void {
    if (this.#usable(event)) this.#both((gic) => gic.post((to) => encode.event(to, opcode, event.device, event.event), this.#syncFor(event)));
  }

  #configure(event: Event): void {
    if (!this.#usable(event)) return;
    const byte = this.#random.below(64) * 4 + this.#random.below(2);
    const { state, intid, target } = event;
    const direct = this.#v41 && this.#random.below(2) === 0;
    this.#both((gic) => {
      if (state === 'virtual') gic.vproperty(intid, byte);
      else gic.property(intid, byte);
      if (!direct) gic.post((to) => encode.event(to, OPCODE.INV, event.device, event.event), this.#syncFor(event));
      else if (state === 'virtual') gic.rd64(this.#vpes[target]!.cpu, GICR.INVLPIR, intid, VALID + target);
      else gic.rd64(this.#collections[target]!, GICR.INVLPIR, intid, 0);
    });
  }

  #move(event: Event): void {
    const to = this.#random.below(event.state === 'virtual' ? VPES : COLLECTIONS);
    if (!this.#usable(event) || (event.state === 'virtual' && !this.#vpes[to]!.mapped)) return;
    const { device, event: n, state } = event;
    event.target = to;
    const doorbell = this.#v41 ? 1023 : DOORBELL_LPI + to;
    this.#both((gic) => {
      gic.post((words) => (state === 'virtual' ? encode.vmovi(words, device, n, to, doorbell) : encode.movi(words, device, n, to)), this.#syncFor(event));
    });
  }

  /** A collection goes to a CPU that has none, with what is pending. */
  #moveCollection(): void {
    const icid = this.#random.below(COLLECTIONS);
    const from = this.#collections[icid]!;
    const to = this.#random.below(CPUS);
    if (this.#collections.includes(to)) return;
    this.#collections[icid] = to;
    this.#both((gic) => {
      const sync = (words: Uint32Array): void => encode.sync(words, to);
      gic.post((words) => encode.mapc(words, icid, to, true), sync, (words) => encode.movall(words, from, to), (words) => encode.invall(words, icid), sync);
    });
  }

  #toggleLpis(): void {
    const cpu = this.#random.below(CPUS);
    this.#both((gic) => {
      gic.host.memory.write32(gic.gic.redistributorBase[cpu]!, 0);
      gic.host.memory.write32(gic.gic.redistributorBase[cpu]!, 1);
    });
  }

  #invalidateAll(): void {
    const { intid } = this.#events[this.#random.below(this.#events.length)]!;
    const byte = this.#random.below(64) * 4 + this.#random.below(2);
    this.#both((gic) => {
      gic.property(intid, byte);
      this.#collections.forEach((cpu, icid) => gic.post((to) => encode.invall(to, icid), (to) => encode.sync(to, cpu)));
    });
    if (this.#vpes.every(({ mapped }) => mapped)) {
      this.#both((gic) => {
        gic.vproperty(intid, byte);
        this.#vpes.forEach((_vpe, n) => gic.post((to) => encode.vpe(to, OPCODE.VINVALL, n), (to) => encode.vpe(to, OPCODE.VSYNC, n)));
      });
    }
  }

  #take(): void {
    const cpu = this.#random.below(CPUS);
    this.#answers((gic) => gic.take(cpu));
  }

  #vtake(): void {
    const cpu = this.#random.below(CPUS);
    this.#answers((gic) => gic.vtake(cpu));
  }

  #mapVpe(vpeid: number): void {
    const vpe = this.#vpes[vpeid]!;
    vpe.cpu = this.#random.below(CPUS);
    vpe.mapped = true;
    this.#both((gic) => gic.post(gic.vmapp(vpeid, { rdbase: vpe.cpu }), (to) => encode.vpe(to, OPCODE.VSYNC, vpeid)));
  }

  #remapVpe(): void {
    const vpeid = this.#random.below(VPES);
    const vpe = this.#vpes[vpeid]!;
    if (vpe.resident) return;
    if (!vpe.mapped) this.#mapVpe(vpeid);
    else {
      vpe.mapped = false;
      this.#both((gic) => gic.post(gic.vmapp(vpeid, { valid: false })));
    }
  }

  #moveVpe(): void {
    const vpeid = this.#random.below(VPES);
    const vpe = this.#vpes[vpeid]!;
    if (vpe.resident || !vpe.mapped) return;
    vpe.cpu = this.#random.below(CPUS);
    const doorbell = this.#v41 ? DOORBELL_LPI + vpeid : undefined;
    this.#both((gic) => gic.post((to) => encode.vmovp(to, vpeid, vpe.cpu, 0, 0, doorbell), (to) => encode.vpe(to, OPCODE.VSYNC, vpeid)));
  }

  #residency(): void {
    const vpeid = this.#random.below(VPES);
    const vpe = this.#vpes[vpeid]!;
    const low = this.#v41 ? vpeid : (AT.VPT + vpeid * 0x1_0000) % 0x1_0000_0000;
    const bits = this.#random.below(4) * 0x2000_0000;
    if (vpe.resident) {
      vpe.resident = false;
      this.#both((gic) => gic.rd64(vpe.cpu, GICR.VPENDBASER, low, this.#v41 ? bits : 0));
    } else if (vpe.mapped && !this.#vpes.some((other) => other.resident && other.cpu === vpe.cpu)) {
      vpe.resident = true;
      this.#both((gic) => gic.rd64(vpe.cpu, GICR.VPENDBASER, low, this.#v41 ? RESIDENT_GRP1 : VALID));
    }
  }

  #sgi(): void {
    const vpeid = this.#random.below(VPES);
    if (!this.#vpes[vpeid]!.mapped) return;
    const sgi = this.#random.below(16);
    const fields = { enabled: this.#random.below(3) > 0, group1: this.#random.below(4) > 0, priority: this.#random.below(16) * 16 };
    const kind = this.#random.below(3);
    this.#both((gic) => {
      if (kind === 0) gic.host.memory.write64(gic.gic.its[0]!.base + 0x2_0020, sgi, vpeid);
      else gic.post((to) => encode.vsgi(to, vpeid, sgi, fields, kind === 1), (to) => encode.vpe(to, OPCODE.VSYNC, vpeid));
    });
  }
}

describe('a GIC with all caches and one with none agree after each SYNC and VSYNC [gic H-3] [gic H-10]', () => {
  it.each<GicVersion>(['gicv3', 'gicv4', 'gicv4.1'])('%s', (version) => {
    forSeeds((seed) => {
      const pair = new Pair(version, seed);
      for (let i = 0; i < STEPS; i += 1) {
        pair.step();
        pair.compare();
      }
    }, 4);
  });
});
