/** Patch 4: vfio-platform's remove, with a user who holds the device; and the window that the patch did not close. */
import { Bus, Host, openDevice, Process, REGISTERED, setIrqTriggers, SmmuV3Iommu, SyscallError, Vfio, type ProfileName, type SeriesPatch } from '@vsim/vfio-core';
import { AmbaBus, IrqLine, Pl031, PlatformDevice, VfioAmbaDriver, VfioPlatformDriver } from '@vsim/vfio-platform';

const CLOCK = '9010000.pl031';

function machine(profile: ProfileName, without: readonly SeriesPatch[], amba: boolean) {
  const host = new Host({ profile, without });
  const vfio = new Vfio(host);
  const bus = amba ? new AmbaBus(host) : new Bus<PlatformDevice>(host, 'platform');
  const line = new IrqLine(34, 'level-high');
  const clock = new PlatformDevice(host, {
    name: CLOCK,
    resources: [{ kind: 'mem', start: 0x901_0000, size: 0x1000 }],
    irqs: [line],
    firmware: { acpi: { hid: 'ARMH0031', reset: () => true } },
    hardware: [new Pl031(host, line)],
    peripheralId: amba ? 0x0004_1031 : undefined,
  });
  bus.announce(clock);
  new SmmuV3Iommu(host).addGroup([clock]);
  const driver = amba ? new VfioAmbaDriver(vfio) : new VfioPlatformDriver(vfio);
  host.scheduler.call('modprobe', bus.addDriver(driver));
  return { host, clock, driver, root: new Process(host, { name: 'root' }) };
}

function removeWhileOpen(title: string, without: readonly SeriesPatch[]): void {
  const { clock, driver, root } = machine('linux-5.13', without, false);
  const opened = openDevice(root, CLOCK, { driver: 'vfio-platform' });
  const unbind = root.start('unbind', root.sys.writeFile('/sys/bus/platform/drivers/vfio-platform/unbind', CLOCK));
  const data = () => (driver.vfioDevice(clock) === undefined ? 'no structure' : 'its structure');
  console.log(`${title}: remove is ${unbind.outcome.state}, the driver has ${data()}`);
  opened.close();
  console.log(`  the user has closed it: remove is ${unbind.outcome.state}, the driver has ${data()}`);
}

function openInTheWindow(profile: ProfileName, amba: boolean): void {
  const { host, driver, root } = machine(profile, [], amba);
  const events = host.trace.record();
  root.writeFile(`/sys/bus/${amba ? 'amba' : 'platform'}/devices/${CLOCK}/driver_override`, driver.name);
  host.scheduler.stopAt(REGISTERED);
  root.start('bind', root.sys.writeFile(`/sys/bus/${amba ? 'amba' : 'platform'}/drivers_probe`, CLOCK));
  try {
    setIrqTriggers(root, openDevice(root, CLOCK).device, 0, 0, [root.eventfd()]);
    const bug = events.find(({ severity }) => severity === 'bug');
    console.log(`  ${profile}, ${driver.name}: SET_IRQS works;`, bug === undefined ? 'nothing is wrong' : `${bug.id}: ${bug.text}`);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    console.log(`  ${profile}, ${driver.name}: the open fails with`, error.code);
  }
}

removeWhileOpen('before', [4]);
removeWhileOpen('after', []);
console.log('between register and the end of the probe:');
openInTheWindow('linux-5.13', false);
openInTheWindow('linux-5.13', true);
openInTheWindow('linux-6.1', true);
