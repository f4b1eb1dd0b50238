/** Devices of a board as its device tree describes them: each is made, given to vfio-platform, and used from user space. */
import { Bus, constant, getRegionInfo, Host, openDevice, parseFdt, Process, setIrqTriggers, SmmuV3Iommu, SyscallError, Vfio } from '@vsim/vfio-core';
import { describeDevices, deviceFromTree, IrqLine, PL031, Pl031, ResetModules, VfioPlatformDriver, type PlatformDevice } from '@vsim/vfio-platform';
import { BOARD } from './board-dtb.ts';

// #region describe
const host = new Host();
const descriptions = describeDevices(parseFdt(BOARD));
for (const { name, compatible, ranges, interrupts } of descriptions) {
  const places = ranges.map(({ start, size }) => `0x${start.toString(16)}+0x${size.toString(16)}`);
  console.log([name, compatible.join(', '), ...places, ...interrupts.map(({ intid, trigger }) => `INTID ${intid} ${trigger}`)].join('; '));
}
// #endregion describe

// #region devices
// The tree says what there is; the models of hardware are ours. A device without one is registers that nobody answers for.
const bus = new Bus<PlatformDevice>(host, 'platform');
const smmu = new SmmuV3Iommu(host);
for (const description of descriptions) {
  const [interrupt] = description.interrupts;
  if (interrupt === undefined) continue; // the GIC and the SMMU are the kernel's own
  const line = new IrqLine(interrupt.intid, interrupt.trigger);
  const hardware = description.compatible.includes('arm,pl031') ? [new Pl031(host, line)] : undefined;
  const device = deviceFromTree(host, description, { irq: () => line, hardware });
  bus.announce(device);
  smmu.addGroup([device]);
}
// #endregion devices

// #region driver
// vfio-platform wants a reset function for each compatible string, and refuses a device without: the rtc has one here, the uart has none.
const resets = new ResetModules(new Map([['vsim,rtc', () => constant(0)]]));
host.scheduler.call('modprobe vfio-platform', bus.addDriver(new VfioPlatformDriver(new Vfio(host), { resets })));
// #endregion driver

// #region refused
const user = new Process(host, { name: 'user' });
try {
  openDevice(user, '9000000.uart', { driver: 'vfio-platform' });
} catch (error) {
// #endregion refused
  if (!(error instanceof SyscallError)) throw error;
  console.log('the uart:', error.message);
}

// #region use
const { device } = openDevice(user, '9010000.rtc', { driver: 'vfio-platform' });
const alarm = user.eventfd();
setIrqTriggers(user, device, 0, 0, [alarm]);
const registers = user.mmap(device, 0x1000, Number(getRegionInfo(user, device, 0).offset));
registers.write(PL031.IMSC, 4, 1);
registers.write(PL031.MR, 4, registers.read(PL031.DR, 4) + 2);
console.log('the rtc: alarms at once', String(user.readEventfd(alarm)));
host.scheduler.advance(2_000_000_000); // virtual nanoseconds
console.log('the rtc: alarms after two seconds', String(user.readEventfd(alarm)));
// #endregion use
