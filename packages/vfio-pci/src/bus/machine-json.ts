/** host.json: the JSON text of a PciMachineDescription, with one device object for each PCI address. */
import type { PciMachineDescription, RecordedDevice } from './machine.ts';

/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key in string]: Json };

/** A text that describes no PCI machine; `message` names the device and the field. */
export class MachineSyntaxError extends Error {
  /** `MachineSyntaxError`, as error messages show it. */
  override readonly name = 'MachineSyntaxError';
}

const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
/** Sizes that a configuration space is shown in: to ordinary users, of CardBus bridges, of conventional PCI and of PCI Express. */
const CONFIG_BYTES: readonly number[] = [64, 128, 256, 4096];

/** Whether a text is an address of a PCI function as sysfs has them: `0000:00:02.0`. */
export function isPciAddress(text: string): boolean {
  return ADDRESS.test(text);
}

/** Reads a host.json: an object whose `devices` are by address. Other fields of it are not looked at. @throws MachineSyntaxError */
export function parsePciMachine(text: string): PciMachineDescription {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    throw new MachineSyntaxError('not JSON');
  }
  const all = isJsonObject(value) && Object.hasOwn(value, 'devices') ? value['devices'] : undefined;
  if (!isJsonObject(all)) throw new MachineSyntaxError('expected an object with "devices", an object by address');
  const devices: Record<string, RecordedDevice> = {};
  for (const [address, device] of Object.entries(all)) {
    if (!isPciAddress(address)) throw new MachineSyntaxError(`expected addresses, as 0000:00:02.0, got ${shown(address)}`);
    devices[address] = recordedDevice(device, address);
  }
  checkPhysicalFunctions(devices);
  return { devices };
}

/** One device of a host.json. @param where how errors name it @throws MachineSyntaxError */
export function recordedDevice(value: Json | undefined, where: string): RecordedDevice {
  if (!isJsonObject(value)) throw new MachineSyntaxError(`${where}: expected an object, got ${shown(value)}`);
  const reader = new DeviceReader(value, where);
  const config = reader.hex('config') ?? '';
  if (!CONFIG_BYTES.includes(config.length / 2)) throw new MachineSyntaxError(`${where}: config: expected ${CONFIG_BYTES.join(', ')} bytes, got ${config.length / 2}`);
  return {
    config,
    resource: reader.rows('resource'),
    iommu_group: reader.text('iommu_group') ?? null,
    irq: reader.number('irq', 0x7fff_ffff) ?? 0,
    rom_head: reader.hex('rom_head'),
    physfn: reader.text('physfn'),
    driver: reader.text('driver'),
    vendor: reader.number('vendor', 0xffff),
    device: reader.number('device', 0xffff),
  };
}

/** A VF's PF is there, and is no VF itself. @throws MachineSyntaxError */
export function checkPhysicalFunctions(devices: Readonly<Record<string, RecordedDevice>>): void {
  for (const [address, { physfn }] of Object.entries(devices)) {
    if (physfn === undefined) continue;
    const pf = Object.hasOwn(devices, physfn) ? devices[physfn] : undefined;
    if (pf === undefined || pf.physfn !== undefined || physfn === address) throw new MachineSyntaxError(`${address}: its physfn ${shown(physfn)} is no physical function here`);
  }
}

class DeviceReader {
  readonly #fields: Readonly<Record<string, Json>>;
  readonly #where: string;

  constructor(fields: Readonly<Record<string, Json>>, where: string) {
    this.#fields = fields;
    this.#where = where;
  }

  /** Undefined for a field that is missing or null. */
  text(name: string): string | undefined {
    const value = this.#of(name);
    return value === undefined || typeof value === 'string' ? value : this.#fail(name, 'a text', value);
  }

  hex(name: string): string | undefined {
    const text = this.text(name);
    return text === undefined || (text.length % 2 === 0 && /^[0-9a-f]*$/i.test(text)) ? text : this.#fail(name, 'an even number of hex digits', text);
  }

  /** A whole number up to `most`, or hex text with 0x. */
  number(name: string, most: number): number | undefined {
    const value = this.#of(name);
    if (value === undefined) return undefined;
    const number = typeof value === 'string' && /^0x[0-9a-f]+$/i.test(value) ? Number(value) : value;
    return typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= most ? number : this.#fail(name, `a number up to ${most}`, value);
  }

  /** Rows of start, end and flags, each hex text with 0x. */
  rows(name: string): readonly (readonly string[])[] {
    const value = this.#of(name) ?? [];
    return isJsonList(value) ? value.map((row) => this.#row(name, row)) : this.#fail(name, 'rows of start, end and flags, as 0x0', value);
  }

  #row(name: string, row: Json): readonly string[] {
    const cells = isJsonList(row) ? row.filter((cell) => typeof cell === 'string') : [];
    const good = isJsonList(row) && row.length === 3 && cells.length === 3 && cells.every((cell) => /^0x[0-9a-f]{1,16}$/i.test(cell));
    return good ? cells : this.#fail(name, 'rows of start, end and flags, as 0x0', row);
  }

  #of(name: string): Json | undefined {
    return (Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined) ?? undefined;
  }

  #fail(name: string, expected: string, got: Json | undefined): never {
    throw new MachineSyntaxError(`${this.#where}: ${name}: expected ${expected}, got ${shown(got)}`);
  }
}

/** An object, and no list. */
export function isJsonObject(value: Json | undefined): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !isJsonList(value);
}

/** Array.isArray() for lists that are read only. */
export function isJsonList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** What was given, in a few characters of one line. */
function shown(value: Json | undefined): string {
  return (typeof value === 'string' ? value : value === undefined ? 'nothing' : JSON.stringify(value)).replaceAll(/\s+/g, ' ').slice(0, 60);
}
