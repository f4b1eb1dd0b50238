/** The configuration space that a user sees: how accesses are cut, and what of each structure is shown and taken. Catalogue: vfio 3.5, 3.6. */
import { EFAULT, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, getIrqInfo, setIrqTriggers, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { NativeDriver, PciFunction, buildConfig, pciId, virtualFunctionConfig } from '../src/index.ts';
import { configAccess, openLayout } from './config-host.ts';
import { CONFIG, bind, eduHost, open } from './edu-host.ts';

const PM = 0x01;
const VPD = 0x03;
const MSI = 0x05;
const PCIX = 0x07;
const VENDOR = 0x09;
const SSVID = 0x0d;
const EXP = 0x10;
const MSIX = 0x11;
const SATA = 0x12;
const AF = 0x13;

describe('accesses', () => {
  it('that leave the space are EFAULT, also from inside, and do nothing; none of no bytes is 0 [vfio 3.5/1]', () => {
    const { process, device, hardware } = openLayout({ bytes: { 0xfc: 1, 0xfd: 2, 0xfe: 3, 0xff: 4 } });
    const into = new Uint8Array(8).fill(0xee);
    expect(process.tryPread(device, into, CONFIG + 0xfc)).toBe(-EFAULT);
    expect(into).toEqual(new Uint8Array(8).fill(0xee));
    expect(process.tryPread(device, into.subarray(0, 1), CONFIG + 0x100)).toBe(-EFAULT);
    expect(process.tryPread(device, into.subarray(0, 4), CONFIG + 0xfc)).toBe(4);
    expect(process.tryPwrite(device, new Uint8Array(8).fill(0x55), CONFIG + 0xfc)).toBe(-EFAULT);
    expect(hardware(0xfc, 4)).toBe(0x0403_0201);
    expect(process.tryPread(device, new Uint8Array(0), CONFIG + 0xfc)).toBe(0);
    expect(process.tryPwrite(device, new Uint8Array(0), CONFIG + 0xfc)).toBe(0);
  });

  it('are cut into aligned pieces of 4, 2 and 1, never across a dword or a structure [vfio 3.5/2]', () => {
    const { process, device, fn } = openLayout({ structures: [[VENDOR, 0x80, 6]] });
    const pieces = (at: number, length: number): string[] => {
      fn.accesses.length = 0;
      process.pread(device, new Uint8Array(length), CONFIG + at);
      const read = fn.accesses.map(([, offset, width]) => `${offset.toString(16)}/${width}`);
      fn.accesses.length = 0;
      process.pwrite(device, new Uint8Array(length), CONFIG + at);
      expect(fn.accesses.filter(([what]) => what === 'w').map(([, offset, width]) => `${offset.toString(16)}/${width}`)).toEqual(read);
      return read;
    };
    expect(pieces(0xa1, 10)).toEqual(['a1/1', 'a2/2', 'a4/4', 'a8/2', 'aa/1']);
    expect(pieces(0xa3, 2)).toEqual(['a3/1', 'a4/1']);
    // Six bytes of the vendor's, then a gap: the second dword is two pieces.
    expect(pieces(0x80, 8)).toEqual(['80/4', '84/2', '86/2']);
    expect(pieces(0x7e, 4)).toEqual(['7e/2', '80/2']);
  });

  it('take virtual bits from the copy and the rest from hardware, and drop what is not writable [vfio 3.5/4]', () => {
    const { get, put, hardware, fn } = openLayout({ interruptPin: 1, bytes: { 0x08: 0x5a } });
    // COMMAND: bit 10 is virtual; the others are the hardware's, which has no bit 3.
    put(0x04, 2, 0x040e);
    expect(hardware(0x04, 2) & 0x000f).toBe(0x0006);
    expect(get(0x04, 2)).toBe(0x0406);
    fn.config.set(0x04, 2, fn.command | 0x0100);
    expect(get(0x04, 2)).toBe(0x0506);
    put(0x08, 1, 0xff);
    expect([get(0x08), hardware(0x08)]).toEqual([0x5a, 0x5a]);
  });

  it('of a capability without a table: hardware, except for its link or header; writes are dropped [vfio 3.5/5]', () => {
    const { get, put, hardware } = openLayout({
      structures: [[SATA, 0x60, 0x10, 0x00, 1, 2, 3, 4], [SSVID, 0x70], [VENDOR, 0x80, 4], [0x03, 0x100, 9, 8, 7, 6, 5, 4, 3, 2], [0x19, 0x140], [0x0b, 0x160, 1, 0, 0x80, 0]],
      writable: { 0x60: 0xffff_0000, 0x64: 0xffff_ffff, 0x104: 0xffff_ffff },
    });
    expect(get(0x64, 4)).toBe(0x0403_0201);
    put(0x64, 4, 0);
    put(0x62, 2, 0xffff);
    expect(hardware(0x60, 4)).toBe(0x0010_7012);
    expect(hardware(0x64, 4)).toBe(0x0403_0201);
    // The link passes over what is hidden, where hardware names it.
    expect(get(0x60, 4)).toBe(0x0010_8012);
    expect([get(0x61), hardware(0x61)]).toEqual([0x80, 0x70]);
    expect([get(0x100, 4), hardware(0x100, 4)]).toEqual([0x1601_0003, 0x1401_0003]);
    expect(get(0x104, 4)).toBe(0x0607_0809);
    put(0x104, 4, 0);
    expect(hardware(0x104, 4)).toBe(0x0607_0809);
  });

  it('behind the end of a capability are the hardware\'s, also in the same dword [vfio 3.5/6]', () => {
    const { get, put, hardware } = openLayout({ structures: [[MSI, 0x40, 0x80]], bytes: { 0x4c: 1, 0x4d: 2, 0x4e: 3, 0x4f: 4 } });
    put(0x4c, 4, 0xdddd_dddd);
    expect(get(0x4c, 4)).toBe(0xdddd_dddd);
    expect(hardware(0x4c, 4)).toBe(0xdddd_0201);
  });
});

describe('the header', () => {
  it('has ids that nobody writes; a VF has those of its PF [vfio 3.6/1]', () => {
    const { get, put, fn } = openLayout({});
    put(0x00, 4, 0x1234_5678);
    expect(get(0x00, 4)).toBe(0x0009_1d55);
    fn.config.set(0x00, 4, 0);
    expect(get(0x00, 4)).toBe(0x0009_1d55);

    const { host, bus, process } = eduHost({ parameters: { enableSriov: true } });
    const config = buildConfig({ vendor: 0x1d55, device: 2, express: true, sriov: { totalVfs: 1, vfDevice: 3 } });
    const pf = new PciFunction(host, { address: '0000:00:06.0', config, virtualFunctions: { ...virtualFunctionConfig(config), bars: [] } });
    const { sysfs } = bus.plug(pf);
    process.writeFile(`${sysfs}/sriov_drivers_autoprobe`, '0');
    host.scheduler.call('modprobe', bus.addDriver(new NativeDriver('pf-driver', { ids: [pciId(0x1d55, 2)], sriov: 'left' })));
    process.writeFile(`${sysfs}/sriov_numvfs`, '1');
    const vf = bus.devices.find(({ isVirtual }) => isVirtual);
    if (vf === undefined) throw new Error('no VF');
    expect(vf.function.config.read(0, 4)).toBe(0xffff_ffff);
    bind(process, vf.name);
    const user = configAccess(process, open(process, vf.name, vf.iommuGroup?.id).device);
    expect(user.get(0x00, 4)).toBe(0x0003_1d55);
    user.put(0x00, 4, 0);
    expect(user.get(0x00, 4)).toBe(0x0003_1d55);
  });

  it('COMMAND: INTX_DISABLE is virtual, decoding shows as hardware takes it [vfio 3.6/2]', () => {
    const { get, put, hardware, fn } = openLayout({ interruptPin: 1, writable: { 0x04: 0x0546 } });
    put(0x04, 2, 0x0443);
    // No IO decoding in this hardware: not for the user either. Bit 6 goes straight through.
    expect(get(0x04, 2)).toBe(0x0442);
    expect(hardware(0x04, 2)).toBe(0x0442);
    // The user clears the bit; the kernel masks behind his back.
    put(0x04, 2, 0x0042);
    expect(hardware(0x04, 2)).toBe(0x0042);
    fn.config.set(0x04, 2, 0x0442);
    expect(get(0x04, 2)).toBe(0x0042);
  });

  it('STATUS: errors cannot be cleared, and CAP_LIST is off where nothing is shown [vfio 3.6/3]', () => {
    const hidden = openLayout({ structures: [[SSVID, 0x70]] });
    expect([hidden.get(0x06, 2), hidden.hardware(0x06, 2)]).toEqual([0, 0x10]);
    const shown = openLayout({ structures: [[SSVID, 0x70], [VENDOR, 0x80, 4]] });
    shown.fn.config.set(0x06, 2, 0xf910);
    expect(shown.get(0x06, 2)).toBe(0xf910);
    shown.put(0x06, 2, 0xffff);
    expect(shown.hardware(0x06, 2)).toBe(0xf910);
  });

  it('cache line size, latency timer and BIST are the hardware\'s [vfio 3.6/4]', () => {
    const { get, put, hardware, fn } = openLayout({ writable: { 0x0c: 0xff00_ffff } });
    put(0x0c, 4, 0x4433_2211);
    expect(hardware(0x0c, 4)).toBe(0x4400_2211);
    fn.config.set(0x0c, 1, 0x20);
    expect(get(0x0c, 4)).toBe(0x4400_2220);
  });

  it('BARs and ROM are virtual: sized after a write, and no address reaches hardware [vfio 3.6/5]', () => {
    const { get, put, hardware } = openLayout({ bars: [{ index: 0, size: 0x2000 }, { index: 6, size: 0x8000 }] });
    const placed = [hardware(0x10, 4), hardware(0x30, 4)];
    expect([get(0x10, 4), get(0x30, 4)]).toEqual(placed);
    expect(placed).not.toContain(0);
    put(0x10, 4, 0xffff_ffff);
    put(0x30, 4, 0xffff_ffff);
    expect([get(0x10, 4), get(0x30, 4)]).toEqual([0xffff_e000, 0xffff_8001]);
    expect([hardware(0x10, 4), hardware(0x30, 4)]).toEqual(placed);
  });

  it('the capability pointer passes over what is hidden, and is not written [vfio 3.6/6]', () => {
    const { get, put, hardware } = openLayout({ structures: [[SSVID, 0x70], [VENDOR, 0x80, 4]], writable: { 0x34: 0xff } });
    expect([get(0x34), hardware(0x34)]).toEqual([0x80, 0x70]);
    put(0x34, 1, 0x40);
    expect([get(0x34), hardware(0x34)]).toEqual([0x80, 0x70]);
  });

  it('the interrupt line is the user\'s own [vfio 3.6/7]', () => {
    const { get, put, hardware } = openLayout({ interruptPin: 1 });
    const line = hardware(0x3c);
    expect(get(0x3c)).toBe(line);
    put(0x3c, 1, line + 1);
    expect([get(0x3c), hardware(0x3c)]).toEqual([line + 1, line]);
  });

  it.each([
    { what: 'as hardware has it', device: 9, pin: 2, count: 1 },
    { what: '0 with an i40e, whose INTx nothing masks', device: 0x1572, pin: 0, count: 0 },
    { what: '0 with the last of the i40e range', device: 0x158b, pin: 0, count: 0 },
    { what: 'as hardware has it between the ranges', device: 0x1582, pin: 2, count: 1 },
    { what: '0 with an X550', device: 0x1563, pin: 0, count: 0 },
  ])('the interrupt pin is $what, and not written [vfio 3.6/8] [vfio 3.3/6]', ({ device: id, pin, count }) => {
    const { get, put, process, device, fn } = openLayout({ vendor: 0x8086, device: id, interruptPin: 2 });
    put(0x3d, 1, 4);
    expect(get(0x3d)).toBe(pin);
    expect(getIrqInfo(process, device, VFIO_PCI_INTX_IRQ_INDEX)).toMatchObject({ flags: 7, count });
    expect((fn.command & 0x400) !== 0).toBe(count === 0);
  });

  it('everything else is shown and not written [vfio 3.6/9]', () => {
    const { get, put, hardware } = openLayout({ class: 0x01_0802, bytes: { 0x08: 3, 0x28: 1, 0x2c: 2, 0x2e: 3, 0x38: 4, 0x3e: 5, 0x3f: 6 }, writable: { 0x08: 0xffff_ffff, 0x28: 0xffff_ffff, 0x2c: 0xffff_ffff, 0x38: 0xffff_ffff, 0x3c: 0xffff_0000 } });
    for (const at of [0x08, 0x28, 0x2c, 0x38]) {
      const before = hardware(at, 4);
      put(at, 4, 0xffff_ffff);
      expect([get(at, 4), hardware(at, 4)]).toEqual([before, before]);
    }
    put(0x3e, 2, 0xffff);
    expect([get(0x3e, 2), hardware(0x3e, 2)]).toEqual([0x0605, 0x0605]);
    expect(get(0x0e)).toBe(0);
    expect(get(0x08, 4)).toBe(0x0108_0203);
  });
});

describe('power management', () => {
  /** D1, D2 and wake-up from every state; wake-up enabled, data selection. */
  const layout = { structures: [[PM, 0x40, 0x03, 0xfe, 0x00, 0x01]] as const, writable: { 0x44: 0xffff_ffff, 0x40: 0xffff_0000 } };

  it('5.13: the state is changed by the kernel, the rest is the hardware\'s [vfio 3.6/10]', () => {
    const { get, put, hardware, fn } = openLayout(layout, { profile: 'linux-5.13' });
    expect(get(0x42, 2)).toBe(0xfe03);
    expect(get(0x44, 2) & 0x0100).toBe(0x0100);
    fn.accesses.length = 0;
    put(0x44, 2, 0x1e03);
    expect(hardware(0x44, 2)).toBe(0x1e03);
    expect(fn.powerState).toBe(3);
    // Two writes to the register: the user's bits, then the state by the kernel.
    expect(fn.accesses.filter(([what, at]) => what === 'w' && at === 0x44)).toHaveLength(2);
    put(0x44, 2, 0x1c00);
    expect(fn.powerState).toBe(0);
    put(0x42, 2, 0);
    expect(hardware(0x42, 2)).toBe(0xfe03);
  });

  it('6.1: wake-up is hidden in both registers, and not the user\'s to write [vfio 3.6/11] [vfio D61-28]', () => {
    const { get, put, hardware, fn } = openLayout(layout, { profile: 'linux-6.1' });
    fn.config.set(0x44, 2, 0x8100);
    expect(get(0x42, 2)).toBe(0x0603);
    expect(get(0x44, 2)).toBe(0);
    put(0x44, 2, 0x9f00);
    expect(hardware(0x44, 2)).toBe(0x9f00);
    fn.config.set(0x44, 2, 0);
    put(0x44, 2, 0x8100);
    expect(hardware(0x44, 2)).toBe(0);
    put(0x44, 2, 0x0003);
    expect(fn.powerState).toBe(3);
  });
});

describe('vital product data', () => {
  /** An identifier string "vs", the end, and what lies behind it in the EEPROM. */
  const DATA = Uint8Array.of(0x82, 2, 0, 0x76, 0x73, 0x78, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55);

  function read(host: ReturnType<typeof openLayout>, address: number): number | undefined {
    host.put(0x42, 2, address);
    return (host.get(0x42, 2) & 0x8000) === 0 ? undefined : host.get(0x44, 4);
  }

  it('the kernel makes the access that the write of the flag asks for, and turns the flag [vfio 3.6/12]', () => {
    const host = openLayout({ structures: [[VPD, 0x40]], vpd: DATA });
    expect(read(host, 0)).toBe(0x7600_0282);
    expect(read(host, 4)).toBe(0x7873);
    // Past the end tag: nothing, and the flag turns.
    expect(read(host, 8)).toBe(0);
    // Only the write of the upper byte starts it.
    host.put(0x42, 1, 0);
    expect(host.get(0x42, 2)).toBe(0x8000);
    host.put(0x44, 4, 0x6161_0282);
    host.put(0x42, 2, 0x8000);
    expect(host.get(0x42, 2)).toBe(0);
    expect(read(host, 0)).toBe(0x6161_0282);
    expect(host.events.some(({ id }) => id === 'pci/vpd-failed')).toBe(false);
  });

  it.each([
    ['hardware that does not answer', undefined, 0],
    ['an empty EEPROM', new Uint8Array(8).fill(0xff), 0],
    ['a store past the end', DATA, 0x8008],
    ['an unaligned store', DATA, 0x8002],
  ])('%s leaves the flag as the user wrote it [vfio 3.6/12]', (_, vpd, address) => {
    const host = openLayout({ structures: [[VPD, 0x40]], ...(vpd === undefined ? {} : { vpd }) });
    host.put(0x42, 2, address);
    expect(host.get(0x42, 2)).toBe(address);
  });
});

describe('other capabilities', () => {
  it('PCI-X: the command and the ECC register are the hardware\'s [vfio 3.6/13]', () => {
    const { get, put, hardware } = openLayout({
      structures: [[PCIX, 0x40, 0, 0x10]],
      bytes: { 0x44: 0x55 },
      writable: { 0x40: 0xffff_0000, 0x44: 0xffff_ffff, 0x48: 0xffff_ffff, 0x4c: 0xffff_ffff },
    });
    put(0x42, 2, 0x1234);
    put(0x48, 4, 0x5678_9abc);
    expect([hardware(0x42, 2), hardware(0x48, 4)]).toEqual([0x1234, 0x5678_9abc]);
    put(0x44, 4, 0xffff_ffff);
    put(0x4c, 4, 0xffff_ffff);
    expect([get(0x44, 4), hardware(0x44, 4), hardware(0x4c, 4)]).toEqual([0x55, 0x55, 0]);
  });

  it('the vendor\'s own: raw both ways, its id too [vfio 3.6/14]', () => {
    const { get, put, hardware } = openLayout({ structures: [[VENDOR, 0x40, 8, 0xaa]], writable: { 0x40: 0xffff_ffff, 0x44: 0xffff_ffff } });
    put(0x44, 4, 0x1234_5678);
    expect([get(0x44, 4), hardware(0x44, 4)]).toEqual([0x1234_5678, 0x1234_5678]);
    put(0x40, 4, 0xbb08_0009);
    expect(hardware(0x40, 4)).toBe(0xbb08_0009);
  });

  it('PCI Express: DEVCTL2 but for ARI is the hardware\'s [vfio 3.6/16]', () => {
    const { put, hardware } = openLayout({ structures: [[EXP, 0x40, 0x02]], writable: { 0x68: 0xffff_ffff } });
    put(0x68, 2, 0xffff);
    expect(hardware(0x68, 2)).toBe(0xffdf);
  });

  it('MSI-X: shown as hardware has it, enabled by SET_IRQS alone [vfio 3.6/17]', () => {
    const bars = [{ index: 0, size: 0x4000 }];
    const { get, put, hardware, process, device } = openLayout({ bars, structures: [[MSIX, 0x40, 3, 0, 0, 0, 0, 0, 0, 0x20]] });
    put(0x42, 2, 0xc003);
    expect([get(0x42, 2), hardware(0x42, 2)]).toEqual([3, 3]);
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [process.eventfd()]);
    expect(get(0x42, 2)).toBe(0x8003);
    put(0x42, 2, 0);
    expect(hardware(0x42, 2)).toBe(0x8003);
  });

  it('MSI flags: the low byte is the user\'s, enable and count within what SET_IRQS gave [vfio 3.6/18]', () => {
    // 64 bits, eight messages; the upper byte says per-vector masking.
    const { get, put, hardware, process, device } = openLayout({ structures: [[MSI, 0x40, 0x86, 0x01]] });
    put(0x42, 1, 0xff);
    expect(get(0x42)).toBe(0x8e);
    expect(hardware(0x42)).toBe(0x86);
    put(0x42, 1, 0);
    expect(get(0x42)).toBe(0);
    expect(hardware(0x42)).toBe(0x86);
    put(0x43, 1, 0);
    expect([get(0x43), hardware(0x43)]).toEqual([1, 1]);
    setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [process.eventfd(), process.eventfd(), process.eventfd()]);
    // Three vectors are a queue of four.
    put(0x42, 1, 0x71);
    expect(get(0x42)).toBe(0x21);
    expect(hardware(0x42) & 0x71).toBe(0x21);
    put(0x42, 1, 0x00);
    expect(hardware(0x42) & 0x71).toBe(0);
  });

  it('MSI address and data never reach hardware; masks and pending bits are its own [vfio 3.6/19] [vfio 3.6/20]', () => {
    const { get, put, hardware, fn } = openLayout({ structures: [[MSI, 0x40, 0x86, 0x01]] });
    put(0x44, 4, 0xfee0_1000);
    put(0x48, 4, 0x1);
    put(0x4c, 2, 0x4321);
    expect([get(0x44, 4), get(0x48, 4), get(0x4c, 2)]).toEqual([0xfee0_1000, 1, 0x4321]);
    expect([hardware(0x44, 4), hardware(0x48, 4), hardware(0x4c, 2)]).toEqual([0, 0, 0]);
    put(0x50, 4, 0xffff_ffff);
    expect([get(0x50, 4), hardware(0x50, 4)]).toEqual([0xff, 0xff]);
    fn.config.set(0x54, 4, 0x5);
    expect(get(0x54, 4)).toBe(5);
  });

  it.each([
    [0x03, 1],
    [0x01, 0],
    [0x02, 0],
  ])('Advanced Features with capabilities %i: FLR clears itself, and resets %i times [vfio 3.6/21]', (capabilities, resets) => {
    const { get, put, fn } = openLayout({ structures: [[AF, 0x40, 6, capabilities, 0], [PM, 0x60, 3]] });
    const before = fn.resets;
    put(0x44, 1, 0x01);
    expect(fn.resets - before).toBe(resets);
    expect(get(0x44)).toBe(0);
    put(0x44, 1, 0xfe);
    expect(fn.resets - before).toBe(resets);
  });
});

describe('extended capabilities', () => {
  it('AER: the bits that are defined [vfio 3.6/22]', () => {
    const all = Object.fromEntries([0x104, 0x108, 0x10c, 0x110, 0x114, 0x118, 0x11c].map((at) => [at, 0xffff_ffff]));
    const { get, put, hardware } = openLayout({ structures: [[0x0001, 0x100]], writable: { 0x100: 0xffff_ffff, ...all } });
    for (const at of Object.keys(all)) put(Number(at), 4, 0xffff_ffff);
    const [uncorrectable, correctable] = [0x03ff_f031, 0xf1c1];
    expect(Object.keys(all).map((at) => hardware(Number(at), 4))).toEqual([uncorrectable, uncorrectable, uncorrectable, correctable, correctable, 0x140, 0]);
    put(0x100, 4, 0);
    expect(get(0x100, 4)).toBe(0x0001_0001);
  });

  it('power budgeting: the data select register [vfio 3.6/23]', () => {
    const { put, hardware } = openLayout({ structures: [[0x0004, 0x100]], writable: { 0x104: 0xffff_ffff, 0x108: 0xffff_ffff, 0x10c: 0xffff_ffff } });
    for (const at of [0x104, 0x108, 0x10c]) put(at, 4, 0xffff_ffff);
    expect([hardware(0x104, 4), hardware(0x108, 4), hardware(0x10c, 4)]).toEqual([0, 0xff, 0]);
  });

  it('the vendor\'s own: raw [vfio 3.6/24]', () => {
    const { put, hardware } = openLayout({ structures: [[0x000b, 0x100, 1, 0, 0, 1]], writable: { 0x108: 0xffff_ffff } });
    put(0x108, 4, 0x1234_5678);
    expect(hardware(0x108, 4)).toBe(0x1234_5678);
  });

  it('headers and links are virtual and not written; one that is hidden is passed over, the first stays without id [vfio 3.6/25]', () => {
    // PASID, DSN, PTM, LTR: the first and the third are hidden.
    const all = { 0x100: 0xffff_ffff, 0x120: 0xffff_ffff, 0x140: 0xffff_ffff, 0x160: 0xffff_ffff };
    const { get, put, hardware } = openLayout({ structures: [[PM, 0x40, 3], [VENDOR, 0x60, 4], [0x001b, 0x100], [0x0003, 0x120], [0x001f, 0x140], [0x0018, 0x160]], writable: all });
    expect([get(0x100, 4), get(0x120, 4), get(0x160, 4)]).toEqual([0x1200_0000, 0x1601_0003, 0x0001_0018]);
    for (const at of [0x100, 0x120, 0x160]) {
      const before = hardware(at, 4);
      put(at, 4, 0xffff_ffff);
      expect(hardware(at, 4)).toBe(before);
    }
    put(0x40, 2, 0xffff);
    expect([get(0x40, 2), hardware(0x40, 2)]).toEqual([0x6001, 0x6001]);
  });

  it.each(['linux-5.13', 'linux-6.1'] satisfies ProfileName[])('%s: a space with nothing to show reads 0 at 0x100', (profile) => {
    const { get, hardware } = openLayout({ structures: [[0x001b, 0x100]] }, { profile });
    expect([get(0x100, 4), hardware(0x100, 4)]).toEqual([0, 0x0001_001b]);
  });
});
