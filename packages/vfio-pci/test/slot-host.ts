/** A host with a root port, a slot below it, and cards for the slot. */
import { VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX, setIrqTriggers, type Process } from '@vsim/vfio-core';
import { PciPort, PciePort, VfioRingNicDriver, createRingNic, type PciPortInit, type RingNic, type SlotInit } from '../src/index.ts';
import { eduHost, type EduHost, type EduHostInit } from './edu-host.ts';

export const PORT = '0000:00:1c.0';
export const CARD = '0000:01:00.0';

export interface SlotHost extends EduHost {
  readonly port: PciPort;
  /** The card that was in the slot when the machine started. */
  readonly card: RingNic;
}

export interface SlotHostInit extends EduHostInit {
  readonly slot?: SlotInit | undefined;
  readonly port?: Partial<PciPortInit>;
}

export function slotHost(init: SlotHostInit = {}): SlotHost {
  const made = eduHost(init);
  const { host, bus, vfio } = made;
  const port = new PciPort(host, { address: PORT, kind: 'root', secondary: 1, slot: init.slot ?? { number: 7 }, ...init.port });
  bus.plug(port);
  const card = createRingNic(host, CARD);
  bus.plug(card);
  host.scheduler.call('modprobe', bus.addDriver(new PciePort()));
  host.scheduler.call('modprobe', bus.addDriver(new VfioRingNicDriver(vfio)));
  return { ...made, port, card };
}

/** ERR and REQ of an open device, as eventfds of the process. */
export function armNotifiers(process: Process, device: number): { readonly err: number; readonly req: number } {
  const err = process.eventfd();
  const req = process.eventfd();
  setIrqTriggers(process, device, VFIO_PCI_ERR_IRQ_INDEX, 0, [err]);
  setIrqTriggers(process, device, VFIO_PCI_REQ_IRQ_INDEX, 0, [req]);
  return { err, req };
}
