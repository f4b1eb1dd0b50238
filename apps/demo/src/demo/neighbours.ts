/**
 * Devices of the other buses on the same host, each given to one user process: a real-time clock behind vfio-amba, a network object behind
 * vfio-fsl-mc whose interrupt comes through the host's ITS, and a mediated serial port.
 */
import {
  constant,
  getDeviceFd,
  getDeviceInfo,
  getRegionInfo,
  Mmu500Iommu,
  Process,
  setContainer,
  setIrqTriggers,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from '@vsim/vfio-core';
import { MdevBus, Mtty } from '@vsim/mdev';
import { FslMcBus, MC_SET_IRQ_ENABLE, MC_SET_IRQ_MASK, ManagementComplex, mcCommand, OPEN_COMMANDS, PARAMS, VfioFslMcDriver } from '@vsim/vfio-fslmc';
import { AmbaBus, IrqLine, PL031, Pl031, PlatformDevice, ResetModules, VfioAmbaDriver } from '@vsim/vfio-platform';
import type { ArmHost } from '../hosts/arm-host.ts';

export interface Neighbour {
  readonly device: string;
  readonly driver: string;
  readonly regions: number;
  readonly irqs: number;
  /** What its user did with it, and saw. */
  readonly seen: string;
}

const RTC = '9010000.pl031';
const RTC_ID = 0x0004_1031;
/** What no PCI function of the host has as its requester id. */
const ICID = 0x8017;
const UUID = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';
const SECOND = 1e9;

export function visitNeighbours(arm: ArmHost): readonly Neighbour[] {
  return [visitClock(arm), visitNetworkObject(arm), visitSerialPort(arm)];
}

function visitClock(arm: ArmHost): Neighbour {
  const { host, vfio, root } = arm;
  const resets = new ResetModules();
  resets.register('arm,pl031', () => constant(0));
  const amba = new AmbaBus(host);
  const driver = new VfioAmbaDriver(vfio, { resets });
  host.scheduler.call('modprobe vfio-amba', amba.addDriver(driver));
  const irq = new IrqLine(34, 'level-high');
  const device = new PlatformDevice(host, {
    name: RTC,
    resources: [{ kind: 'mem', start: 0x901_0000, size: 0x1000 }],
    irqs: [irq],
    firmware: { compatible: ['arm,pl031', 'arm,primecell'] },
    hardware: [new Pl031(host, irq)],
    peripheralId: RTC_ID,
  });
  amba.announce(device);
  arm.iommu.addGroup([device]);
  root.writeFile(`/sys/bus/amba/devices/${RTC}/driver_override`, driver.name);
  root.writeFile('/sys/bus/amba/drivers_probe', RTC);

  const user = new Process(host, { name: 'clock user' });
  const fd = openDevice(user, `/sys/bus/amba/devices/${RTC}`, RTC);
  const alarm = user.eventfd();
  setIrqTriggers(user, fd, 0, 0, [alarm]);
  const store = (register: number, value: number): void => { user.pwrite(fd, word(value), register); };
  const now = new Uint8Array(4);
  user.pread(fd, now, PL031.DR);
  store(PL031.IMSC, 1);
  store(PL031.MR, new DataView(now.buffer).getUint32(0, true) + 2);
  host.scheduler.advance(2 * SECOND);
  return neighbour(user, fd, RTC, driver.name, `alarm after 2 s: ${user.readEventfd(alarm)} interrupt`);
}

function visitNetworkObject({ host, vfio, root, its }: ArmHost): Neighbour {
  const mc = new ManagementComplex(host);
  const container = mc.root.addContainer({ id: 2, icid: ICID });
  const dpni = container.add({ type: 'dpni', id: 0 });
  container.add({ type: 'dpio', id: 0 });
  // Chips with DPAA2 have an MMU-500: behind an SMMUv3 the objects of a container, which share its stream id, would have no group.
  const bus = new FslMcBus(host, { mc, iommu: new Mmu500Iommu(host), msi: its });
  host.scheduler.call('fsl-mc', bus.start());
  host.scheduler.call('modprobe vfio-fsl-mc', bus.addDriver(new VfioFslMcDriver(bus, vfio)));
  root.writeFile('/sys/bus/fsl-mc/devices/dprc.2/driver_override', 'vfio-fsl-mc');
  root.writeFile('/sys/bus/fsl-mc/drivers/fsl_mc_dprc/unbind', 'dprc.2');
  root.writeFile('/sys/bus/fsl-mc/drivers/vfio-fsl-mc/bind', 'dprc.2');

  const user = new Process(host, { name: 'network user' });
  const group = openGroup(user, '/sys/bus/fsl-mc/devices/dprc.2');
  const dprc = getDeviceFd(user, group, 'dprc.2');
  const fd = getDeviceFd(user, group, 'dpni.0');
  const done = user.eventfd();
  setIrqTriggers(user, fd, 0, 0, [done]);
  const opened = command(user, dprc, mcCommand(OPEN_COMMANDS.get('dpni')!, 1, 0), 0);
  const token = new DataView(opened.buffer).getUint16(4, true);
  for (const act of [MC_SET_IRQ_MASK, MC_SET_IRQ_ENABLE]) command(user, dprc, mcCommand(act, 1, token), 1);
  dpni.raise(0, 1);
  const interrupts = user.readEventfd(done);
  return neighbour(user, fd, 'dpni.0', 'vfio-fsl-mc', `opened by command; link change: ${interrupts} interrupt through the ITS`);
}

function visitSerialPort({ host, vfio, root }: ArmHost): Neighbour {
  const bus = new MdevBus(host);
  host.scheduler.call('modprobe mtty', new Mtty(bus, vfio).register());
  root.writeFile('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create', UUID);
  const user = new Process(host, { name: 'serial user' });
  const fd = openDevice(user, `/sys/bus/mdev/devices/${UUID}`, UUID);
  const port = Number(getRegionInfo(user, fd, 0).offset);
  const back = new Uint8Array(5);
  for (const byte of new TextEncoder().encode('hello')) user.pwrite(fd, Uint8Array.of(byte), port);
  for (let i = 0; i < back.length; i += 1) user.pread(fd, back.subarray(i, i + 1), port);
  const driver = root.readlink(`/sys/bus/mdev/devices/${UUID}/driver`).split('/').at(-1) ?? '';
  return neighbour(user, fd, UUID, driver, `wrote "hello", read "${new TextDecoder().decode(back)}"`);
}

function neighbour(user: Process, fd: number, device: string, driver: string, seen: string): Neighbour {
  const { numRegions, numIrqs } = getDeviceInfo(user, fd);
  return { device, driver, regions: numRegions, irqs: numIrqs, seen };
}

/** A device as its user opens it: container, group, device. */
function openDevice(user: Process, sysfs: string, name: string): number {
  return getDeviceFd(user, openGroup(user, sysfs), name);
}

function openGroup(user: Process, sysfs: string): number {
  const container = user.open('/dev/vfio/vfio');
  const group = user.open(`/dev/vfio/${user.readlink(`${sysfs}/iommu_group`).split('/').at(-1)}`);
  setContainer(user, group, container);
  user.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  return group;
}

/** One command of the Management Complex with one parameter; what the portal then holds. */
function command(user: Process, dprc: number, bytes: Uint8Array, parameter: number): Uint8Array {
  bytes.set(word(parameter), PARAMS);
  user.pwrite(dprc, bytes, 0);
  const answer = new Uint8Array(bytes.length);
  user.pread(dprc, answer, 0);
  return answer;
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
