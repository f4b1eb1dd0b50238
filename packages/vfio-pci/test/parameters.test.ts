/** When each kernel reads the parameters of vfio-pci: at each use, when the module is loaded, when a device is bound. Catalogue: M18, B10 of 7.3. */
import type { ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { setPowerState } from '../src/bus/enable.ts';
import { CARD, attach, cardHost } from './card-host.ts';
import { open } from './edu-host.ts';

const OLD: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];
const LOADED: readonly ProfileName[] = ['linux-6.1', 'linux-6.12'];
const ALL: readonly ProfileName[] = [...OLD, ...LOADED, 'linux-7.3'];

function bound(profile: ProfileName, before?: 'Y' | 'N', loaded = false) {
  const made = cardHost({ profile, parameters: { disableIdleD3: loaded } });
  const set = (parameter: 'disable_idle_d3' | 'nointxmask', value: 'Y' | 'N') => made.process.writeFile(`/sys/module/vfio_pci/parameters/${parameter}`, value);
  if (before !== undefined) set('disable_idle_d3', before);
  expect(attach(made, made.device)).toBe(0);
  const unbind = () => made.process.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD);
  return { ...made, set, unbind };
}

describe('disable_idle_d3', () => {
  it.each(ALL)('%s: set after the bind, and then unbound [M18]', (profile) => {
    const { card, set, unbind } = bound(profile);
    set('disable_idle_d3', 'Y');
    unbind();
    expect(card.powerState).toBe(OLD.includes(profile) ? 3 : 0);
  });

  it.each(ALL)('%s: set before the bind and cleared after it, the device is awake all the time [M18]', (profile) => {
    const { card, set, unbind } = bound(profile, 'Y');
    const asleep = LOADED.includes(profile) ? 3 : 0;
    expect(card.powerState).toBe(asleep);
    set('disable_idle_d3', 'N');
    expect(card.powerState).toBe(asleep);
    unbind();
    expect(card.powerState).toBe(0);
  });

  it.each(ALL)('%s: set while a user has it open, it is awake after the close only where that is looked at [M18] [B10]', (profile) => {
    const { card, process, set } = bound(profile);
    const fds = open(process, CARD, 1);
    set('disable_idle_d3', 'Y');
    process.close(fds.device);
    expect(card.powerState).toBe(OLD.includes(profile) ? 0 : 3);
  });

  it.each(ALL)('%s: loaded with it, and cleared before the bind [B10]', (profile) => {
    const { card } = bound(profile, 'N', true);
    expect(card.powerState).toBe(LOADED.includes(profile) ? 0 : 3);
  });

  it.each(ALL)('%s: a device that sleeps is not woken by the probe of 5.13 that would leave it awake [M18]', (profile) => {
    const made = cardHost({ profile, parameters: { disableIdleD3: true } });
    setPowerState(made.device, 3);
    expect(attach(made, made.device)).toBe(0);
    expect(made.card.powerState).toBe(OLD.includes(profile) ? 3 : 0);
  });

  it('is what a device of 7.3 was bound with, another than the next one\'s [B10]', () => {
    const { card, process, set, unbind, ...made } = bound('linux-7.3');
    set('disable_idle_d3', 'Y');
    const fds = open(process, CARD, 1);
    process.close(fds.device);
    expect(card.powerState).toBe(3);
    process.close(fds.group);
    unbind();
    expect([attach({ ...made, card, process }, made.device), card.powerState]).toEqual([0, 0]);
  });
});

describe('nointxmask', () => {
  it.each(ALL)('%s: set after the bind, it counts for the next open, never, or for the next bind [B10]', (profile) => {
    const { driver, device, process, set, unbind, ...made } = bound(profile);
    const masks = () => {
      const fds = open(process, CARD, 1);
      const can = driver.vfioDevice(device)!.canMaskIntx;
      for (const fd of [fds.device, fds.group, fds.container]) process.close(fd);
      return can;
    };
    const before = masks();
    set('nointxmask', 'Y');
    const after = masks();
    unbind();
    attach({ ...made, driver, device, process }, device);
    expect([before, after, masks()]).toEqual([true, !OLD.includes(profile), LOADED.includes(profile)]);
  });
});
