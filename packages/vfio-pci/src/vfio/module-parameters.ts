/** The parameters of the module vfio-pci: their sysfs files, and the language of `ids`. */
import { addBoolParameter, eventKind, type EventKind, type Host } from '@vsim/vfio-core';
import { PCI_ANY_ID, type PciDeviceId } from '../bus/pci-driver.ts';

/** The parameters of the module vfio-pci, all off by default; those that are not read-only can be changed by their files in sysfs. */
export interface VfioPciParameters {
  /** Do not use DisINTx. */
  nointxmask: boolean;
  /** No VGA region, and legacy VGA addresses only where another VGA device of the bus needs them routed. */
  readonly disableVga: boolean;
  /** Leave unused devices in D0. */
  disableIdleD3: boolean;
  /** Physical functions may have VFs. */
  enableSriov: boolean;
  /** Take devices that are known to be unsafe, with a warning. */
  readonly disableDenylist: boolean;
}

/** An item of `ids` is no id, and was passed over. */
export const INVALID_ID_STRING: EventKind<{ readonly text: string }> = eventKind(
  'vfio-pci/invalid-id-string',
  'warn',
  ({ text }) => `invalid id string "${text}": expected vendor:device[:subvendor[:subdevice[:class[:class_mask]]]], in hex`,
);

/** The string has room for so many characters. */
const IDS_LIMIT = 1023;

/**
 * The parameter `ids`: ids apart by commas, empty ones passed over.
 *
 * @throws RangeError for a string that is too long: the module is not loaded
 */
export function parseIds(host: Host, text: string): readonly PciDeviceId[] {
  if (text.length > IDS_LIMIT) throw new RangeError(`"ids" expected at most ${IDS_LIMIT} characters, got ${text.length}`);
  const ids: PciDeviceId[] = [];
  for (const item of text.split(',')) {
    if (item === '') continue;
    const id = parseId(item);
    if (id === undefined) host.trace.emit(INVALID_ID_STRING, { text: item });
    else ids.push(id);
  }
  return ids;
}

/** Fields up to the first that is no hexadecimal number, as sscanf("%x:%x:...") takes them; two are needed. */
function parseId(item: string): PciDeviceId | undefined {
  const fields: number[] = [];
  for (const field of item.split(':').slice(0, 6)) {
    const digits = /^\s*(?:0x)?([0-9a-f]+)/i.exec(field)?.[1];
    if (digits === undefined) break;
    fields.push(Number.parseInt(digits.slice(-8), 16));
  }
  const [vendor, device, subvendor = PCI_ANY_ID, subdevice = PCI_ANY_ID, classCode = 0, classMask = 0] = fields;
  if (vendor === undefined || device === undefined) return undefined;
  return { vendor, device, subvendor, subdevice, class: classCode, classMask };
}

/** /sys/module/vfio_pci/parameters; `ids` has no file. */
export function addParameterFiles(host: Host, parameters: VfioPciParameters): void {
  const fixed = (name: string, value: boolean): void => host.files.constant(`/sys/module/vfio_pci/parameters/${name}`, value ? 'Y\n' : 'N\n');
  fixed('disable_vga', parameters.disableVga);
  fixed('disable_denylist', parameters.disableDenylist);
  const changeable = (name: string, get: () => boolean, set: (on: boolean) => void): void => addBoolParameter(host, 'vfio_pci', name, get, set);
  changeable('nointxmask', () => parameters.nointxmask, (on) => (parameters.nointxmask = on));
  changeable('disable_idle_d3', () => parameters.disableIdleD3, (on) => (parameters.disableIdleD3 = on));
  changeable('enable_sriov', () => parameters.enableSriov, (on) => (parameters.enableSriov = on));
}
