/** The sysfs attributes of a PCI device. Kernel: drivers/pci/pci-sysfs.c. */
import { constant, rangeEnd, type Attribute, type Sleeps } from '@vsim/vfio-core';
import { barFlags } from '../pci/bars.ts';
import { IRQ_NOTCONNECTED } from '../pci/intx-line.ts';
import { PCI_REVISION_ID } from '../pci/registers.ts';
import type { PciDevice } from './pci-device.ts';
import { classOf } from './class-of.ts';
import { RESET_FAILED } from './bus-reasons.ts';
import { badValue, parseUnsigned } from './parse.ts';
import { parseResetMethods, resetLocked } from './reset.ts';
import { resumeDevice, suspendDevice } from './runtime-pm.ts';

// Flags of `resource`, as linux/ioport.h has them.
const IORESOURCE_IO = 0x100;
const IORESOURCE_MEM = 0x200;
const IORESOURCE_PREFETCH = 0x2000;
const IORESOURCE_SIZEALIGN = 0x4_0000;
const IORESOURCE_MEM_64 = 0x10_0000;

export function createDeviceAttributes(device: PciDevice, resource: string | undefined): void {
  const { files, profile } = device.host;
  const { bytes } = device.function.config;
  const text = (name: string, show: () => string): void => files.constant(`${device.sysfs}/${name}`, show);
  text('vendor', () => line(device.vendor, 4));
  text('device', () => line(device.deviceId, 4));
  text('subsystem_vendor', () => line(device.subsystem[0], 4));
  text('subsystem_device', () => line(device.subsystem[1], 4));
  text('class', () => line(classOf(device), 6));
  text('revision', () => line(bytes[PCI_REVISION_ID]!, 2));
  text('irq', () => `${device.irqVectors[0]?.number ?? device.function.line?.irq ?? (device.lineUnconnected ? IRQ_NOTCONNECTED : 0)}\n`);
  text('enable', () => `${device.enableCount}\n`);
  text('resource', () => resource ?? resourceRows(device));
  if (profile.powerStateAttribute) text('power_state', () => `${device.powerState}\n`);
  files.add(`${device.sysfs}/config`, config(device));
  files.add(`${device.sysfs}/remove`, { kind: 'attribute', mode: 0o200, store: (input) => remove(device, input) });
  files.add(`${device.sysfs}/rescan`, { kind: 'attribute', mode: 0o200, store: (input) => rescan(device, input) });
  if (device.function.powerCut) files.add(`${device.sysfs}/d3cold_allowed`, d3coldAllowed(device));
  if (device.resetMethods.length === 0) return;
  files.add(`${device.sysfs}/reset`, { kind: 'attribute', mode: 0o200, store: (input) => reset(device, input) });
  if (!profile.resetMethodAttribute) return;
  const methods = (): Sleeps<string> => constant(device.resetMethods.length === 0 ? '' : `${device.resetMethods.join(' ')}\n`);
  files.add(`${device.sysfs}/reset_method`, { kind: 'attribute', mode: 0o644, show: methods, store: (input) => resetMethod(device, input) });
}

/** The configuration space as root sees it. */
function config(device: PciDevice): Attribute {
  return {
    kind: 'attribute',
    mode: 0o644,
    show: () => constant(device.function.config.bytes.slice()),
    store: (bytes, offset) => {
      for (let i = 0; i < bytes.length; i += 1) device.function.configWrite(offset + i, 1, bytes[i]!);
      return constant(bytes.length);
    },
  };
}

function* remove(device: PciDevice, bytes: Uint8Array): Sleeps<number> {
  const value = parseUnsigned(bytes);
  if (value === undefined) return badValue(device.host, 'remove', bytes, 'a number');
  if (value !== 0) yield* device.bus.stopAndRemoveLocked(device);
  return bytes.length;
}

function d3coldAllowed(device: PciDevice): Attribute {
  return {
    kind: 'attribute',
    mode: 0o644,
    show: () => constant(device.d3coldAllowed ? '1\n' : '0\n'),
    store: (bytes) => {
      const value = parseUnsigned(bytes);
      if (value === undefined) return constant(badValue(device.host, 'd3cold_allowed', bytes, 'a number'));
      device.d3coldAllowed = value !== 0;
      return constant(bytes.length);
    },
  };
}

function* rescan(device: PciDevice, bytes: Uint8Array): Sleeps<number> {
  const value = parseUnsigned(bytes);
  if (value === undefined) return badValue(device.host, 'rescan', bytes, 'a number');
  if (value !== 0) yield* device.bus.rescan();
  return bytes.length;
}

/** Chooses among the methods that there are, in any order; none at all forbids resets. */
function* resetMethod(device: PciDevice, bytes: Uint8Array): Sleeps<number> {
  const methods = parseResetMethods(device, new TextDecoder().decode(bytes));
  if (methods === undefined) return badValue(device.host, 'reset_method', bytes, 'methods that the device has, or default');
  device.resetMethods = methods;
  return bytes.length;
}

/** pci_reset_function(): waits for the device, which is awake meanwhile. */
function* reset(device: PciDevice, bytes: Uint8Array): Sleeps<number> {
  if (parseUnsigned(bytes) !== 1) return badValue(device.host, 'reset', bytes, '1');
  const sleeps = device.suspended !== undefined && device.host.profile.runtimePm;
  if (sleeps) resumeDevice(device);
  yield* device.lock.lock();
  const error = resetLocked(device);
  device.lock.unlock();
  if (sleeps) suspendDevice(device);
  return error < 0 ? device.host.refusals.refuse(RESET_FAILED, { device: device.name, methods: device.resetMethods }) : bytes.length;
}

/** Rows of a device that is no bridge: BARs, ROM, and the VF BARs of a PF. */
const RESOURCES = 13;

/** Start, end and flags of each BAR, and of the ROM. */
function resourceRows(device: PciDevice): string {
  let out = '';
  for (let index = 0; index < RESOURCES; index += 1) {
    const bar = device.function.bar(index);
    if (bar === undefined) out += row(0, 0, 0);
    else {
      const kind = bar.kind === 'io' ? IORESOURCE_IO | IORESOURCE_SIZEALIGN : IORESOURCE_MEM | IORESOURCE_SIZEALIGN;
      const flags = kind | (bar.kind === 'mem64' ? IORESOURCE_MEM_64 : 0) | (bar.prefetchable ? IORESOURCE_PREFETCH : 0) | barFlags(bar);
      out += row(bar.address, rangeEnd(bar.address, bar.size) - 1, flags);
    }
  }
  return out;
}

function row(start: number, end: number, flags: number): string {
  const wide = (value: number): string => `0x${value.toString(16).padStart(16, '0')}`;
  return `${wide(start)} ${wide(end)} ${wide(flags)}\n`;
}

function line(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}\n`;
}
