/** Patch 3: where the pending bit of a VLPI is, and that it is there only once the vPE is unmapped. */
import { Host } from '@vsim/vfio-core';
import { Gic, ItsDriver } from '@vsim/gic-its';

const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x400_0000 }] });
const driver = new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 1 }));
const vm = driver.createVm(1);
const vpe = typeof vm === 'number' ? undefined : vm.vpes[0];
// The second event: its physical LPI, its EventID and the guest's INTID are three numbers.
const irq = driver.allocate(0x10, 2, false)[1];
if (vpe === undefined || irq === undefined) throw new Error('no vPE, or no interrupt');
vpe.requestDoorbell();
irq.mapVlpi({ vpe, vintid: 8203, properties: 0xa3, doorbell: false });
console.log(`event ${irq.event}, physical LPI ${irq.lpi}, VLPI 8203`);

const events = host.trace.record();
host.memory.write32(irq.message.address, irq.message.data, 0x10);
console.log('mapped:   the bit reads', vpe.peek(8203) ? 1 : 0);
for (const { severity, id, text } of events) if (severity !== 'info') console.log(`  ${id}: ${text}`);
vpe.freeDoorbell();
console.log('unmapped: the bit reads', vpe.peek(8203) ? 1 : 0);
console.log(`  it is bit ${8203 & 7} of byte 0x${(8203 >> 3).toString(16)}, which is`, host.memory.read8(vpe.vptAddress + (8203 >> 3)));
