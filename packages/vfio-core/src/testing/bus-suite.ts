import { DRIVER_UNBINDING } from '../model/bus.ts';
import type { Process } from '../process/process.ts';
import { expectSame, outcomeOf, type ComplianceCase } from './suite.ts';

/** A fresh host whose bus has one device without driver and one driver that takes it, for each case. */
export interface BusSubject {
  /** A process of root. */
  readonly process: Process;
  /** E.g. `/sys/bus/pci`. */
  readonly bus: string;
  /** The name of the device, which has no driver yet. */
  readonly device: string;
  /** The name of the driver that takes it. */
  readonly driver: string;
}

/** What every bus has to answer in sysfs, whatever its devices are. Kernel: drivers/base/bus.c. `setup` is called once for each case. */
export function busSuite(setup: () => BusSubject): readonly ComplianceCase[] {
  const paths = ({ bus, device, driver }: BusSubject) => ({
    bind: `${bus}/drivers/${driver}/bind`,
    unbind: `${bus}/drivers/${driver}/unbind`,
    link: `${bus}/devices/${device}/driver`,
    probe: `${bus}/drivers_probe`,
  });
  const bound = (subject: BusSubject) => outcomeOf(() => subject.process.readlink(paths(subject).link)) === 'success';
  return [
    {
      name: 'binds and unbinds by name, with links both ways',
      run: () => {
        const subject = setup();
        const { process, device, bus, driver } = subject;
        const { bind, unbind } = paths(subject);
        expectSame('at first', bound(subject), false);
        expectSame('bytes taken', process.writeFile(bind, `${device}\n`), device.length + 1);
        expectSame('bound', bound(subject), true);
        expectSame('the driver’s link', process.readdir(`${bus}/drivers/${driver}`).includes(device), true);
        process.writeFile(unbind, device);
        expectSame('unbound', bound(subject), false);
      },
    },
    {
      name: 'does not know devices that are not there, nor unbinds what is not bound',
      run: () => {
        const subject = setup();
        const { process, device } = subject;
        const { bind, unbind, probe } = paths(subject);
        expectSame('bind of nothing', outcomeOf(() => process.writeFile(bind, `${device}x`)), 'ENODEV');
        expectSame('unbind of nothing', outcomeOf(() => process.writeFile(unbind, `${device}x`)), 'ENODEV');
        expectSame('probe of nothing', outcomeOf(() => process.writeFile(probe, `${device}x`)), 'ENODEV');
        expectSame('unbind without driver', outcomeOf(() => process.writeFile(unbind, device)), 'ENODEV');
      },
    },
    {
      name: 'tells a second bind as its kernel does',
      run: () => {
        const subject = setup();
        const { process, device } = subject;
        process.writeFile(paths(subject).bind, device);
        const strict = process.host.profile.bindPassesErrors;
        expectSame('second bind', outcomeOf(() => process.writeFile(paths(subject).bind, device)), strict ? 'EBUSY' : 'ENODEV');
        expectSame('still bound', bound(subject), true);
      },
    },
    {
      name: 'probes on request, and not a device that is bound',
      run: () => {
        const subject = setup();
        const { process, device } = subject;
        process.writeFile(paths(subject).probe, device);
        expectSame('bound', bound(subject), true);
        expectSame('again', outcomeOf(() => process.writeFile(paths(subject).probe, device)), 'success');
      },
    },
    {
      name: 'takes the driver link away before the driver’s remove begins',
      run: () => {
        const subject = setup();
        const { process, device } = subject;
        process.writeFile(paths(subject).bind, device);
        const { scheduler } = process.host;
        scheduler.stopAt(DRIVER_UNBINDING);
        const unbind = process.start('unbind', process.sys.writeFile(paths(subject).unbind, device));
        expectSame('unbind', unbind.outcome.state, 'held');
        expectSame('link', bound(subject), false);
        scheduler.release(DRIVER_UNBINDING);
        expectSame('unbind in the end', unbind.outcome.state, 'done');
      },
    },
    {
      name: 'opens its actions for root alone',
      run: () => {
        const subject = setup();
        subject.process.uid = 1000;
        expectSame('bind', outcomeOf(() => subject.process.writeFile(paths(subject).bind, subject.device)), 'EACCES');
      },
    },
  ];
}
