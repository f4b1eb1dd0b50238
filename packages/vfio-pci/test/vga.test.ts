/** vfio-pci as a client of the VGA arbiter: what a card decodes in a user's hands. Catalogue: vfio P7. */
import { describe, expect, it } from 'vitest';
import { VGA_RSRC_ALL, VGA_RSRC_NORMAL_IO, VGA_RSRC_NORMAL_MEM, vgaDecodes } from '../src/index.ts';
import { CARD, SIBLING, attach, bridge, cardHost, vga, type CardHost } from './card-host.ts';
import { open } from './edu-host.ts';

const NORMAL = VGA_RSRC_NORMAL_IO | VGA_RSRC_NORMAL_MEM;

/** The card on bus 1, and another VGA device at `other`; bus 1 reaches to bus 2, bus 3 is another. */
function two(other: string): CardHost {
  const made = cardHost();
  const { bus, host, device } = made;
  device.bus.bridgeOf(device)!.function.config.bytes[0x1a] = 2;
  bus.plug(bridge(host, '0000:01:03.0', 2), { group: 5 });
  bus.plug(bridge(host, '0000:00:02.0', 3), { group: 6 });
  bus.plug(bridge(host, '0001:00:02.0', 1), { group: 7 });
  bus.plug(vga(host, other), { group: 8 });
  return made;
}

describe('the decode callback [vfio P7/4]', () => {
  it.each([
    ['the only VGA device', { single: true, disableVga: true }, VGA_RSRC_ALL],
    ['VGA access is on', { single: false, disableVga: false }, VGA_RSRC_ALL],
    ['one of several, VGA access off', { single: false, disableVga: true }, NORMAL],
  ] as const)('%s', (_name, { single, disableVga }, decodes) => {
    const { device } = cardHost();
    expect(vgaDecodes(device, single, disableVga)).toBe(decodes);
  });

  it.each([
    ['0000:01:04.0', 'on its bus', VGA_RSRC_ALL],
    ['0000:02:00.0', 'below its bus', VGA_RSRC_ALL],
    ['0000:03:00.0', 'on a bus beside it', NORMAL],
    ['0000:00:03.0', 'on the root bus', NORMAL],
    ['0001:01:00.0', 'on that bus of another domain', NORMAL],
  ])('another VGA device at %s, %s', (other, _where, decodes) => {
    const { device } = two(other);
    expect(vgaDecodes(device, false, true)).toBe(decodes);
  });

  it('a card on a root bus decodes everything: nothing above it could be switched', () => {
    const { bus } = two('0000:00:03.0');
    expect(vgaDecodes(bus.device('0000:00:03.0')!, false, true)).toBe(VGA_RSRC_ALL);
  });
});

describe('what a bound device has [vfio P7/1]', () => {
  it.each<[name: string, physical: boolean, graphics: boolean]>([
    [CARD, true, true],
    [SIBLING, false, false],
    ['0000:00:03.0', false, true],
  ])('%s: a token and a notifier only as a PF (%s), a client only as a VGA device (%s), all gone with it', (name, physical, graphics) => {
    const made = two('0000:00:03.0');
    const { bus, driver, process } = made;
    const device = bus.device(name)!;
    const { listeners } = bus;
    const has = (): readonly unknown[] => [driver.vfioDevice(device)?.token !== undefined, bus.listeners - listeners, bus.vga.hasClient(device)];
    expect(has()).toEqual([false, 0, false]);
    process.writeFile(`${device.sysfs}/driver_override`, 'vfio-pci');
    expect(attach(made, device)).toBe(0);
    expect(has()).toEqual([physical, physical ? 1 : 0, graphics]);
    process.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', name);
    expect(has()).toEqual([false, 0, false]);
  });
});

describe('with disable_vga', () => {
  it('the card gives its legacy addresses up while it is bound, and has them back after that [vfio P7/1] [vfio P7/3]', () => {
    const made = cardHost({ parameters: { disableVga: true } });
    const { bus, device, process } = made;
    expect(bus.vga.legacyDecoders).toBe(1);
    expect(attach(made, device)).toBe(0);
    expect([bus.vga.decodes(device), bus.vga.legacyDecoders]).toEqual([0, 0]);
    process.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD);
    expect([bus.vga.decodes(device), bus.vga.legacyDecoders, bus.vga.hasClient(device)]).toEqual([3, 1, false]);
  });

  it('clients are asked from the first access on, when VGA devices come and go', () => {
    const made = cardHost({ parameters: { disableVga: true } });
    const { bus, device, host, process } = made;
    expect(attach(made, device)).toBe(0);
    bus.plug(vga(host, '0000:00:05.0'), { group: 8 });
    const other = bus.device('0000:00:05.0')!;
    host.scheduler.call('remove', bus.remove(other));
    expect(bus.vga.decodes(device)).toBe(0); // nobody has used the arbiter
    const user = open(process, CARD, 1);
    expect(process.tryPread(user.device, new Uint8Array(1), 8 * 2 ** 40 + 0x3c0)).toBeLessThan(0); // no region without VGA access
    expect(bus.vga.access(device)).toBe(0);
    expect(bus.vga.decodes(device)).toBe(VGA_RSRC_ALL); // the only one
  });

  it('an access to the VGA region is the arbiter\'s first use', () => {
    const made = cardHost();
    const { bus, device, host, process } = made;
    expect(attach(made, device)).toBe(0);
    const user = open(process, CARD, 1);
    const bytes = new Uint8Array(4);
    expect([process.tryPread(user.device, bytes, 8 * 2 ** 40 + 0xa_0000), bytes[0]]).toEqual([4, 0xff]);
    bus.plug(vga(host, '0000:00:05.0'), { group: 8 });
    expect(bus.vga.decodes(device)).toBe(VGA_RSRC_ALL); // asked when the other came
  });
});
