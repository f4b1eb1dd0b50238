/** The machine of the VFIO recordings: its PCI functions, with their configuration spaces, resources and groups. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { PciMachineDescription, RecordedDevice } from '@vsim/vfio-pci';
import { Fields, isObject, MalformedRecording, type Json } from './json.ts';

const OWN = new URL('../recordings/vfio/host.json.gz', import.meta.url);

/** The project's own copy. */
export function recordedMachine(): PciMachineDescription {
  return machineOf(parseHost('host.json.gz', gunzipSync(readFileSync(OWN)).toString('utf8')));
}

/** A host.json as text. @throws MalformedRecording */
export function parseHost(path: string, text: string): Fields {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    throw new MalformedRecording(path, undefined, 'not JSON');
  }
  if (!isObject(value)) throw new MalformedRecording(path, undefined, 'expected a JSON object');
  return new Fields(path, 1, value);
}

/** The machine in a host.json. @throws MalformedRecording that names the field */
export function machineOf(host: Fields): PciMachineDescription {
  const all = host.object('devices');
  return { devices: Object.fromEntries(all.keys.map((address) => [address, deviceOf(all.object(address))])) };
}

/** One device of a host.json. @throws MalformedRecording that names the field */
export function deviceOf(device: Fields): RecordedDevice {
  return {
    config: device.string('config'),
    resource: device.list('resource').map((row) => rowOf(device, row)),
    iommu_group: textOrNull(device, 'iommu_group'),
    irq: device.number('irq'),
    rom_head: device.has('rom_head') ? device.string('rom_head') : undefined,
    physfn: textOrNull(device, 'physfn') ?? undefined,
  };
}

/** A text that may be missing or null. */
export function textOrNull(fields: Fields, key: string): string | null {
  return fields.has(key) && fields.raw(key) !== null ? fields.string(key) : null;
}

function rowOf(device: Fields, row: Json): readonly string[] {
  if (!Array.isArray(row)) return device.fail('resource', 'rows of start, end and flags');
  return row.map((cell: Json) => (typeof cell === 'string' ? cell : device.fail('resource', 'hex text')));
}
