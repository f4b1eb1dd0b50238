/** A PCI machine from a description of a real one: what `lspci -xxxx` and sysfs tell. */
import { assertSameCore, type Host } from '@vsim/vfio-core';
import { Edu } from '../devices/edu.ts';
import { PciTestdev } from '../devices/pci-testdev.ts';
import { RecordedFunction } from '../devices/recorded-function.ts';
import { RECORDED_WRITE_MASKS } from '../devices/recorded-quirks.ts';
import { virtualFunctionConfig } from '../devices/virtual-function-config.ts';
import { findExtendedCapability, read16 } from '../pci/capabilities.ts';
import type { BarInit } from '../pci/bars.ts';
import { idText } from '../pci/ids.ts';
import type { PciFunction, PciFunctionInit } from '../pci/pci-function.ts';
import {
  PCI_DEVICE_ID,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_ROM_RESOURCE,
  PCI_SRIOV_TOTAL_VF,
  PCI_STD_NUM_BARS,
  PCI_VENDOR_ID,
} from '../pci/registers.ts';
import type { VirtualFunctionsInit } from '../pci/sriov.ts';
import { PciBus, type PciBusInit, type PlugInit } from './pci-bus.ts';

/** A device as a recording has it. Numbers are hex text, as sysfs prints them. */
export interface RecordedDevice {
  /** The configuration space as hex: 256 or 4096 bytes. A host.json may show 64 or 128, of which no function can be made. */
  readonly config: string;
  /** Rows of sysfs `resource`: start, end, flags. Rows 0 to 5 are BARs, 6 is the ROM, 7 to 12 the VF BARs of all VFs together. */
  readonly resource: readonly (readonly string[])[];
  /** Number of the IOMMU group; null: none, it is not behind an IOMMU. @default as Linux groups the topology */
  readonly iommu_group?: string | null | undefined;
  /** Linux irq number of the INTx pin; 0: none. */
  readonly irq: number;
  /** The first bytes of the ROM's image as hex. */
  readonly rom_head?: string | undefined;
  /** A virtual function's PF, as the sysfs link tells. */
  readonly physfn?: string | undefined;
  /** The driver that the running kernel has bound. The import binds none. */
  readonly driver?: string | undefined;
  /** What sysfs says, 16 bits, where the configuration space says otherwise: that of a virtual function has ones. */
  readonly vendor?: number | undefined;
  /** As `vendor`: the device id that sysfs tells, 16 bits. */
  readonly device?: number | undefined;
}

/** A whole machine: what a host.json has, and what importPciMachine() builds. */
export interface PciMachineDescription {
  /** By address, as `0000:00:02.0`. */
  readonly devices: Readonly<Record<string, RecordedDevice>>;
}

/** Makes the hardware of one function. */
export type FunctionModel = (host: Host, init: PciFunctionInit, rom: Uint8Array) => PciFunction;

/** What the bus is made of, and models for its functions. */
export interface PciMachineInit extends PciBusInit {
  /** Models by `vendor:device` in hex, besides those of this package (edu, pci-testdev); others hold what is written to them. */
  readonly models?: Readonly<Record<string, FunctionModel>> | undefined;
}

const MODELS: Readonly<Record<string, FunctionModel>> = {
  '1234:11e8': (host, init) => new Edu(host, init),
  '1b36:0005': (host, init) => new PciTestdev(host, init),
};

/** The first of the VF BARs. */
const FIRST_VF_ROW = 7;

const IORESOURCE_IO = 0x100;
const IORESOURCE_PREFETCH = 0x2000;
const IORESOURCE_MEM_64 = 0x10_0000;
const IORESOURCE_ROM_SHADOW = 0x2;

/** Builds the bus with every described device plugged, none bound. @throws TypeError or RangeError for a description that is none */
export function importPciMachine(host: Host, description: PciMachineDescription, init: PciMachineInit): PciBus {
  assertSameCore(host);
  const bus = new PciBus(host, init);
  // Bridges before what is below them; VFs after their PFs.
  const addresses = Object.keys(description.devices).sort();
  for (const address of addresses) {
    const device = description.devices[address]!;
    if (device.physfn === undefined) bus.plug(makeFunction(host, address, device, init.models ?? {}), plugInit(device));
  }
  for (const address of addresses) {
    const device = description.devices[address]!;
    if (device.physfn !== undefined) adoptVirtual(host, bus, address, device, device.physfn);
  }
  return bus;
}

/** How a described function is plugged: its group, its line, what sysfs shows. */
export function plugInit(device: RecordedDevice): PlugInit {
  return {
    group: typeof device.iommu_group === 'string' ? Number(device.iommu_group) : device.iommu_group,
    irq: device.irq,
    resource: device.resource.map((row) => `${row.join(' ')}\n`).join(''),
  };
}

/** The hardware of one described function. @throws TypeError for a description that is none */
export function makeFunction(host: Host, address: string, device: RecordedDevice, models: Readonly<Record<string, FunctionModel>> = {}): PciFunction {
  const config = hexBytes(device.config, `config of ${address}`);
  const bars = device.resource.slice(0, PCI_ROM_RESOURCE + 1).flatMap((row, index) => barOf(row, index));
  const id = idText(read16(config, PCI_VENDOR_ID), read16(config, PCI_DEVICE_ID));
  const model = (Object.hasOwn(models, id) ? models[id] : MODELS[id]) ?? ((h, init, rom) => new RecordedFunction(h, init, rom));
  const functionInit: PciFunctionInit = {
    address,
    config,
    bars,
    vendorBytes: 'storage',
    writeMasks: RECORDED_WRITE_MASKS.get(id),
    virtualFunctions: virtualFunctionsOf(config, device),
  };
  return model(host, functionInit, hexBytes(device.rom_head ?? '', `rom_head of ${address}`));
}

/** Whether others can name a described function as their `physfn`: its bytes show SR-IOV. @throws TypeError for a description that is none */
export function isPhysicalFunction(device: RecordedDevice): boolean {
  return totalVfs(hexBytes(device.config, 'config')) > 0;
}

function totalVfs(config: Uint8Array): number {
  const at = findExtendedCapability(config, PCI_EXT_CAP_ID_SRIOV);
  return at === 0 ? 0 : read16(config, at + PCI_SRIOV_TOTAL_VF);
}

/** What VFs the PF would make: rows 7 to 12 have the slices of all of them. */
function virtualFunctionsOf(config: Uint8Array, device: RecordedDevice): VirtualFunctionsInit | undefined {
  const total = totalVfs(config);
  if (total === 0) return undefined;
  const rows = device.resource.slice(FIRST_VF_ROW, FIRST_VF_ROW + PCI_STD_NUM_BARS);
  const bars = rows.flatMap((row, index) => barOf(row, index)).map((bar) => ({ ...bar, size: bar.size / total }));
  const { config: vf, writeMasks } = virtualFunctionConfig(config);
  return { config: vf, bars, writeMasks, vendorBytes: 'storage', create: (host, init) => new RecordedFunction(host, init) };
}

/** A VF that the description has already: its PF's driver enabled it. */
function adoptVirtual(host: Host, bus: PciBus, address: string, device: RecordedDevice, physfn: string): void {
  const pf = bus.device(physfn);
  if (pf?.sriov === undefined) throw new RangeError(`"physfn" expected a function with SR-IOV, got ${physfn} for ${address}`);
  const bars = device.resource.slice(0, PCI_STD_NUM_BARS).flatMap((row, index) => barOf(row, index));
  const config = hexBytes(device.config, `config of ${address}`);
  const fn = new RecordedFunction(host, { address, config, bars, vendorBytes: 'storage', physicalFunction: pf.function });
  pf.sriov.adopt(bus.plugVirtual(pf, fn, plugInit(device)));
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

/** Bytes of hex text, as descriptions have them. @param what how the error names it @throws TypeError for a text that is none */
export function hexBytes(text: string, what: string): Uint8Array {
  const out = new Uint8Array(text.length >>> 1);
  let bad = 0;
  for (let i = 0; i < out.length; i += 1) {
    const value = (digitOf(text.charCodeAt(2 * i)) << 4) | digitOf(text.charCodeAt(2 * i + 1));
    bad |= value;
    out[i] = value;
  }
  // A character that is no digit is negative, and so is all that it is in.
  if (bad < 0 || text.length % 2 !== 0) throw new TypeError(`"${what}" expected an even number of hex digits, got ${text.slice(0, 20)}`);
  return out;
}

/** Values of hex digits by their codes; -1: none. */
const DIGITS: Int8Array = Int8Array.from({ length: 128 }, (_, code) => '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase()));

/** The value of a hex digit; -1 for another character. */
function digitOf(code: number): number {
  return code < DIGITS.length ? DIGITS[code]! : -1;
}
