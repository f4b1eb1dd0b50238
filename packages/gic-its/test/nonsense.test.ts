/** What a guest or a driver writes never throws out of the model, and every access ends. */
import { Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { forSeeds } from '../../../testing/random.ts';
import { GUEST, Machine } from './machine.ts';
import { command, KINDS, nonsense } from './nonsense.ts';

describe('nonsense', () => {
  it.each(KINDS)('commands, registers and tables of a %s, preset %s', (version, preset) => {
    forSeeds((seed) => {
      const gic = nonsense(version, preset, seed, 200);
      expect(gic.distributor.read(0xffe8, 4) & 0xf0).toBe(version === 'gicv3' ? 0x30 : 0x40);
    }, 3);
  });

  it('commands and registers of a guest, with vCPUs that run and forwarded interrupts', () => {
    forSeeds((seed) => {
      const random = new Random(seed);
      const machine = new Machine();
      machine.boot();
      machine.mapDevice(1, [8192, 8193, 8194]);
      const irqs = machine.driver.allocate(1, 3, false);
      const vectors = irqs.map((irq, event) => machine.vector(1, event, irq));
      const boot = machine.vcpu(0);
      for (let i = 0; i < 150; i += 1) {
        const vcpu = machine.vcpu(random.below(2));
        const kind = random.below(16);
        if (kind === 0) vcpu.run(random.below(2));
        else if (kind === 1) vcpu.wfi();
        else if (kind === 2) vcpu.stop();
        else if (kind === 3) vcpu.endOfInterrupt(vcpu.acknowledge());
        else if (kind === 4) machine.vm.store(vcpu, GUEST.ITS + 8 * random.below(0x40), 8, BigInt(random.uint32()));
        else if (kind === 5) machine.vm.store(vcpu, GUEST.REDIST + 8 * random.below(0x20), 8, BigInt(random.uint32()));
        else if (kind === 6) machine.vgic.setAttr(4, 3, 0);
        else if (kind === 7) machine.its.setAttr(4, 1 + random.below(4), 0);
        else if (kind === 8) machine.raise(vectors[random.below(3)]!);
        else if (kind === 9) machine.vm.store(vcpu, GUEST.REDIST + 0x1_0000 + 0x2_0000 * random.below(2) + 4 * random.below(0x400), 1 << random.below(3), BigInt(random.uint32()));
        else if (kind === 10) machine.vm.store(vcpu, GUEST.DIST + 4 * random.below(4), 4, BigInt(random.uint32()));
        else if (kind === 11) vcpu.sendSgi((BigInt(random.uint32()) << 24n) | BigInt(random.below(4)));
        else if (kind === 12) machine.vgic.setAttr(random.below(8), BigInt(random.below(0x1_1000)) | (BigInt(random.below(3)) << 32n), random.uint32());
        else {
          const words = command(random, GUEST.RAM, 0x40_0000);
          machine.command((to) => to.set(words));
        }
      }
      machine.vm.destroy();
      expect(boot.state).toBe('stopped');
      expect(irqs.every((irq) => !irq.forwarded)).toBe(true);
    }, 3);
  });
});
