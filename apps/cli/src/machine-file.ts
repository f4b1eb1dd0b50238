/**
 * What a person hands in: a text that shows a machine, a recorded description (host.json), a folder or a tar of sysfs, or the machine it runs on.
 */
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { basename, dirname, join, resolve } from 'node:path';
import { MOST_FILE_BYTES, UnreadableText, readBytes, readText, reading } from '@vsim/conformance/read-text';
import { findErrors, readPaste, readTree, tarEntries, type Paste, type TreeFile } from '@vsim/doctor';
import { isPciAddress } from '@vsim/vfio-pci';
import type { Question } from '@vsim/web';
import { UsageError, type Io } from './io.ts';

const LIVE = '/sys/bus/pci/devices';
const STDIN = 0;
/** The most bytes of an attribute in sysfs. */
const PAGE = 4096;
/** Attributes of a device that are text; some only root may read. */
const ATTRIBUTES = ['vendor', 'device', 'class', 'revision', 'subsystem_vendor', 'subsystem_device', 'resource', 'reset_method', 'boot_vga'] as const;
/** Links of a device; a copy may have a file with their text instead. */
const LINKS = ['driver', 'iommu_group', 'physfn'] as const;

/** What was handed in: read, and as it came. */
export interface Machine {
  readonly paste: Paste;
  /** The text, or the files of a tree, with its name. */
  readonly question: Question;
}

/** @param given undefined: standard input where that is a pipe or a file, else the machine it runs on. @throws UsageError that tells what is wrong with it */
export function readMachine(given: string | undefined, io: Io): Machine {
  const file = given ?? (io.piped ? '-' : undefined);
  if (file === undefined) {
    if (!existsSync(LIVE) || at(LIVE, () => readdirSync(LIVE)).length === 0) throw new UsageError(`no PCI devices in ${LIVE} here; give a FILE with the output of sudo lspci -Dnnvvxxxx`);
    return readFolder(LIVE);
  }
  const path = resolve(io.cwd, file);
  if (file === '') throw new UsageError('expected a FILE, got an empty name');
  if (file !== '-' && at(file, () => statSync(path)).isDirectory()) return readFolder(path);
  const name = file === '-' ? 'standard input' : file;
  if (/\.t(?:ar|ar\.gz|gz)$/.test(name)) return ofFiles(name, tarEntries(at(name, () => unpacked(path))));
  const text = at(name, () => readText(file === '-' ? STDIN : path));
  return { paste: found(name, readPaste(text)), question: { text, name: basename(name) } };
}

/** @throws UsageError where nothing shows a function */
function ofFiles(name: string, files: readonly TreeFile[]): Machine {
  return { paste: found(name, readTree(files)), question: { files, name: basename(name) } };
}

/** Runs a read of what a person named; its failure becomes one line. @throws UsageError */
function at<T>(name: string, read: () => T): T {
  try {
    return reading(read);
  } catch (error) {
    if (error instanceof UnreadableText) throw new UsageError(`${name}: ${error.message}`);
    throw error;
  }
}

/** @throws UsageError where nothing shows a function, and no line is a known error */
function found(name: string, paste: Paste): Paste {
  if (paste.devices.length > 0 || findErrors(paste.machine.log).length > 0) return paste;
  const first = paste.unread.find(({ why }) => why !== undefined);
  const why = first === undefined ? '' : ` (line ${first.line}: ${first.why!})`;
  throw new UsageError(`${name}: no PCI function in it${why}; best is what "sudo lspci -Dnnvvxxxx" prints, and any form of lspci, listings of IOMMU groups and dmesg are read`);
}

/** The bytes of an archive, packed or not. @throws UnreadableText */
function unpacked(path: string): Uint8Array {
  const bytes = readBytes(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: MOST_FILE_BYTES });
  } catch {
    throw new UnreadableText('not a whole gzip file');
  }
}

/** A folder of sysfs: of its root, of /sys/bus/pci/devices, or copies of these. */
function readFolder(folder: string): Machine {
  const places = [folder, join(folder, 'bus/pci/devices'), join(folder, 'sys/bus/pci/devices')];
  const place = places.find((each) => isFolder(each) && at(each, () => readdirSync(each)).some(isPciAddress));
  if (place === undefined) throw new UsageError(`${folder}: no PCI devices in it; expected folders named by address, as 0000:00:02.0`);
  const root = place.endsWith('bus/pci/devices') ? dirname(dirname(dirname(place))) : undefined;
  return ofFiles(folder, [...deviceFiles(place), ...(root === undefined ? [] : machineFiles(root))]);
}

function* deviceFiles(place: string): Iterable<TreeFile> {
  for (const address of at(place, () => readdirSync(place)).filter(isPciAddress)) {
    const folder = join(place, address);
    const own = linkOf(folder);
    if (own !== undefined) yield [`bus/pci/devices/${address}`, { link: own }];
    yield [`${address}/config`, at(join(folder, 'config'), () => readBytes(join(folder, 'config'), PAGE))];
    for (const name of ATTRIBUTES) yield* optional(`${address}/${name}`, join(folder, name));
    if (existsSync(join(folder, 'reset'))) yield [`${address}/reset`, new Uint8Array(0)];
    for (const name of LINKS) {
      const link = linkOf(join(folder, name));
      if (link === undefined) yield* optional(`${address}/${name}`, join(folder, name));
      else yield [`${address}/${name}`, { link }];
    }
  }
}

/** Groups and IOMMUs of the running kernel, and what /proc beside it says. @param root of sysfs */
function* machineFiles(root: string): Iterable<TreeFile> {
  const groups = join(root, 'kernel/iommu_groups');
  if (isFolder(groups)) {
    yield ['kernel/iommu_groups/', new Uint8Array(0)];
    for (const number of readdirSync(groups)) for (const address of listOf(join(groups, number, 'devices'))) yield [`kernel/iommu_groups/${number}/devices/${address}`, { link: address }];
  }
  const units = join(root, 'class/iommu');
  if (isFolder(units)) {
    yield ['class/iommu/', new Uint8Array(0)];
    for (const name of readdirSync(units)) yield [`class/iommu/${name}`, { link: name }];
  }
  for (const name of ['cmdline', 'version', 'iomem']) yield* optional(`proc/${name}`, join(dirname(root), 'proc', name));
}

/** A file that may be missing, or be for root alone. */
function* optional(name: string, path: string): Iterable<TreeFile> {
  if (!existsSync(path) || isFolder(path)) return;
  try {
    yield [name, readBytes(path, MOST_FILE_BYTES)];
  } catch {
    // What ordinary users may not read the report does not have.
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function listOf(folder: string): readonly string[] {
  return isFolder(folder) ? readdirSync(folder) : [];
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
