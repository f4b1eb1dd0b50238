/** A device that is being put together from all places of a text that speak of it. */
import { orderOf } from './address.ts';
import type { PastedDevice, TextForm, ToldGroup } from './paste.ts';

/** What one place of a text says of a device, where it says it. */
export type DeviceWords = {
  -readonly [Key in 'className' | 'classCode' | 'progIf' | 'revision' | 'name' | 'vendor' | 'device' | 'subsystemVendor' | 'subsystem']?: PastedDevice[Key] | undefined;
};

/** The words whose later value counts, and is told: a text has two devices, or two times, where they differ. */
const IDS = ['vendor', 'device'] as const;

export class DeviceDraft {
  readonly address: string;
  readonly line: number;
  readonly groups: ToldGroup[] = [];
  decoded: readonly string[] = [];
  config: Uint8Array | undefined = undefined;
  driver: string | null | undefined = undefined;
  modules: readonly string[] = [];
  parent: string | null | undefined = undefined;
  secondaryBus: number | undefined = undefined;
  physfn: string | undefined = undefined;
  resetMethods: readonly string[] | undefined = undefined;
  resettable: boolean | undefined = undefined;
  resource: PastedDevice['resource'] = undefined;
  bootVga: boolean | undefined = undefined;
  /** The bus below it, by the `Bus:` line of decoded text. */
  decodedBus: number | undefined = undefined;
  readonly #words: DeviceWords = {};
  /** Groups that were told, by form and number. */
  readonly #told = new Set<string>();

  constructor(address: string, line: number) {
    this.address = address;
    this.line = line;
  }

  /** Takes what another place says; what contradicts an earlier one, in words for people. */
  say(words: DeviceWords): string | undefined {
    const own = this.#words;
    let contradiction: string | undefined;
    for (const key of IDS) {
      const [before, now] = [own[key], words[key]];
      if (before !== undefined && now !== undefined && before !== now) {
        contradiction = `${this.address} has ${key} ${hex4(before)} above, ${hex4(now)} here: the later is used`;
        own[key] = now;
        own.name = undefined;
      }
    }
    own.className ??= words.className;
    own.classCode ??= words.classCode;
    own.progIf ??= words.progIf;
    // A device that does not answer shows ff.
    if (words.revision !== undefined) own.revision = words.revision;
    own.name ??= words.name;
    own.vendor ??= words.vendor;
    own.device ??= words.device;
    own.subsystemVendor ??= words.subsystemVendor;
    own.subsystem ??= words.subsystem;
    return contradiction;
  }

  /** Takes decoded lines: of two readings of one device the fuller counts. */
  decode(lines: readonly string[]): void {
    if (lines.length < this.decoded.length) return;
    this.decoded = lines;
    for (const line of lines) {
      const bus = line.startsWith('Bus: ') ? /^Bus: primary=[0-9a-f]{2}, secondary=([0-9a-f]{2})/i.exec(line)?.[1] : undefined;
      if (bus !== undefined) this.decodedBus = Number.parseInt(bus, 16);
    }
  }

  /** Takes bytes over those that are there; whether they differ. */
  overwrite(bytes: Uint8Array): boolean {
    const before = this.config;
    if (before === undefined) {
      this.config = bytes;
      return false;
    }
    const merged = new Uint8Array(Math.max(before.length, bytes.length));
    merged.set(before);
    merged.set(bytes);
    this.config = merged;
    return bytes.subarray(0, before.length).some((byte, at) => byte !== before[at]);
  }

  /** Takes a group that the text names, `number` as the kernel counts from 0, in `line`, from 1; the number that another place named, if that was another. */
  tell(number: number, line: number, form: TextForm): number | undefined {
    const before = this.groups.at(-1);
    const key = `${form} ${number}`;
    if (!this.#told.has(key)) {
      this.#told.add(key);
      this.groups.push({ number, line, form });
    }
    return before !== undefined && before.number !== number ? before.number : undefined;
  }

  finish(): PastedDevice {
    const { className, classCode, progIf, revision, name, vendor, device, subsystemVendor, subsystem } = this.#words;
    const { address, line, decoded, config, driver, modules, groups, parent, secondaryBus, physfn, resetMethods, resettable, resource, bootVga } = this;
    return {
      ...{ address, line, className, classCode, progIf, revision, name, vendor, device, subsystemVendor, subsystem, decoded, config, driver, modules },
      ...{ groups, parent, secondaryBus, physfn, resetMethods, resettable, resource, bootVga },
    };
  }
}

/** In the order of addresses. */
export function inOrder(devices: Iterable<DeviceDraft>): DeviceDraft[] {
  return [...devices].map((device) => ({ device, order: orderOf(device.address) })).sort((a, b) => a.order - b.order).map(({ device }) => device);
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0');
}
