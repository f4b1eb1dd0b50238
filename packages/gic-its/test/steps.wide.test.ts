/** Steps that are told to who follows the trace: where an interrupt goes, and where vCPUs are. */
import type { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { GICR } from '../src/index.ts';
import { BareGic } from './bare-gic.ts';
import { Machine } from './machine.ts';

const DEVICE = 0x10;

/** What happens from now on, but commands of ITSs, as `id text`. */
function followed(host: Host): string[] {
  const told: string[] = [];
  host.trace.follow(({ id, text }) => {
    if (id !== 'gic/command') told.push(`${id} ${text}`);
  });
  return told;
}

describe('steps of the hardware', () => {
  it('an LPI becomes pending once, and a PE takes it', () => {
    const gic = new BareGic({ version: 'gicv3', choices: { directLpi: true } });
    const told = followed(gic.host);
    gic.rd64(1, GICR.SETLPIR, 8300, 0);
    gic.rd64(1, GICR.SETLPIR, 8300, 0);
    expect(gic.take(1)).toBe(8300);
    expect(told).toEqual([
      'gic/lpi-set cpu 1: lpi 8300 set by GICR_SETLPIR',
      'gic/lpi-pending cpu 1: lpi 8300 became pending',
      'gic/lpi-set cpu 1: lpi 8300 set by GICR_SETLPIR',
      'gic/acknowledged cpu 1: takes interrupt 8300',
    ]);
  });

  it.each(['gicv4', 'gicv4.1'] as const)('%s: a VLPI becomes pending once, whether its vPE is resident or not', (version) => {
    const machine = new Machine({ version, vcpus: 1 });
    machine.boot();
    machine.mapDevice(DEVICE, [8195, 8196]);
    const vectors = machine.driver.allocate(DEVICE, 2, false).map((irq, n) => machine.vector(DEVICE, n, irq));
    const [vcpu] = machine.vm.vcpus;
    const told = followed(machine.host);
    for (let i = 0; i < 2; i += 1) machine.raise(vectors[0]!);
    vcpu!.run(0);
    for (let i = 0; i < 2; i += 1) machine.raise(vectors[1]!);
    const pending = told.filter((line) => line.startsWith('gic/vlpi-pending'));
    expect(pending).toEqual(['gic/vlpi-pending vpe 0: vlpi 8195 became pending', 'gic/vlpi-pending vpe 0: vlpi 8196 became pending']);
  });
});

describe('steps of vCPUs', () => {
  it('a vCPU is loaded, takes what is forwarded, blocks, and is loaded again by its doorbell', () => {
    const machine = new Machine({ vcpus: 1 });
    machine.boot();
    machine.mapDevice(DEVICE, [8195]);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const vector = machine.vector(DEVICE, 0, irq!);
    const [vcpu] = machine.vm.vcpus;
    vcpu!.onInterrupt = (): void => { vcpu!.endOfInterrupt(vcpu!.acknowledge()); };
    const told = followed(machine.host);
    vcpu!.run(1);
    machine.raise(vector);
    vcpu!.wfi();
    machine.raise(vector);
    vcpu!.stop();
    expect(told.filter((line) => line.startsWith('kvm/') || line.startsWith('gic/vlpi-'))).toEqual([
      'kvm/vcpu-loaded vm 0: vcpu 0 runs on cpu 1',
      'gic/vlpi-pending vpe 0: vlpi 8195 became pending',
      'gic/vlpi-acknowledged cpu 1: its guest takes vlpi or vsgi 8195',
      'kvm/interrupt-taken vm 0: vcpu 0 takes interrupt 8195',
      'kvm/vcpu-put vm 0: vcpu 0 leaves cpu 1, blocked',
      'gic/vlpi-pending vpe 0: vlpi 8195 became pending',
      'kvm/vcpu-loaded vm 0: vcpu 0 runs on cpu 1',
      'gic/vlpi-acknowledged cpu 1: its guest takes vlpi or vsgi 8195',
      'kvm/interrupt-taken vm 0: vcpu 0 takes interrupt 8195',
      'kvm/vcpu-put vm 0: vcpu 0 leaves cpu 1',
    ]);
  });

  it('an interrupt that software raises, and the second VM of a host', () => {
    const first = new Machine({ version: 'gicv3', vcpus: 1 });
    const second = new Machine({ on: first, vcpus: 1 });
    second.boot();
    second.mapDevice(DEVICE, [8195]);
    const told = followed(first.host);
    second.msi(DEVICE, 0);
    second.msi(DEVICE, 0);
    second.vgic.inject(undefined, 40, true);
    second.vgic.inject(undefined, 40, false);
    expect(told).toEqual(['kvm/interrupt-raised vm 1: interrupt 8195 pending', 'kvm/interrupt-raised vm 1: interrupt 8195 pending', 'kvm/interrupt-raised vm 1: interrupt 40 pending']);
  });
});
