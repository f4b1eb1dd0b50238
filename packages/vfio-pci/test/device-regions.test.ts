/** Regions of a driver's own: Intel graphics, which vfio-pci itself gives some, and migration by a region (version 1). */
import {
  EINVAL,
  MigrationRegionV1,
  V1_STATE,
  VFIO_REGION_INFO_CAP_TYPE,
  getDeviceInfo,
  getRegionInfo,
  type InfoCapability,
  type MigrationV1Device,
  type ProfileName,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { PciFunction, REGION_SPAN, VfioPciDevice, VfioPciDriver, buildConfig, createEdu, migrationRegion, type DeviceRegion, type PciDevice, type VfioPciDeviceInit } from '../src/index.ts';
import { why } from '../../../testing/why.ts';
import { configAccess, openLayout } from './config-host.ts';
import { bind, eduHost, open } from './edu-host.ts';

const IGD = '0000:00:02.0';
const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const ASLS = 0xfc;
const KIB = 8;

/** Type and subtype of a TYPE capability. */
function typeOf(capabilities: readonly InfoCapability[]): readonly number[] | undefined {
  const found = capabilities.find(({ id }) => id === VFIO_REGION_INFO_CAP_TYPE);
  if (found === undefined) return undefined;
  const view = new DataView(found.data.buffer, found.data.byteOffset);
  return [view.getUint32(0, true), view.getUint32(4, true)];
}

interface IgdInit {
  readonly profile?: ProfileName;
  readonly vendor?: number;
  readonly class?: number;
  readonly asls?: number;
  readonly signature?: string;
  readonly bridges?: readonly string[];
}

/** Graphics at 00:02.0, host bridge and LPC bridge, and an OpRegion of 8 KiB in RAM. */
function igdHost(init: IgdInit = {}) {
  const made = eduHost(init.profile === undefined ? {} : { profile: init.profile });
  const { host, bus, process } = made;
  host.scheduler.call('remove', bus.remove(bus.device(IGD)!));
  // edu's place is taken by hardware; another device of the bus has what is needed.
  const place = '0000:00:03.0';
  const at = init.asls ?? 0x1_0000_0000 - 0x10_0000;
  const config = buildConfig({ vendor: init.vendor ?? 0x8086, device: 0x0166, class: init.class ?? 0x03_0000 });
  new DataView(config.buffer).setUint32(ASLS, at, true);
  const memory = host.memory;
  const text = new TextEncoder().encode(init.signature ?? 'IntelGraphicsMem');
  const ram = 0xfff0_0000;
  memory.map(ram, KIB * 1024, ramDevice(text));
  bus.plug(new PciFunction(host, { address: place, config }), { group: 4 });
  for (const address of init.bridges ?? ['0000:00:00.0', '0000:00:1f.0']) {
    const isHost = address.endsWith('00.0');
    const bridge = buildConfig({ vendor: 0x8086, device: isHost ? 0x29c0 : 0x2918, class: isHost ? 0x06_0000 : 0x06_0100, express: !isHost });
    bus.plug(new PciFunction(host, { address, config: bridge }), { group: isHost ? 5 : 6 });
  }
  bind(process, place);
  return { ...made, place };
}

/** Memory that begins with a signature and its size in KiB. */
function ramDevice(signature: Uint8Array) {
  const bytes = new Uint8Array(KIB * 1024);
  bytes.set(signature);
  bytes[16] = KIB;
  bytes[KIB * 1024 - 1] = 0x5a;
  const view = new DataView(bytes.buffer);
  return {
    read: (offset: number, width: number) => (width === 1 ? view.getUint8(offset) : width === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true)),
    write: () => undefined,
  };
}

describe('Intel graphics [vfio 3.3/5]', () => {
  it.each(PROFILES)('%s: OpRegion, host bridge and LPC bridge as regions 9 to 11, read-only, each told by its type', (profile) => {
    const { process, place, bus, events } = igdHost({ profile });
    const { device } = open(process, place, 4);
    expect(getDeviceInfo(process, device).numRegions).toBe(12);
    expect(why(events, () => process.pwrite(device, new Uint8Array(4), 9 * REGION_SPAN))).toBe('EINVAL vfio-pci/read-only-region: region of type 2147516550, subtype 1 can only be read');
    const regions = [9, 10, 11, 12].map((index) => {
      try {
        const { size, flags, offset, capabilities } = getRegionInfo(process, device, index);
        return [Number(size), flags, Number(offset / BigInt(REGION_SPAN)), typeOf(capabilities)];
      } catch {
        return 'EINVAL';
      }
    });
    const type = 0x8000_8086;
    expect(regions).toEqual([[KIB * 1024, 9, 9, [type, 1]], [256, 9, 10, [type, 2]], [4096, 9, 11, [type, 3]], 'EINVAL']);

    const bytes = new Uint8Array(16);
    expect(process.tryPread(device, bytes, 9 * REGION_SPAN)).toBe(16);
    expect(new TextDecoder().decode(bytes)).toBe('IntelGraphicsMem');
    expect([process.tryPread(device, bytes, 9 * REGION_SPAN + KIB * 1024 - 1), bytes[0]]).toEqual([1, 0x5a]);
    expect(process.tryPread(device, bytes, 9 * REGION_SPAN + KIB * 1024)).toBe(-EINVAL);
    expect(process.tryPwrite(device, bytes, 9 * REGION_SPAN)).toBe(-EINVAL);
    expect([process.tryPread(device, bytes, 10 * REGION_SPAN), bytes[0], bytes[1], bytes[2], bytes[3]]).toEqual([16, 0x86, 0x80, 0xc0, 0x29]);
    expect([process.tryPread(device, bytes, 11 * REGION_SPAN), bytes[2], bytes[3]]).toEqual([16, 0x18, 0x29]);
    expect(process.tryPwrite(device, bytes, 11 * REGION_SPAN)).toBe(-EINVAL);
    expect(process.tryMmap(device, 4096, 9 * REGION_SPAN, 1, 1)).toBe(-EINVAL);

    // The guest's firmware has an OpRegion of its own: the address is the user's.
    const { get, put } = configAccess(process, device);
    expect(get(ASLS, 4)).toBe(0xfff0_0000);
    put(ASLS, 4, 0x1234_5000);
    expect([get(ASLS, 4), bus.function(place)?.configRead(ASLS, 4)]).toEqual([0x1234_5000, 0xfff0_0000]);
    process.close(device);
  });

  it('has configuration bytes of four owners: the header, a capability, nobody, the user alone [vfio 3.5/3]', () => {
    const { process, place, bus } = igdHost();
    const { get, put } = configAccess(process, open(process, place, 4).device);
    const fn = bus.function(place);
    if (fn === undefined) throw new Error('no function');
    for (const at of [0x00, 0xf8, ASLS]) fn.config.writable.fill(0xff, at, at + 4);
    const after = (at: number): readonly number[] => {
      put(at, 4, 0x1111_2222);
      const hardware = fn.config.read(at, 4);
      fn.config.set(at, 4, 0x3333_4444);
      return [hardware, get(at, 4)];
    };
    // Ids of the header: kept from open. A gap: the hardware's both ways. The OpRegion's address: the user's both ways.
    expect(after(0x00)).toEqual([0x0166_8086, 0x0166_8086]);
    expect(after(0xf8)).toEqual([0x1111_2222, 0x3333_4444]);
    expect(after(ASLS)).toEqual([0xfff0_0000, 0x1111_2222]);
    // A capability without a table: shown, and not written.
    const layout = openLayout({ structures: [[0x12, 0x40, 0x10, 0, 1, 2, 3, 4]], writable: { 0x44: 0xffff_ffff } });
    layout.put(0x44, 4, 0);
    expect([layout.hardware(0x44, 4), layout.get(0x44, 4)]).toEqual([0x0403_0201, 0x0403_0201]);
  });

  it.each<[why: string, init: IgdInit, regions: number]>([
    ['its OpRegion is nowhere', { asls: 0 }, 9],
    ['its OpRegion is nowhere, in ones', { asls: 0xffff_ffff }, 9],
    ['there is no host bridge at 00:00.0', { bridges: ['0000:00:1f.0'] }, 10],
    ['there is no LPC bridge at 00:1f.0', { bridges: ['0000:00:00.0'] }, 11],
    ['it is not Intel\'s', { vendor: 0x1234 }, 9],
    ['it is no VGA device', { class: 0x03_8000 }, 9],
  ])('%s: it is opened with fewer regions', (_why, init, regions) => {
    const { process, place } = igdHost(init);
    const { device } = open(process, place, 4);
    expect(getDeviceInfo(process, device).numRegions).toBe(regions);
  });

  it('an OpRegion that is none ends the open with EINVAL, and the device is as it was', () => {
    const { process, place, bus, driver, events } = igdHost({ signature: 'IntelGraphicsMem'.toLowerCase() });
    expect(why(events, () => open(process, place, 4))).toBe(`EINVAL vfio-pci/igd: ${place}: its OpRegion has no signature or size, or a bridge of the chipset is not Intel's`);
    const device = bus.device(place)!;
    expect([device.enableCount, driver.vfioDevice(device)?.inUse, driver.vfioDevice(device)?.openCount]).toEqual([0, false, 0]);
  });
});

describe('migration by a region, version 1', () => {
  const state: MigrationV1Device = { transition: () => 0, pendingBytes: () => 3, nextChunk: () => Uint8Array.of(7, 8, 9), load: () => 0 };

  class MigratingV1 extends VfioPciDevice {
    readonly region: MigrationRegionV1 = new MigrationRegionV1(state, { dataSize: 0x1000 });

    protected override deviceRegions(): readonly DeviceRegion[] {
      return [migrationRegion(this.device.host, this.region)];
    }
  }

  class Driver extends VfioPciDriver {
    override readonly name = 'v1-vfio-pci';

    protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
      return new MigratingV1(this.vfio, device, init);
    }
  }

  it.each(['linux-5.10', 'linux-5.13'] as const)('%s: found by type 3, subtype 1; its state machine behind pread and pwrite [vfio 3.3/5]', (profile) => {
    const { host, bus, vfio, process, events } = eduHost({ profile });
    host.scheduler.call('modprobe', bus.addDriver(new Driver(vfio)));
    bus.plug(createEdu(host, '0000:00:06.0'), { group: 6 });
    bind(process, '0000:00:06.0', 'v1-vfio-pci');
    const { device } = open(process, '0000:00:06.0', 6);
    const info = getRegionInfo(process, device, 9);
    expect([info.size, info.flags, typeOf(info.capabilities)]).toEqual([0x2000n, 11, [3, 1]]);
    const put = (value: number): number => process.tryPwrite(device, new Uint8Array(new Uint32Array([value]).buffer), Number(info.offset));
    const word = (at: number, length: number): number => {
      const bytes = new Uint8Array(length);
      return process.tryPread(device, bytes, Number(info.offset) + at) < 0 ? -1 : bytes[0]!;
    };
    expect([word(0, 4), put(V1_STATE.RESUMING | V1_STATE.RUNNING), put(V1_STATE.PRE_COPY), word(0, 4)]).toEqual([V1_STATE.RUNNING, -EINVAL, 4, V1_STATE.PRE_COPY]);
    expect([word(8, 8), word(16, 8), word(24, 8), word(0x1000, 1)]).toEqual([3, 0, 3, 7]);
    expect(word(1, 2)).toBe(-1);
    expect(why(events, () => put(V1_STATE.RESUMING))).toBe('EINVAL migration/region-v1: 4 bytes at 0x0 of the migration region, whose device_state is 3');
  });
});
