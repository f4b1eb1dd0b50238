/** The machine of the VFIO recordings: its PCI functions, with their configuration spaces, resources and groups. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { MachineSyntaxError, parsePciMachine, recordedDevice, type Json, type PciMachineDescription, type RecordedDevice } from '@vsim/vfio-pci';
import { Fields, isObject, MalformedRecording } from './json.ts';

const OWN = new URL('../recordings/vfio/host.json.gz', import.meta.url);

/** The project's own copy. */
export function recordedMachine(): PciMachineDescription {
  return parsePciMachine(gunzipSync(readFileSync(OWN)).toString('utf8'));
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

/** One device of a host.json. @throws MalformedRecording that names the field */
export function deviceOf(device: Fields): RecordedDevice {
  try {
    return recordedDevice(device.value, 'device');
  } catch (error) {
    if (error instanceof MachineSyntaxError) throw new MalformedRecording(device.path, device.line, error.message);
    throw error;
  }
}

/** A text that may be missing or null. */
export function textOrNull(fields: Fields, key: string): string | null {
  return fields.has(key) && fields.raw(key) !== null ? fields.string(key) : null;
}
