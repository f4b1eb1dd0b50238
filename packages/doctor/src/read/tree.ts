/** sysfs as files: a folder, an archive, or the live /sys; with it what else of /sys and /proc tells of the machine. */
import { addressOf } from './address.ts';
import { isAttribute, takeAttribute } from './attributes.ts';
import type { DeviceDraft } from './draft.ts';
import { lineOf, type Line } from './lines.ts';
import type { Paste } from './paste.ts';
import { PasteDraft } from './paste-draft.ts';
import { takeParameters } from './proc.ts';
import { readInto } from './read-paste.ts';
import { wholeSize } from './rows.ts';
import type { TreeFile } from './tar.ts';

/** Devices of a tree, and which attributes some of them have: where none has one, the tree does not have it. */
class Tree {
  readonly paste = new PasteDraft();
  readonly #drivers = new Set<string>();
  readonly #resets = new Set<string>();
  readonly #devices = new Set<string>();

  take([path, content]: TreeFile, line: Line): void {
    const steps = path.replace(/\/+$/, '').split('/').filter((step) => step !== '' && step !== '.');
    this.#takeGroup(steps, line);
    this.#takeUnit(steps);
    this.#takePlace(steps, content, line);
    const name = steps.at(-1);
    const address = addressOf(steps.at(-2) ?? '');
    if (name !== undefined && address !== undefined && isAttribute(name) && !path.endsWith('/')) {
      const device = this.#device(address, line);
      if (content instanceof Uint8Array && name === 'config') this.#takeConfig(device, content, line);
      else this.#takeAttribute(device, name, linkOrText(content), line);
    } else if (content instanceof Uint8Array) this.#takeProc(steps, content, line);
  }

  finish(): Paste {
    for (const address of this.#devices) {
      const device = this.paste.known(address);
      if (device === undefined) continue;
      if (this.#drivers.size > 0 && !this.#drivers.has(address)) device.driver = null;
      if (this.#resets.size > 0) device.resettable = this.#resets.has(address);
    }
    return this.paste.finish();
  }

  #device(address: string, line: Line): DeviceDraft {
    this.paste.enter('sysfs', line);
    this.#devices.add(address);
    return this.paste.device(address, line.number);
  }

  /** `kernel/iommu_groups/1/devices/0000:01:00.0`, and the folder alone. */
  #takeGroup(steps: readonly string[], line: Line): void {
    const at = steps.lastIndexOf('iommu_groups');
    if (at < 0) return;
    const [number, , name] = steps.slice(at + 1);
    this.paste.machine.hasGroups = (this.paste.machine.hasGroups ?? false) || number !== undefined;
    const address = addressOf(name ?? '');
    if (address !== undefined && /^\d{1,9}$/.test(number!)) this.paste.tell(this.#device(address, line), Number(number), line, 'sysfs');
  }

  /** `class/iommu/dmar0`, and the folder alone. */
  #takeUnit(steps: readonly string[]): void {
    const at = steps.lastIndexOf('iommu');
    if (at < 1 || steps[at - 1] !== 'class') return;
    const unit = steps[at + 1];
    this.paste.units ??= new Set();
    if (unit !== undefined) this.paste.units.add(unit);
  }

  /** The folders around a device are the bridges above it; a link leads through them. */
  #takePlace(steps: readonly string[], content: TreeFile[1], line: Line): void {
    const target = !(content instanceof Uint8Array) && addressOf(steps.at(-1) ?? '') !== undefined ? content.link.split('/') : undefined;
    const path = target ?? steps;
    const root = path.findLastIndex((step) => /^pci[0-9a-f]{4,8}:[0-9a-f]{2}$/.test(step));
    if (root < 0) return;
    let above: string | null = null;
    for (const step of path.slice(root + 1)) {
      const address = addressOf(step);
      if (address === undefined) return;
      this.#device(address, line).parent = above;
      above = address;
    }
  }

  #takeConfig(device: DeviceDraft, content: Uint8Array, line: Line): void {
    const size = wholeSize(content.length);
    if (size !== content.length) this.paste.unread(line.number, line.text, `has ${content.length} bytes, expected 64, 128, 256, 4096`);
    if (size !== undefined) device.overwrite(content.slice(0, size));
  }

  #takeAttribute(device: DeviceDraft, name: string, text: string, line: Line): void {
    takeAttribute(device, name, text, line, this.paste);
    if (name === 'driver' && device.driver !== undefined) this.#drivers.add(device.address);
    if (name === 'reset') this.#resets.add(device.address);
  }

  /** Files of /proc, wherever they were put. */
  #takeProc(steps: readonly string[], content: Uint8Array, line: Line): void {
    const name = steps.at(-1);
    if (name === 'cmdline' && (steps.length === 1 || steps.at(-2) === 'proc')) takeParameters(textOf(content).trim(), this.paste);
    else if (name === 'iomem' || name === 'version' || (name === 'cpuinfo' && steps.at(-2) === 'proc')) readInto(this.paste, textOf(content), line.number);
  }
}

/**
 * Reads a machine from the files of its sysfs: of any part of /sys that has devices, with or without /proc. Paths may begin with anything; a link may
 * be a file that has where it leads as its text. `line` of what is told is the file's place, from 1.
 *
 * @example
 * ```ts
 * import { readTree } from '@vsim/doctor';
 *
 * const { devices } = readTree([
 *   ['sys/bus/pci/devices/0000:01:00.0/vendor', new TextEncoder().encode('0x10de\n')],
 *   ['sys/bus/pci/devices/0000:01:00.0/driver', { link: '../../../bus/pci/drivers/nouveau' }],
 * ]);
 * console.log(devices[0]?.vendor === 0x10de, devices[0]?.driver); // true nouveau
 * ```
 */
export function readTree(files: Iterable<TreeFile>): Paste {
  const tree = new Tree();
  let place = 0;
  for (const file of files) tree.take(file, lineOf(file[0], ++place));
  return tree.finish();
}

function linkOrText(content: TreeFile[1]): string {
  return content instanceof Uint8Array ? textOf(content).trim() : content.link;
}

/** tar fills files up that were shorter than sysfs said. */
function textOf(content: Uint8Array): string {
  return new TextDecoder().decode(content).replaceAll('\0', '');
}
