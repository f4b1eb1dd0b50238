/** The preset `strict` finds nothing unpredictable in what the host's floor does, on any kind of host. */
import { Host, Random, type TraceEvent } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../testing/random.ts';
import { Gic, ItsDriver, type GicVersion, type ImplementationChoices, type ItsIrq, type ItsVm } from '../src/index.ts';

const FORBIDDEN = ['gic/unpredictable', 'gic/command-ignored', 'gic/command-stalled', 'gic-host/queue-stuck', 'gic-host/register-stuck'];
const STEPS = 60;

interface Kind {
  readonly version: GicVersion;
  readonly itss: number;
  readonly choices?: Partial<ImplementationChoices>;
}

const KINDS: readonly (readonly [string, Kind])[] = [
  ['gicv3', { version: 'gicv3', itss: 1 }],
  ['gicv3 without GICR_CTLR.IR', { version: 'gicv3', itss: 2, choices: { invalidateRegisters: false } }],
  ['gicv4', { version: 'gicv4', itss: 2 }],
  ['gicv4 with ITSList and DirectLPI', { version: 'gicv4', itss: 2, choices: { vmovpOnce: false, directLpi: true } }],
  ['gicv4 with ITSList and a doorbell proxy', { version: 'gicv4', itss: 2, choices: { vmovpOnce: false, invalidateRegisters: false } }],
  ['gicv4.1', { version: 'gicv4.1', itss: 1 }],
  ['gicv4.1 with ITSs that share a vPE table', { version: 'gicv4.1', itss: 3 }],
  ['gicv4.1 with ITSList', { version: 'gicv4.1', itss: 2, choices: { vmovpOnce: false } }],
  ['gicv4.1 whose RDbase is an address, with DirectLPI', { version: 'gicv4.1', itss: 2, choices: { physicalTargets: true, directLpi: true, clearableLpis: false } }],
  ['gicv4.1 that does not snoop', { version: 'gicv4.1', itss: 1, choices: { coherent: false } }],
];

class Program {
  readonly #random: Random;
  readonly #host = new Host({ ram: [{ base: 0x8000_0000, size: 0x400_0000 }] });
  readonly #driver: ItsDriver;
  readonly #events: readonly TraceEvent[];
  readonly #irqs: { irq: ItsIrq; device: number; taken: number }[] = [];
  readonly #vms: ItsVm[] = [];

  constructor({ version, itss, choices = {} }: Kind, seed: number) {
    this.#random = new Random(seed);
    this.#events = this.#host.trace.record();
    const its = Array.from({ length: itss }, (_, n) => 0x1000_0000 + n * 0x10_0000);
    const gic = new Gic(this.#host, { version, cpus: 3, its, preset: 'strict', choices });
    this.#driver = new ItsDriver(this.#host, gic);
    for (let device = 1; device <= 2 * itss; device += 1) {
      for (const irq of this.#driver.allocateOn(this.#driver.nodes[device % itss]!, device, 3, false)) {
        const entry = { irq, device, taken: 0 };
        irq.setHandler(() => (entry.taken += 1));
        this.#irqs.push(entry);
      }
    }
    for (let n = 0; n < (version === 'gicv3' ? 0 : 2); n += 1) {
      const vm = this.#driver.createVm(2);
      if (typeof vm === 'number') throw new Error(`createVm: ${vm}`);
      for (const vpe of vm.vpes) vpe.requestDoorbell();
      this.#vms.push(vm);
    }
  }

  step(): void {
    const random = this.#random;
    const { irq, device } = this.#irqs[random.below(this.#irqs.length)]!;
    const vm = this.#vms[random.below(Math.max(1, this.#vms.length))];
    const kind = random.below(vm === undefined ? 6 : 16);
    const vpe = vm?.vpes[random.below(2)];
    if (kind === 0) this.#host.memory.write32(irq.message.address, irq.message.data, device);
    else if (kind === 1) irq.mask();
    else if (kind === 2) irq.unmask();
    else if (kind === 3) irq.setAffinity(random.below(3));
    else if (kind === 4) irq.setPending(random.below(2) === 0);
    else if (vm === undefined || vpe === undefined) this.#checkDelivery();
    else if (kind < 8) this.#forward(irq, device, vm);
    else if (kind === 8) {
      this.#halt();
      irq.unmapVlpi();
    }
    else if (kind === 9) irq.updateVlpi(0xa2 + random.below(2), random.below(2) === 0);
    else if (kind < 12) this.#run(vpe);
    else if (kind === 12) vpe.makeNonResident(random.below(2) === 0);
    else if (kind === 13 && !vpe.resident) vpe.setAffinity(random.below(3));
    else if (kind === 14 && !vpe.resident) this.#cycle(vpe);
    else this.#sgi(vpe);
  }

  /** A device is one VM's at a time, and a VLPI has a number of its own. */
  #forward(irq: ItsIrq, device: number, vm: ItsVm): void {
    const vpe = vm.vpes[this.#random.below(2)]!;
    this.#halt();
    irq.mapVlpi({ vpe, vintid: 8192 + device * 8 + irq.event, properties: 0xa3, doorbell: true });
  }

  /** As KVM halts a guest while irqbypass connects or parts: lazily mapped vPEs must not be resident then. */
  #halt(): void {
    for (const { vpes } of this.#vms) for (const vpe of vpes) vpe.makeNonResident(false);
  }

  #run(vpe: ItsVm['vpes'][number]): void {
    const taken = this.#vms.some(({ vpes }) => vpes.some((other) => other.resident && other.cpu === vpe.cpu));
    if (!taken && vpe.mapped) vpe.makeResident(false, true);
  }

  #cycle(vpe: ItsVm['vpes'][number]): void {
    vpe.freeDoorbell();
    vpe.requestDoorbell();
  }

  #sgi(vpe: ItsVm['vpes'][number]): void {
    if (!this.#driver.gicv41 || !vpe.mapped) return;
    const sgi = this.#random.below(16);
    const kind = this.#random.below(4);
    if (kind === 0) vpe.sgis.update(sgi, this.#random.below(256), true);
    else if (kind === 1) vpe.sgis.setEnabled(sgi, this.#random.below(2) === 0);
    else if (kind === 2) vpe.sgis.setPending(sgi, this.#random.below(2) === 0);
    else expect(typeof vpe.sgis.pending(sgi)).toBe('boolean');
  }

  /** An unmasked interrupt that is not forwarded is taken. */
  #checkDelivery(): void {
    const entry = this.#irqs[this.#random.below(this.#irqs.length)]!;
    if (entry.irq.forwarded) return;
    entry.irq.unmask();
    const before = entry.taken;
    this.#host.memory.write32(entry.irq.message.address, entry.irq.message.data, entry.device);
    expect(entry.taken).toBe(before + 1);
  }

  end(): void {
    this.#halt();
    for (const { irq, device } of this.#irqs) this.#driver.release(device, [irq]);
    for (const vm of this.#vms) vm.free();
    expect(this.#events.filter(({ id }) => FORBIDDEN.includes(id)).map(({ text }) => text)).toEqual([]);
  }
}

describe('the host driver on a strict GIC', () => {
  it.each(KINDS)('%s: nothing unpredictable, nothing ignored', (_name, kind) => {
    forSeeds((seed) => {
      const program = new Program(kind, seed);
      for (let i = 0; i < STEPS; i += 1) program.step();
      program.end();
    });
  });
});
