/** Cards that come and go while user space has them: orderly, by surprise, and with the link. */
import { EAGAIN, VFIO_DEVICE_RESET, mapDma, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { ERROR_RECOVERY, ERROR_UNHANDLED, PciFunction, PciPort, PciePort, RING_NIC, RING_NIC_ID, buildConfig, createRingNic } from '../src/index.ts';
import { CONFIG, bind, open, read32, write16 } from './edu-host.ts';
import { CARD, PORT, armNotifiers, slotHost, type SlotHostInit } from './slot-host.ts';

const PROFILES = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'] satisfies ProfileName[];
const SECOND = 1e9;

/** The card is open by a user, who is told of errors and requests. */
function openCard(init: SlotHostInit = {}) {
  const made = slotHost(init);
  const { bus, process } = made;
  bind(process, CARD, 'ring-nic-vfio-pci');
  const group = bus.device(CARD)?.iommuGroup?.id ?? -1;
  const opened = open(process, CARD, group);
  write16(process, opened.device, CONFIG + 4, 6);
  return { ...made, ...opened, number: group, ...armNotifiers(process, opened.device) };
}

describe('an orderly removal', () => {
  it.each(PROFILES)('%s: by the button: five seconds, the user is asked, and the slot is powered off when he has closed', (profile) => {
    const { host, process, port, device, group, container, req, err, bus, number } = openCard({ profile, slot: { number: 7, button: true } });
    port.pressAttentionButton();
    host.scheduler.advance(4.9 * SECOND);
    expect(process.readEventfd(req)).toBe(0n);
    host.scheduler.advance(0.2 * SECOND);
    expect(process.readEventfd(req)).toBe(1n);
    expect(bus.device(CARD)?.driverName).toBe('ring-nic-vfio-pci');
    // The device works on until it is closed, and the request is repeated.
    expect(read32(process, device, RING_NIC.ID)).toBe(RING_NIC_ID);
    host.scheduler.advance(10 * SECOND);
    expect(process.readEventfd(req)).toBe(1n);
    expect(port.powered).toBe(true);
    for (const fd of [device, group, container]) process.close(fd);
    expect(bus.device(CARD)).toBeUndefined();
    expect(process.readdir('/dev/vfio')).not.toContain(String(number));
    expect(port.powered).toBe(false);
    expect(port.linkActive).toBe(false);
    expect(process.readEventfd(err)).toBe(0n);
    expect(host.scheduler.threads).toEqual([]);
  });

  it('is called off by a second press', () => {
    const { host, process, port, req, bus } = openCard({ slot: { number: 7, button: true } });
    port.pressAttentionButton();
    host.scheduler.advance(3 * SECOND);
    port.pressAttentionButton();
    expect(host.scheduler.threads).toEqual([]);
    host.scheduler.advance(10 * SECOND);
    expect(process.readEventfd(req)).toBe(0n);
    expect(bus.device(CARD)?.driverName).toBe('ring-nic-vfio-pci');
  });

  it('by sysfs power: the writer waits for the user; a powered off slot is EINVAL to power off again', () => {
    const { host, process, device, port } = openCard();
    const power = '/sys/bus/pci/slots/7/power';
    expect(process.readFile(power)).toBe('1\n');
    const writer = process.start('power off', process.sys.writeFile(power, '0'));
    expect(writer.outcome.state).toBe('asleep');
    process.close(device);
    expect(writer.result()).toBe(1);
    expect(process.readFile(power)).toBe('0\n');
    expect(port.powered).toBe(false);
    expect(host.scheduler.call('again', process.sys.writeFile(power, '0'))).toBe(-22);
    expect(process.writeFile(power, '1')).toBe(1);
    expect(process.readFile(`/sys/bus/pci/devices/${CARD}/vendor`)).toBe('0x1d55\n');
  });

  it('names the slot by its number and its place', () => {
    const { process } = slotHost({ slot: { number: 12 } });
    expect(process.readdir('/sys/bus/pci/slots')).toEqual(['12']);
    expect(process.readFile('/sys/bus/pci/slots/12/address')).toBe('0000:01:00\n');
    expect(process.readFile('/sys/bus/pci/slots/12/adapter')).toBe('1\n');
  });
});

describe('a card that is pulled while it is open', () => {
  it.each(PROFILES)('%s: reads are ones, writes vanish, DMA and interrupts are lost; ERR and REQ come; close ends it', (profile) => {
    const { host, process, port, card, device, group, container, err, req, bus, events, number } = openCard({ profile });
    const mapping = process.mmap(device, 0x1000);
    mapDma(process, container, { iova: 0x1000, vaddr: process.mmap(-1, 0x1000).address, size: 0x1000, flags: 3 });
    expect(card.dmaWrite(0x1000, Uint8Array.of(1))).toBe(true);
    port.surpriseRemove();
    expect(process.readEventfd(err)).toBe(1n);
    expect(process.readEventfd(req)).toBe(1n);
    expect(read32(process, device, RING_NIC.ID)).toBe(0xffff_ffff);
    expect(mapping.read(RING_NIC.ID, 4)).toBe(0xffff_ffff);
    // Hardware's own bits are ones; what the user sees of virtual ones is the copy.
    expect(read32(process, device, CONFIG + 8) >>> 0).toBe(0xffff_ffff);
    expect(read32(process, device, CONFIG)).toBe(0x0010_1d55);
    process.pwrite(device, Uint8Array.of(1, 0, 0, 0), RING_NIC.CONTROL);
    card.raise(0);
    expect(card.dmaWrite(0x1000, Uint8Array.of(1))).toBe(false);
    // Whoever removes it has its lock.
    expect(process.tryIoctl(device, VFIO_DEVICE_RESET)).toBe(-EAGAIN);
    for (const fd of [device, group, container]) process.close(fd);
    mapping.unmap();
    expect(bus.device(CARD)).toBeUndefined();
    expect(bus.function(CARD)).toBeUndefined();
    expect(process.readdir('/dev/vfio')).not.toContain(String(number));
    expect(host.scheduler.threads).toEqual([]);
    expect(events.filter(({ severity }) => severity === 'bug' || severity === 'warn')).toEqual([]);
  });

  it('is no error of the link where the slot is made for it: only the request comes', () => {
    const { process, port, err, req } = openCard({ slot: { number: 7, surprise: true } });
    port.surpriseRemove();
    expect(process.readEventfd(err)).toBe(0n);
    expect(process.readEventfd(req)).toBe(1n);
  });

  it('and another card: a device of its own, in a group of its own number, with its own configuration', () => {
    const { host, process, port, device, bus, group, container } = openCard();
    const before = bus.device(CARD);
    port.surpriseRemove();
    process.close(device);
    process.close(group);
    process.close(container);
    const other = createRingNic(host, CARD);
    other.config.set(0x2c, 2, 0x4242);
    bus.insert(port, [other]);
    expect(bus.device(CARD)).not.toBe(before);
    expect(bus.device(CARD)?.function).toBe(other);
    expect(process.readFile(`/sys/bus/pci/devices/${CARD}/subsystem_vendor`)).toBe('0x4242\n');
    bind(process, CARD, 'ring-nic-vfio-pci');
    const again = open(process, CARD, bus.device(CARD)?.iommuGroup?.id ?? -1);
    write16(process, again.device, CONFIG + 4, 6);
    expect(read32(process, again.device, RING_NIC.ID)).toBe(RING_NIC_ID);
  });

  it('while the old user still has it open, the new card waits for him', () => {
    const { host, process, port, device, bus } = openCard();
    port.surpriseRemove();
    process.close(device);
    const other = createRingNic(host, CARD);
    bus.insert(port, [other]);
    bind(process, CARD, 'ring-nic-vfio-pci');
    const opened = open(process, CARD, bus.device(CARD)?.iommuGroup?.id ?? -1);
    port.surpriseRemove();
    expect(() => bus.insert(port, [createRingNic(host, CARD)])).toThrow(RangeError);
    process.close(opened.device);
    bus.insert(port, [createRingNic(host, CARD)]);
    expect(bus.device(CARD)?.driverName).toBeUndefined();
  });
});

describe('a link that fails', () => {
  it('is a fatal error of the port, and the device goes; the card comes back by sysfs power', () => {
    const { process, port, device, err, req, bus, events } = openCard();
    port.linkDown();
    expect([process.readEventfd(err), process.readEventfd(req)]).toEqual([1n, 1n]);
    expect(read32(process, device, RING_NIC.ID)).toBe(0xffff_ffff);
    const recovery = events.filter(({ id }) => id === ERROR_RECOVERY.id);
    expect(recovery.map(({ text }) => text)).toEqual([`${PORT}: not recovered: the link does not come back`]);
    process.close(device);
    expect(bus.device(CARD)).toBeUndefined();
    port.linkUp();
    process.writeFile('/sys/bus/pci/slots/7/power', '1');
    expect(bus.device(CARD)).toBeDefined();
  });
});

describe('an error of the device', () => {
  it.each(['completion-timeout', 'malformed-tlp'] as const)('%s: error_detected signals ERR, and the recovery ends well', (error) => {
    const { process, card, err, events } = openCard();
    card.error(error);
    expect(process.readEventfd(err)).toBe(1n);
    expect(events.filter(({ id }) => id === ERROR_RECOVERY.id).map(({ text }) => text)).toEqual([`${CARD}: recovered: 1 devices below ${PORT}`]);
  });

  it('that is fatal resets the link, with nothing put back: the user finds the device as after a reset', () => {
    const { process, card, device } = openCard();
    card.error('malformed-tlp');
    expect(card.command & 7).toBe(0);
    expect(process.tryIoctl(device, VFIO_DEVICE_RESET)).toBe(0);
  });

  it('that is correctable is told to nobody', () => {
    const { process, card, err } = openCard();
    card.error('bad-tlp');
    expect(process.readEventfd(err)).toBe(0n);
  });

  it.each([
    ['linux-5.13', 0n],
    ['linux-6.1', 1n],
  ] as const)('%s: is reported only if somebody switched reporting on: the core does from 6.0 on: %i', (profile, count) => {
    const { process, card, err } = openCard({ profile });
    card.error('completion-timeout');
    expect(process.readEventfd(err)).toBe(count);
  });

  it('that no root port with a driver hears of is an event of its own', () => {
    const { host, bus, card, events } = slotHost();
    const port = bus.driver('pcieport');
    if (!(port instanceof PciePort)) throw new Error('no port driver');
    host.scheduler.call('rmmod', bus.removeDriver(port));
    card.error('completion-timeout');
    expect(events.filter(({ id }) => id === ERROR_UNHANDLED.id)).toHaveLength(1);
  });

  it('does not recover where a device below has no driver for it', () => {
    const { card, events } = slotHost();
    card.error('completion-timeout');
    expect(events.filter(({ id }) => id === ERROR_RECOVERY.id).map(({ text }) => text)).toEqual([`${CARD}: not recovered: a device has no driver that could recover it`]);
  });

  it('names an error that there is not, and a function that reports none', () => {
    const { edu, card } = slotHost();
    expect(() => edu.error('bad-tlp')).toThrow(TypeError);
    // A caller without a type checker can pass anything.
    const loose: { error: (error: string) => void } = { error: (error) => void Reflect.apply(Reflect.get(card, 'error'), card, [error]) };
    expect(() => {
      loose.error('nonsense');
    }).toThrow(RangeError);
  });
});

describe('what a machine\'s author gets wrong', () => {
  it('is told at once', () => {
    const { host, bus, port } = slotHost();
    expect(() => bus.insert(port, [createRingNic(host, '0000:01:00.0')])).toThrow('empty slot');
    port.surpriseRemove();
    expect(() => port.surpriseRemove()).toThrow('a card in the slot');
    expect(() => bus.insert(port, [createRingNic(host, '0000:02:00.0')])).toThrow('functions below');
    expect(() => bus.insert(port, [])).toThrow('functions below');
    expect(() => port.pressAttentionButton()).toThrow('attention button');
    expect(() => new PciPort(host, { address: '0000:00:1d.0', kind: 'root', secondary: 0 })).toThrow('secondary');
    expect(() => new PciPort(host, { address: '0000:00:1d.0', kind: 'root', secondary: 2, slot: { number: 0 } })).toThrow('slot.number');
  });
});

describe('power that firmware can cut', () => {
  /** A bound, closed card sleeps. */
  function sleeping(allowed: string) {
    const { host, bus, process } = slotHost();
    const fn = new PciFunction(host, { address: '0000:00:1f.0', config: buildConfig({ vendor: 0x1d55, device: 9, powerManagement: true }), powerCut: true });
    const device = bus.plug(fn, { group: 5 });
    process.writeFile(`${device.sysfs}/d3cold_allowed`, allowed);
    bind(process, '0000:00:1f.0');
    return { process, device, fn };
  }

  it('is cut while the device sleeps: D3cold, and nobody answers', () => {
    const { process, device, fn } = sleeping('1');
    expect([process.readFile(`${device.sysfs}/power_state`), fn.absence, fn.configRead(0, 4)]).toEqual(['D3cold\n', 'no power', 0xffff_ffff]);
  });

  it('is left on where sysfs says so: D3hot', () => {
    const { process, device, fn } = sleeping('0');
    expect([process.readFile(`${device.sysfs}/power_state`), fn.absence, process.readFile(`${device.sysfs}/d3cold_allowed`)]).toEqual(['D3hot\n', undefined, '0\n']);
  });

  it('comes back with the configuration that the device had', () => {
    const { process, fn } = sleeping('1');
    const { device } = open(process, '0000:00:1f.0', 5);
    expect([fn.absence, read32(process, device, CONFIG)]).toEqual([undefined, 0x0009_1d55]);
  });
});
