/**
 * The machine that a person hands in: lspci's text, a recorded description (host.json), a folder of sysfs, or the machine it runs on.
 */
import { existsSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { MalformedRecording, deviceOf, fromHex, parseHost, readRecording, textOrNull } from '@vsim/conformance';
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

/** @param file undefined: the machine it runs on. @throws UsageError that tells what is wrong with it */
export function readMachine(file: string | undefined, io: Io): readonly MachineDevice[] {
  if (file === undefined) {
    if (!existsSync(LIVE) || readdirSync(LIVE).length === 0) throw new UsageError(`no PCI devices in ${LIVE} here; give a FILE with the output of lspci -Dnnvvxxxx`);
    return readFolder(LIVE);
  }
  const path = resolve(io.cwd, file);
  if (file !== '-' && !existsSync(path)) throw new UsageError(`${file}: no such file or folder`);
  if (file !== '-' && statSync(path).isDirectory()) return readFolder(path);
  const text = readText(file === '-' ? STDIN : path);
  if (text.includes('<access denied>')) io.err(`${file}: capabilities are hidden from ordinary users: run lspci as root, or isolation cannot be told`);
  return machineOfText(file, text);
}

/** The machine of the VFIO recordings. */
export function recordingsMachine(): readonly MachineDevice[] {
  return machineOfText('host.json.gz', readRecording('vfio/host.json.gz'));
}

function readText(path: string | number): string {
  const bytes = readFileSync(path);
  return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString('utf8');
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
  return [...devices.keys].sort().map((address) => {
    const device = devices.object(address);
    const facts = { ...pciFacts(address, device.bytes('config')), vendor: device.number('vendor'), device: device.number('device') };
    const group = textOrNull(device, 'iommu_group');
    return machineDevice(facts, textOrNull(device, 'driver') ?? undefined, group ?? undefined, deviceOf(device));
  });
}

function machineDevice(facts: PciFacts, driver: string | undefined, group: string | undefined, recorded: RecordedDevice): MachineDevice {
  const description = `[${(facts.class >>> 8).toString(16).padStart(4, '0')}]: [${idText(facts.vendor, facts.device)}]`;
  return { facts, driver, iommuGroup: group === undefined ? undefined : Number(group), description, recorded };
}

/** A folder of sysfs: of its root, of /sys/bus/pci/devices, or copies of these. */
function readFolder(folder: string): readonly MachineDevice[] {
  const places = [folder, join(folder, 'bus/pci/devices'), join(folder, 'sys/bus/pci/devices')];
  const place = places.find((each) => existsSync(each) && readdirSync(each).some((name) => ADDRESS.test(name)));
  if (place === undefined) throw new UsageError(`${folder}: no PCI devices in it; expected folders named by address, as 0000:00:02.0`);
  return readdirSync(place).filter((name) => ADDRESS.test(name)).sort().map((address) => readDevice(join(place, address), address));
}

function readDevice(folder: string, address: string): MachineDevice {
  const config = new Uint8Array(readFileSync(join(folder, 'config')));
  if (config.length < 64) throw new UsageError(`${folder}/config: expected at least 64 bytes, got ${config.length}`);
  const line = (name: string): string | undefined => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8').trim() : undefined);
  const link = (name: string): string | undefined => {
    try {
      return basename(readlinkSync(join(folder, name)));
    } catch {
      return line(name); // a copy may have a file instead of the link
    }
  };
  const told = pciFacts(address, config);
  const facts = { ...told, vendor: Number(line('vendor') ?? told.vendor), device: Number(line('device') ?? told.device) };
  const full = new Uint8Array(config.length > 256 ? 4096 : 256);
  full.set(config);
  return machineDevice(facts, link('driver'), link('iommu_group'), {
    config: Array.from(full, (byte) => byte.toString(16).padStart(2, '0')).join(''),
    resource: (line('resource') ?? '').split('\n').filter((row) => row !== '').map((row) => row.split(' ')),
    iommu_group: null,
    irq: Number(line('irq') ?? 0),
    physfn: link('physfn'),
  });
}

/** The configuration space of a device, for printing. */
export function configOf({ recorded }: MachineDevice): Uint8Array {
  return fromHex(recorded.config) ?? new Uint8Array();
}
