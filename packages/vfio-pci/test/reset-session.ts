/** A ring NIC that can be reset in one way, opened by a user who has memory and bus mastering on. */
import type { Process, ProfileName, TraceEvent } from '@vsim/vfio-core';
import {
  PCI_CAP_ID_AF,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_PM,
  PciFunction,
  PciPort,
  PciePort,
  RING_NIC_BARS,
  RING_NIC_MSIX,
  RingNic,
  VfioRingNicDriver,
  buildConfig,
  findCapability,
  type ConfigInit,
  type VfioPciDevice,
} from '../src/index.ts';
import { CONFIG, bind, eduHost, open, write16, type OpenDevice } from './edu-host.ts';
import type { ResetKind } from './reset-matrix.ts';

export interface ResetSession extends OpenDevice {
  readonly process: Process;
  readonly nic: RingNic;
  readonly vfioDevice: VfioPciDevice;
  readonly name: string;
  /** Offsets of capabilities. */
  readonly pm: number;
  readonly express: number;
  readonly af: number;
  readonly events: readonly TraceEvent[];
}

/** What the card has, by the way in which it is reset; those that are no methods of VFIO_DEVICE_RESET open by a quirk of their own. */
const CARDS: Readonly<Record<ResetKind, Partial<ConfigInit>>> = {
  flr: { express: true, flr: true, powerManagement: false },
  'af-flr': { advancedFeatures: true },
  pm: { powerManagement: true },
  'device-specific': { vendor: 0x8086, device: 0x10ed },
  bus: {},
  slot: { express: true, powerManagement: false },
  'hot-reset': {},
  d3hot: { powerManagement: true },
  d3cold: { powerManagement: true },
  'guest-flr': { vendor: 0x8086, device: 0x0953, express: true, flr: true, powerManagement: false },
  'guest-af-flr': { vendor: 0x8086, device: 0x0156, advancedFeatures: true },
  sysfs: { vendor: 0x144d, device: 0xa804, express: true, flr: true, powerManagement: false },
};

export function resetSession(profile: ProfileName, kind: ResetKind): ResetSession {
  const { host, bus, vfio, process, events } = eduHost({ profile });
  const below = kind === 'bus' || kind === 'hot-reset' || kind === 'slot';
  const name = below ? '0000:01:00.0' : '0000:00:05.0';
  if (kind === 'slot') {
    bus.plug(new PciPort(host, { address: '0000:00:1c.0', kind: 'root', secondary: 1, slot: { number: 1 } }));
  } else if (below) {
    const bridge = buildConfig({ vendor: 0x1b36, device: 1, class: 0x06_0400 });
    bridge[0x0e] = 1;
    bridge.set([0, 1, 1], 0x18);
    bus.plug(new PciFunction(host, { address: '0000:00:1e.0', config: bridge }));
  }
  // A second BAR that nothing else in the table needs.
  const bars = [...RING_NIC_BARS, { index: 2, size: 0x1000 }];
  const head = { vendor: 0x1d55, device: 0x0010, class: 0x02_0000, interruptPin: 1, msi: 4, bars, msix: RING_NIC_MSIX };
  const nic = new RingNic(host, { address: name, config: buildConfig({ ...head, ...CARDS[kind] }), bars, powerCut: kind === 'd3cold' });
  const plugged = bus.plug(nic, { group: 9 });
  host.scheduler.call('modprobe', bus.addDriver(new PciePort()));
  const driver = new VfioRingNicDriver(vfio);
  host.scheduler.call('modprobe', bus.addDriver(driver));
  bind(process, name, driver.name);
  const vfioDevice = driver.vfioDevice(plugged);
  if (vfioDevice === undefined) throw new Error(`${name} was not bound`);
  const opened = open(process, name, 9);
  write16(process, opened.device, CONFIG + 4, 7);
  const at = (id: number): number => findCapability(nic.config.bytes, id);
  return { ...opened, process, nic, vfioDevice, name, pm: at(PCI_CAP_ID_PM), express: at(PCI_CAP_ID_EXP), af: at(PCI_CAP_ID_AF), events };
}
