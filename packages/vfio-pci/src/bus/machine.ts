/**
 * A PCI machine from a description of a real one: what `lspci -xxxx` and sysfs tell, in the form of the recordings' host.json.
 */
import { assertSameCore, type Host } from '@vsim/vfio-core';
import { Edu } from '../devices/edu.ts';
import { RecordedFunction } from '../devices/recorded-function.ts';
import { RECORDED_WRITE_MASKS } from '../devices/recorded-quirks.ts';
import { read16 } from '../pci/capabilities.ts';
import type { BarInit, PciFunction, PciFunctionInit } from '../pci/pci-function.ts';
import { PCI_DEVICE_ID, PCI_ROM_RESOURCE, PCI_VENDOR_ID } from '../pci/registers.ts';
import { PciBus, type PciBusInit } from './pci-bus.ts';

/** A device as a recording has it. Numbers are hex text, as sysfs prints them. */
export interface RecordedDevice {
  /** The configuration space as hex: 256 or 4096 bytes. */
  readonly config: string;
  /** Rows of sysfs `resource`: start, end, flags. Rows 0 to 5 are BARs, 6 is the ROM. */
  readonly resource: readonly (readonly string[])[];
  /** Number of the IOMMU group; null: none. */
  readonly iommu_group: string | null;
  /** Linux irq number of the INTx pin; 0: none. */
  readonly irq: number;
  /** The first bytes of the ROM's image as hex. */
  readonly rom_head?: string | undefined;
}

export interface PciMachineDescription {
  /** By address, as `0000:00:02.0`. */
  readonly devices: Readonly<Record<string, RecordedDevice>>;
}

/** Makes the hardware of one function. */
export type FunctionModel = (host: Host, init: PciFunctionInit, rom: Uint8Array) => PciFunction;

export interface PciMachineInit extends PciBusInit {
  /** Models by `vendor:device` in hex, besides those of this package (edu); others hold what is written to them. */
  readonly models?: Readonly<Record<string, FunctionModel>> | undefined;
}

const MODELS: Readonly<Record<string, FunctionModel>> = {
  '1234:11e8': (host, init) => new Edu(host, init),
};

const IORESOURCE_IO = 0x100;
const IORESOURCE_PREFETCH = 0x2000;
const IORESOURCE_MEM_64 = 0x10_0000;
const IORESOURCE_ROM_SHADOW = 0x2;

/** Builds the bus with every described device plugged, none bound. @throws TypeError or RangeError for a description that is none */
export function importPciMachine(host: Host, description: PciMachineDescription, init: PciMachineInit): PciBus {
  assertSameCore(host);
  const bus = new PciBus(host, init);
  for (const address of Object.keys(description.devices).sort()) {
    const device = description.devices[address]!;
    bus.plug(makeFunction(host, address, device, init.models ?? {}), {
      group: device.iommu_group === null ? undefined : Number(device.iommu_group),
      irq: device.irq,
      resource: device.resource.map((row) => `${row.join(' ')}\n`).join(''),
    });
  }
  return bus;
}

function makeFunction(host: Host, address: string, device: RecordedDevice, models: Readonly<Record<string, FunctionModel>>): PciFunction {
  const config = hexBytes(device.config, `config of ${address}`);
  const bars = device.resource.slice(0, PCI_ROM_RESOURCE + 1).flatMap((row, index) => barOf(row, index));
  const id = `${hex4(read16(config, PCI_VENDOR_ID))}:${hex4(read16(config, PCI_DEVICE_ID))}`;
  const model = models[id] ?? MODELS[id] ?? ((h, init, rom) => new RecordedFunction(h, init, rom));
  const functionInit: PciFunctionInit = { address, config, bars, vendorBytes: 'storage', writeMasks: RECORDED_WRITE_MASKS.get(id) };
  return model(host, functionInit, hexBytes(device.rom_head ?? '', `rom_head of ${address}`));
}

function barOf(row: readonly string[], index: number): BarInit[] {
  const [start = 0, end = 0, flags = 0] = row.map(Number);
  if (flags === 0) return [];
  const io = (flags & IORESOURCE_IO) !== 0;
  return [
    {
      index,
      kind: io ? 'io' : (flags & IORESOURCE_MEM_64) !== 0 ? 'mem64' : 'mem32',
      prefetchable: (flags & IORESOURCE_PREFETCH) !== 0,
      size: end - start + 1,
      address: start,
      shadow: index === PCI_ROM_RESOURCE && (flags & IORESOURCE_ROM_SHADOW) !== 0,
    },
  ];
}

function hexBytes(text: string, what: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) throw new TypeError(`"${what}" expected an even number of hex digits, got ${text.slice(0, 20)}`);
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i += 1) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0');
}
