/**
 * The machine that a person hands in: lspci's text, a recorded description (host.json), a folder of sysfs, or the machine it runs on.
 */
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UnreadableText, readBytes, readText, reading } from '@vsim/conformance/read-text';
import { machineOf, machineOfText, type MachineDevice } from '@vsim/doctor';
import { checkPhysicalFunctions, isPciAddress, LspciSyntaxError, MachineSyntaxError, recordedDevice, type Json, type RecordedDevice } from '@vsim/vfio-pci';
import { UsageError, type Io } from './io.ts';

const LIVE = '/sys/bus/pci/devices';
const STDIN = 0;
/** The most bytes of an attribute in sysfs. */
const PAGE = 4096;

/** @param given undefined: standard input where that is a pipe or a file, else the machine it runs on. @throws UsageError that tells what is wrong with it */
export function readMachine(given: string | undefined, io: Io): readonly MachineDevice[] {
  const file = given ?? (io.piped ? '-' : undefined);
  if (file === undefined) {
    if (!existsSync(LIVE) || at(LIVE, () => readdirSync(LIVE)).length === 0) throw new UsageError(`no PCI devices in ${LIVE} here; give a FILE with the output of lspci -Dnnvvxxxx`);
    return readFolder(LIVE);
  }
  const path = resolve(io.cwd, file);
  if (file === '') throw new UsageError('expected a FILE, got an empty name');
  if (file !== '-' && at(file, () => statSync(path)).isDirectory()) return readFolder(path);
  const name = file === '-' ? 'standard input' : file;
  const text = at(name, () => readText(file === '-' ? STDIN : path));
  if (text.includes('<access denied>')) io.err(`${name}: capabilities are hidden from ordinary users: run lspci as root, or isolation cannot be told`);
  return told(name, text);
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

/** @throws UsageError with the line and column, or the field, where the text is no such text */
function told(name: string, text: string): readonly MachineDevice[] {
  try {
    return machineOfText(text);
  } catch (error) {
    if (error instanceof LspciSyntaxError) throw new UsageError(`${name}:${error.line}:${error.column}: ${error.message.replace(/^line .*?: /, '')}`);
    if (error instanceof MachineSyntaxError || error instanceof RangeError) throw new UsageError(`${name}: ${error.message}`);
    throw error;
  }
}

/** A folder of sysfs: of its root, of /sys/bus/pci/devices, or copies of these. */
function readFolder(folder: string): readonly MachineDevice[] {
  const places = [folder, join(folder, 'bus/pci/devices'), join(folder, 'sys/bus/pci/devices')];
  const isFolder = (each: string): boolean => statSync(each, { throwIfNoEntry: false })?.isDirectory() === true;
  const place = places.find((each) => isFolder(each) && at(each, () => readdirSync(each)).some(isPciAddress));
  if (place === undefined) throw new UsageError(`${folder}: no PCI devices in it; expected folders named by address, as 0000:00:02.0`);
  const addresses = at(place, () => readdirSync(place)).filter(isPciAddress);
  try {
    const devices = Object.fromEntries(addresses.map((address) => [address, readDevice(join(place, address))]));
    checkPhysicalFunctions(devices);
    return machineOf({ devices });
  } catch (error) {
    if (error instanceof MachineSyntaxError) throw new UsageError(error.message);
    throw error;
  }
}

/** @throws UsageError for what cannot be read, MachineSyntaxError for what is none */
function readDevice(folder: string): RecordedDevice {
  const config = at(join(folder, 'config'), () => readBytes(join(folder, 'config'), PAGE));
  const line = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? at(join(folder, name), () => readBytes(join(folder, name), PAGE).toString('utf8').trim()) : undefined;
  /** A number as sysfs writes it, decimal or with 0x. */
  const number = (name: string): Json => {
    const text = line(name);
    return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : (text ?? null);
  };
  const link = (name: string): Json => {
    try {
      return basename(readlinkSync(join(folder, name)));
    } catch {
      return line(name) ?? null; // a copy may have a file instead of the link
    }
  };
  return recordedDevice(
    {
      config: config.toString('hex'),
      resource: (line('resource') ?? '').split('\n').filter((row) => row !== '').map((row) => row.split(' ')),
      irq: number('irq'),
      vendor: number('vendor'),
      device: number('device'),
      driver: link('driver'),
      iommu_group: link('iommu_group'),
      physfn: link('physfn'),
    },
    folder,
  );
}
