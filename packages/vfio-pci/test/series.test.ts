/**
 * A host of 5.13 without single patches of the series: what each patch of vfio-pci mended shows as an event, and with the patch does not. What
 * nothing can show is said in docs/guides/series.md.
 */
import { BEFORE_SERIES, LAST_PUT, Process, REGISTERED, USE_AFTER_FREE, type Host, type SeriesPatch } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { STEP_DONE, STEP_UNDONE, STRUCTURE_BROKEN, VGA_ARBITER_ALLOCATION } from '../src/index.ts';
import { CARD, cardHost } from './card-host.ts';
import { bind, open } from './edu-host.ts';

/** A VGA card below a bridge, for vfio-pci of a 5.13 without some patches. */
function machine(without: readonly SeriesPatch[], before?: (host: Host) => void) {
  const made = cardHost({ profile: 'linux-5.13', without, before });
  const { events } = made;
  const faults = (patch: SeriesPatch): readonly string[] =>
    events.flatMap(({ id, text, fields }) => {
      const entry: { readonly patch?: SeriesPatch } = fields;
      return id === BEFORE_SERIES.id && entry.patch === patch ? [text] : [];
    });
  const broken = (): readonly string[] => events.filter(({ id }) => id === STRUCTURE_BROKEN.id || id === USE_AFTER_FREE.id).map(({ text }) => text);
  return { ...made, faults, broken };
}

function probeHeldAt(host: Host, process: Process, point: { readonly point: string }) {
  process.writeFile(`/sys/bus/pci/devices/${CARD}/driver_override`, 'vfio-pci');
  host.scheduler.stopAt(point);
  return process.start('bind', process.sys.writeFile('/sys/bus/pci/drivers_probe', CARD));
}

const BOTH = (patch: SeriesPatch): readonly [string, readonly SeriesPatch[], boolean][] => [
  ['without it', [patch], true],
  ['with it', [], false],
];

describe('patch 7, VGA and VF initialization as functions', () => {
  it.each(BOTH(7))('%s: the arbiter asks a client whose structure is freed', (_name, without, fault) => {
    const { host, bus, device, process, broken } = machine(without);
    bind(process, CARD);
    bus.vga.access(device);
    host.scheduler.stopAt(STEP_UNDONE.device);
    process.start('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD));
    bus.vga.notifyClients();
    host.scheduler.release(STEP_UNDONE.device);
    expect(broken().length > 0).toBe(fault);
  });

  it.each(BOTH(7))('%s: a client that the arbiter refuses is bound all the same', (_name, without, fault) => {
    const { device, process, faults } = machine(without, (host) => host.faults.failNext(VGA_ARBITER_ALLOCATION));
    bind(process, CARD);
    expect(faults(7)).toHaveLength(fault ? 1 : 0);
    expect(device.driverName).toBe(fault ? 'vfio-pci' : undefined);
  });
});

describe('patch 8, the order of the probe', () => {
  it.each(BOTH(8))('%s: a user meets a device whose lock is not there', (_name, without, fault) => {
    const { host, process, broken } = machine(without);
    const probe = probeHeldAt(host, process, fault ? STEP_DONE.register : REGISTERED);
    open(new Process(host), CARD, 1);
    host.scheduler.release(fault ? STEP_DONE.register : REGISTERED);
    expect(probe.finished).toBe(true);
    expect(broken().length > 0).toBe(fault);
  });

  it.each(BOTH(8))('%s: the device goes to D3hot under its user', (_name, without, fault) => {
    const { host, process, card } = machine(without);
    const point = fault ? STEP_DONE.vga : REGISTERED;
    probeHeldAt(host, process, point);
    open(new Process(host), CARD, 1);
    host.scheduler.release(point);
    expect(card.powerState).toBe(fault ? 3 : 0);
  });
});

describe('patch 9, the driver keeps its own data', () => {
  it.each(BOTH(9))('%s: an error comes while remove waits for a user who has just closed: the data is NULL', (_name, without, fault) => {
    const { host, process, device, driver, faults } = machine(without);
    bind(process, CARD);
    const user = new Process(host);
    const fds = open(user, CARD, 1);
    host.scheduler.stopAt(LAST_PUT);
    process.start('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD));
    user.close(fds.device);
    expect(driver.vfioDevice(device) === undefined).toBe(fault);
    expect(faults(9)).toHaveLength(fault ? 1 : 0);
  });
});

describe('patch 14, the core leaves drvdata alone', () => {
  it.each(BOTH(14))('%s: what the driver keeps is cleared while it is bound', (_name, without, fault) => {
    const { host, process, device, driver, faults } = machine(without);
    bind(process, CARD);
    expect(driver.vfioDevice(device)).toBeDefined();
    host.scheduler.stopAt(STEP_UNDONE.register);
    const unbind = process.start('unbind', process.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD));
    expect(unbind.outcome.state).toBe('held');
    expect(driver.vfioDevice(device) === undefined).toBe(fault);
    host.scheduler.release(STEP_UNDONE.register);
    expect(faults(14)).toHaveLength(fault ? 1 : 0);
    expect(unbind.finished).toBe(true);
  });
});
