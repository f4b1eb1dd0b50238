/**
 * The machine that a person hands in: lspci's text, a recorded description (host.json), a folder of sysfs, or the machine it runs on.
 */
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { MalformedRecording, UnreadableText, deviceOf, fromHex, parseHost, readBytes, readRecording, readText, reading, textOrNull, toHex } from '@vsim/conformance';
import { LspciSyntaxError, idText, machineOfLspci, parseLspci, pciFacts, type PciFacts, type RecordedDevice } from '@vsim/vfio-pci';
import { UsageError, type Io } from '../io.ts';

/** One function of the machine, as much of it as is known. */
export interface MachineDevice {
  readonly facts: PciFacts;
  readonly driver: string | undefined;
  /** What the machine itself says of its group. */
  readonly iommuGroup: number | undefined;
  readonly description: string;
  /** For the model; its `iommu_group` is not looked at. */
  readonly recorded: RecordedDevice;
}

const LIVE = '/sys/bus/pci/devices';
const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
const STDIN = 0;
/** Sizes that a configuration space is shown in: of ordinary users, of CardBus bridges, of conventional PCI and of PCI Express. */
const CONFIG_SIZES: readonly number[] = [64, 128, 256, 4096];
/** The most bytes of an attribute in sysfs. */
const PAGE = 4096;

/** @param file undefined: the machine it runs on. @throws UsageError that tells what is wrong with it */
export function readMachine(file: string | undefined, io: Io): readonly MachineDevice[] {
  if (file === undefined) {
    if (!existsSync(LIVE) || at(LIVE, () => readdirSync(LIVE)).length === 0) throw new UsageError(`no PCI devices in ${LIVE} here; give a FILE with the output of lspci -Dnnvvxxxx`);
    return readFolder(LIVE);
  }
  const path = resolve(io.cwd, file);
  if (file === '') throw new UsageError('expected a FILE, got an empty name');
  if (file !== '-' && at(file, () => statSync(path)).isDirectory()) return readFolder(path);
  const text = at(file === '-' ? 'standard input' : file, () => readText(file === '-' ? STDIN : path));
  if (text.includes('<access denied>')) io.err(`${file}: capabilities are hidden from ordinary users: run lspci as root, or isolation cannot be told`);
  return machineOfText(file, text);
}

/** The machine of the VFIO recordings. */
export function recordingsMachine(): readonly MachineDevice[] {
  return machineOfText('host.json.gz', readRecording('vfio/host.json.gz'));
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

/** @throws UsageError with the line and column where the text is no such text */
export function machineOfText(name: string, text: string): readonly MachineDevice[] {
  try {
    return text.trimStart().startsWith('{') ? ofDescription(name, text) : ofLspci(text);
  } catch (error) {
    if (error instanceof LspciSyntaxError) throw new UsageError(`${name}:${error.line}:${error.column}: ${error.message.replace(/^line .*?: /, '')}`);
    if (error instanceof MalformedRecording || error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

function ofLspci(text: string): readonly MachineDevice[] {
  const devices = parseLspci(text);
  const { devices: recorded } = machineOfLspci(devices);
  return devices.map(({ address, facts, driver, iommuGroup, description }) => ({ facts, driver, iommuGroup, description, recorded: recorded[address]! }));
}

function ofDescription(name: string, text: string): readonly MachineDevice[] {
  const devices = parseHost(name, text).object('devices');
  const there = new Map<string, RecordedDevice>();
  const out = [...devices.keys].sort().map((address) => {
    const device = devices.object(address);
    if (!ADDRESS.test(address)) throw new UsageError(`${name}: expected addresses, as 0000:00:02.0, got ${address.slice(0, 40)}`);
    const config = device.bytes('config');
    if (!CONFIG_SIZES.includes(config.length)) throw new UsageError(`${name}: config of ${address}: expected ${CONFIG_SIZES.join(', ')} bytes, got ${config.length}`);
    const facts = { ...pciFacts(address, config), vendor: device.count('vendor', 0xffff), device: device.count('device', 0xffff) };
    device.count('irq', 0x7fff_ffff);
    const recorded = deviceOf(device);
    for (const row of recorded.resource) resourceRow(row, `${name}: resource of ${address}`);
    there.set(address, recorded);
    return machineDevice(facts, textOrNull(device, 'driver') ?? undefined, textOrNull(device, 'iommu_group') ?? undefined, recorded);
  });
  for (const [address, { physfn }] of there) checkPhysfn(address, physfn, (pf) => there.get(pf), `${name}: ${address}`);
  return out;
}

function machineDevice(facts: PciFacts, driver: string | undefined, group: string | undefined, recorded: RecordedDevice): MachineDevice {
  const description = `[${(facts.class >>> 8).toString(16).padStart(4, '0')}]: [${idText(facts.vendor, facts.device)}]`;
  return { facts, driver, iommuGroup: group !== undefined && /^[0-9]{1,9}$/.test(group) ? Number(group) : undefined, description, recorded };
}

/** A folder of sysfs: of its root, of /sys/bus/pci/devices, or copies of these. */
function readFolder(folder: string): readonly MachineDevice[] {
  const places = [folder, join(folder, 'bus/pci/devices'), join(folder, 'sys/bus/pci/devices')];
  const isFolder = (each: string): boolean => statSync(each, { throwIfNoEntry: false })?.isDirectory() === true;
  const place = places.find((each) => isFolder(each) && at(each, () => readdirSync(each)).some((name) => ADDRESS.test(name)));
  if (place === undefined) throw new UsageError(`${folder}: no PCI devices in it; expected folders named by address, as 0000:00:02.0`);
  const devices = at(place, () => readdirSync(place)).filter((name) => ADDRESS.test(name)).sort().map((address) => readDevice(join(place, address), address));
  const there = new Map(devices.map((device) => [device.facts.address, device.recorded]));
  for (const { facts: { address }, recorded: { physfn } } of devices) checkPhysfn(address, physfn, (pf) => there.get(pf), join(place, address));
  return devices;
}

function readDevice(folder: string, address: string): MachineDevice {
  const config = new Uint8Array(at(join(folder, 'config'), () => readBytes(join(folder, 'config'), PAGE)));
  if (!CONFIG_SIZES.includes(config.length)) throw new UsageError(`${folder}/config: expected ${CONFIG_SIZES.join(', ')} bytes, got ${config.length}`);
  const line = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? at(join(folder, name), () => readBytes(join(folder, name), PAGE).toString('utf8').trim()) : undefined;
  /** A number as sysfs writes it. */
  const number = (name: string, most: number, otherwise: number): number => {
    const text = line(name);
    if (text === undefined) return otherwise;
    const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN;
    if (!(value <= most)) throw new UsageError(`${join(folder, name)}: expected a number up to ${most}, got ${text.slice(0, 20)}`);
    return value;
  };
  const link = (name: string): string | undefined => {
    try {
      return basename(readlinkSync(join(folder, name)));
    } catch {
      return line(name); // a copy may have a file instead of the link
    }
  };
  const told = pciFacts(address, config);
  const facts = { ...told, vendor: number('vendor', 0xffff, told.vendor), device: number('device', 0xffff, told.device) };
  const full = new Uint8Array(config.length > 256 ? 4096 : 256);
  full.set(config);
  return machineDevice(facts, link('driver'), link('iommu_group'), {
    config: toHex(full),
    resource: (line('resource') ?? '').split('\n').filter((row) => row !== '').map((row) => resourceRow(row.split(' '), join(folder, 'resource'))),
    iommu_group: null,
    irq: number('irq', 0x7fff_ffff, 0),
    physfn: link('physfn'),
  });
}

/** A row of `resource`: start, end and flags. @throws UsageError */
function resourceRow(cells: readonly string[], where: string): readonly string[] {
  if (cells.length !== 3 || cells.some((cell) => !/^0x[0-9a-f]{1,16}$/i.test(cell))) {
    throw new UsageError(`${where}: expected rows of start, end and flags, as 0x0, got ${cells.join(' ').slice(0, 60)}`);
  }
  return cells;
}

/** A VF's PF has to be there, and be none itself. @throws UsageError */
function checkPhysfn(address: string, physfn: string | undefined, deviceAt: (address: string) => RecordedDevice | undefined, where: string): void {
  if (physfn === undefined) return;
  const pf = deviceAt(physfn);
  if (pf === undefined || pf.physfn !== undefined || physfn === address) throw new UsageError(`${where}: its physfn ${physfn} is no physical function here`);
}

/** The configuration space of a device, for printing. */
export function configOf({ recorded }: MachineDevice): Uint8Array {
  return fromHex(recorded.config) ?? new Uint8Array();
}
