/**
 * Recordings of boots with a Management Complex: what devices came of it, with which drivers, and the conversation with it up to the end of the machine.
 * recordings/fslmc/README.md tells their format.
 */
import { Process, type ProfileName } from '@vsim/vfio-core';
import type { Format, ReplayOptions } from '../format.ts';
import { MalformedRecording, type Fields } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';
import { Conversation } from './conversation.ts';
import { boardOf, variantOf } from './fslmc-board.ts';
import { FslMcMachine } from './fslmc-machine.ts';
import { profileOfKernel } from './kernels.ts';
import { GROUP_RULE, KERNEL_LOG_RULE } from './relaxed.ts';

const KEYS = ['name', 'content', 'devices', 'dmesg', 'interrupts', 'iomem', 'end', 'nodes', 'autorescan'];
/** For people. */
const LOGS = ['dmesg', 'interrupts', 'end'];
const DEVICE_KEYS = ['parent', 'driver', 'group', 'modalias', 'driver_override'];
/** Lines of /proc/iomem that the bus makes: its control registers and the portals in use. */
const OF_THE_BUS = /^\s*([0-9a-f]+)-([0-9a-f]+) : (mc_portal|\S+\.fsl-mc .*)$/;

export const fslmcBootFormat: Format = {
  name: 'fslmc-boot',
  recognises: (first: Fields): boolean => first.has('content') && first.has('devices') && first.has('dmesg'),
  profileOf: (_first: Fields, options?: ReplayOptions): string => kernelOf(options?.hosts),
  *run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport> {
    const { hosts } = options;
    if (hosts === undefined) throw new MalformedRecording(lines[0]?.path ?? '', undefined, 'no host.json: it is looked for beside the file');
    const conversations = byBoot(options.conversation?.() ?? []);
    for (const line of lines) {
      const name = line.string('name');
      if (options.casePrefix !== undefined && !name.startsWith(options.casePrefix)) continue;
      yield replayBoot(line, conversations.get(name) ?? [], hosts, options.profile ?? kernelOf(hosts), options);
    }
  },
};

function kernelOf(hosts: ReplayOptions['hosts']): ProfileName {
  const machine = hosts?.(undefined);
  if (machine === undefined) return 'linux-6.1';
  const [, version = ''] = /^Linux (\S+)/.exec(machine.string('kernel')) ?? [];
  return profileOfKernel(version) ?? machine.fail('kernel', 'Linux 6.1 or 7.3');
}

/** What the MC was asked in each boot: a line `boot`, then what followed. */
function byBoot(lines: readonly Fields[]): ReadonlyMap<string, readonly Fields[]> {
  const out = new Map<string, Fields[]>();
  let current: Fields[] = [];
  for (const line of lines) {
    if (line.string('k') === 'boot') {
      current = [];
      out.set(line.string('name'), current);
    }
    current.push(line);
  }
  return out;
}

function replayBoot(line: Fields, said: readonly Fields[], hosts: (name: string | undefined) => Fields, profile: ProfileName, { mcLog, watch }: ReplayOptions): CaseRecorder {
  const report = new CaseRecorder(line.string('name'));
  report.begin(0);
  report.unknown(line, KEYS);
  const [boot = line] = said;
  const conversation = said.length === 0 ? undefined : new Conversation(said);
  const board = variantOf(boardOf(hosts(undefined), line.path), report.name, boot);
  const machine = new FslMcMachine({ content: line.string('content'), board, mcLog, watch: watch === undefined ? undefined : (_content, host) => { watch(report.name, host); } }, hosts('contents.json'), hosts('commands.json'), profile, conversation);
  const started = machine.mc.control?.gcr1 === 0;
  compareDevices(line.object('devices'), machine, report);
  compareRest(line, machine, report);
  machine.shutDown();
  conversation?.compare('', report);
  compareRegister(said, started, machine, report);
  for (const key of LOGS) if (line.has(key)) report.relax(KERNEL_LOG_RULE);
  return report;
}

function compareDevices(told: Fields, { bus, host }: FslMcMachine, report: CaseRecorder): void {
  const user = new Process(host, { name: 'recorder' });
  report.compare('devices', [...told.keys].sort().join(' '), bus.devices.map(({ name }) => name).sort().join(' '));
  const order = (groups: readonly (number | undefined)[]): readonly number[] => [...new Set(groups)].filter((group) => group !== undefined).sort((a, b) => a - b);
  const toldGroups = order(told.keys.map((name) => groupOf(told.object(name))));
  const groups = order(bus.devices.map(({ iommuGroup }) => iommuGroup?.id));
  for (const name of told.keys) {
    const device = bus.device(name);
    if (device === undefined) continue;
    const expected = told.object(name);
    report.unknown(expected, DEVICE_KEYS);
    const { parent, driverName, iommuGroup, driverOverride, sysfs } = device;
    const actual: Readonly<Record<string, string | null>> = {
      parent: parent?.name ?? sysfs.split('/').at(-2) ?? '',
      driver: driverName ?? null,
      modalias: user.readFile(`${sysfs}/modalias`).trim(),
      driver_override: driverOverride ?? null,
    };
    const [toldGroup, group] = [groupOf(expected), iommuGroup?.id];
    if (toldGroup !== group && group !== undefined) report.relax(GROUP_RULE);
    report.compare(`${name} group`, toldGroup === undefined ? null : toldGroups.indexOf(toldGroup), group === undefined ? null : groups.indexOf(group));
    for (const key of expected.keys) if (key !== 'group') report.compare(`${name} ${key}`, JSON.stringify(expected.raw(key)), JSON.stringify(actual[key] ?? null));
  }
}

function groupOf(device: Fields): number | undefined {
  return device.raw('group') === null ? undefined : device.number('group');
}

/** What is beside the devices: nodes, a file of the bus, the portals in use. */
function compareRest(line: Fields, { host, bus, mc }: FslMcMachine, report: CaseRecorder): void {
  const user = new Process(host, { name: 'recorder' });
  const dev = host.files.lookup('/dev');
  const nodes = dev?.kind === 'folder' ? [...dev.entries.keys()].filter((name) => name.startsWith('dprc.')) : [];
  if (line.has('nodes')) report.compare('nodes', line.string('nodes'), nodes.sort().join(' '));
  if (line.has('autorescan')) report.compare('autorescan', line.string('autorescan'), user.readFile(`${bus.sysfs}/autorescan`).trim());
  if (!line.has('iomem')) return;
  const expected = line.list('iomem').flatMap((row) => (typeof row === 'string' ? [OF_THE_BUS.exec(row)] : []))
    .flatMap((match) => (match === null ? [] : [`${match[1]}${match[3] === 'mc_portal' ? `-${match[2]}` : ' registers'}`]));
  const portals = [...bus.portals].map(([start, size]) => `${start.toString(16)}-${(start + size - 1).toString(16)}`);
  const registers = bus.root === undefined || mc.control === undefined ? [] : [`${mc.control.address.toString(16)} registers`];
  report.compare('iomem', expected.sort().join(' '), [...portals, ...registers].sort().join(' '));
}

/** GCR1 was looked at now and then: whether Linux started the firmware, and how it left it. */
function compareRegister(said: readonly Fields[], started: boolean, { mc }: FslMcMachine, report: CaseRecorder): void {
  const seen = said.filter((line) => line.string('k') === 'gcr1');
  const last = seen.at(-1);
  if (last === undefined || mc.control === undefined) return;
  report.compare('gcr1 started', seen.some((line) => Number(line.string('to')) === 0), started);
  report.compare('gcr1 at the end', Number(last.string('to')), mc.control.gcr1);
}
