/** Patch 2: a VM is stopped and goes on where it was. What its vPE is mapped with, and what becomes of a VLPI that is pending. */
import { Host } from '@vsim/vfio-core';
import { Gic, ItsDriver } from '@vsim/gic-its';

function stopAndGo(title: string, neverPtz: boolean): void {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x400_0000 }] });
  const gic = new Gic(host, { version: 'gicv4.1', cpus: 1 });
  const driver = new ItsDriver(host, gic, { switches: { neverPtz } });
  const vm = driver.createVm(1);
  const vpe = typeof vm === 'number' ? undefined : vm.vpes[0];
  const irq = driver.allocate(0x10, 1, false)[0];
  if (vpe === undefined || irq === undefined) throw new Error('no vPE, or no interrupt');
  const events = host.trace.record();
  vpe.requestDoorbell();
  irq.mapVlpi({ vpe, vintid: 8201, properties: 0xa3, doorbell: false });
  host.memory.write32(irq.message.address, irq.message.data, 0x10);

  vpe.freeDoorbell();
  const saved = vpe.peek(8201);
  vpe.requestDoorbell();
  vpe.freeDoorbell();
  const again = vpe.peek(8201);
  console.log(`${title}: pending when it is unmapped: ${saved ? 'yes' : 'no'}; mapped, and unmapped again: ${again ? 'yes' : 'no'}`);
  for (const { id, text } of events) if (id === 'gic/unpredictable') console.log(`  ${id}: ${text}`);
}

stopAndGo('before', false);
stopAndGo('after', true);
