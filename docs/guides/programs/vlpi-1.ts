/** Patch 1: a VLPI comes while its vPE does not run. Does the host's CPU see it in the VPT once the vPE is unmapped? */
import { Host } from '@vsim/vfio-core';
import { Gic, ItsDriver } from '@vsim/gic-its';

function look(coherent: boolean, flushVptOnUnmap: boolean): void {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x400_0000 }] });
  const gic = new Gic(host, { version: 'gicv4.1', cpus: 1, choices: { coherent } });
  const driver = new ItsDriver(host, gic, { switches: { flushVptOnUnmap } });
  const vm = driver.createVm(1);
  const vpe = typeof vm === 'number' ? undefined : vm.vpes[0];
  const irq = driver.allocate(0x10, 1, false)[0];
  if (vpe === undefined || irq === undefined) throw new Error('no vPE, or no interrupt');
  vpe.requestDoorbell(); // maps it
  irq.mapVlpi({ vpe, vintid: 8201, properties: 0xa3, doorbell: false });

  vpe.peek(8201); // the CPU has the line of the VPT in its cache from here on
  host.memory.write32(irq.message.address, irq.message.data, 0x10); // the device's MSI
  vpe.freeDoorbell(); // unmaps it: the GIC writes its VPT
  console.log(`  a GIC that ${coherent ? 'snoops CPU caches' : 'does not snoop'}: the pending bit reads`, vpe.peek(8201) ? 1 : 0);
}

for (const [title, patched] of [['before', false], ['after', true]] as const) {
  console.log(title);
  look(true, patched);
  look(false, patched);
}
