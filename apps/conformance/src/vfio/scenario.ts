/**
 * One scenario: its machine, and its steps one after the other. Each call is made as a process makes it, and everything that the
 * recording has of the answer is compared.
 *
 * Less strictly, by rules that are counted by name: recordings/vfio/README.md tells which, and why.
 */
import { EINVAL, type ProfileName } from '@vsim/vfio-core';
import type { WatchHosts } from '../format.ts';
import type { Fields } from '../json.ts';
import type { CaseRecorder } from '../report.ts';
import { AccessSteps } from './access-steps.ts';
import { ArmSteps } from './arm-steps.ts';
import { CommandGate } from './command-gate.ts';
import type { Conversation } from './conversation.ts';
import { EventfdSteps } from './eventfd-steps.ts';
import { FslMcSteps } from './fslmc-steps.ts';
import { HostSteps } from './host-steps.ts';
import { IoctlSteps } from './ioctl-steps.ts';
import { JobSteps } from './job-steps.ts';
import type { Machine } from './machine.ts';
import { MappingSteps } from './mapping-steps.ts';
import { ModuleSteps } from './module-steps.ts';
import { PermissionMap } from './permission-map.ts';
import { RefusalCount } from './refusal-count.ts';
import { KERNEL_LOG_RULE, TRAP_RULE } from './relaxed.ts';
import { MOST_MS, MS } from './clock.ts';
import { Session } from './session.ts';
import { SysfsSteps } from './sysfs-steps.ts';
import { checkHeaderKeys, knownStepKeys } from './step-keys.ts';
import { VirtualFunctions } from './virtual-functions.ts';

/** The most calls that a note stands for. */
const MOST_REPEATS = 0x1_0000;

/** What a scenario begins with. */
export interface ScenarioSetting {
  /** The machine, where it is there already. */
  readonly kept?: Machine | undefined;
  /** That with its Management Complex. */
  readonly conversation?: Conversation | undefined;
  readonly watch?: WatchHosts | undefined;
}

export class ScenarioReplay {
  readonly report: CaseRecorder;
  readonly #refusals: RefusalCount;
  readonly #conversation: Conversation | undefined;
  readonly #session: Session;
  readonly #machine: Machine;
  readonly #calls: ReadonlyMap<string, (step: Fields) => void>;
  readonly #access: AccessSteps;
  readonly #eventfds: EventfdSteps;
  readonly #ioctls: IoctlSteps;
  /** The number of the last step: they ascend. */
  #number = -1;
  /** The device whose fd was closed last, until something else is done than to close and to look. */
  #closed: string | undefined;
  #ended = false;
  /** The last step was a note of what comes next. */
  #announced = false;

  constructor(name: string, header: Fields, host: Fields, profile: ProfileName, { kept, conversation, watch }: ScenarioSetting = {}) {
    const session = new Session(name, header, host, profile, kept, watch);
    this.#session = session;
    this.report = session.report;
    this.#conversation = conversation;
    this.#machine = session.machine;
    this.#refusals = new RefusalCount(this.report, session.machine.host);
    const mappings = new MappingSteps(session);
    this.#eventfds = new EventfdSteps(session);
    this.#access = new AccessSteps(session, mappings);
    this.#ioctls = new IoctlSteps(session, mappings, this.#eventfds);
    this.#calls = new Map([...this.#files(), ...this.#sysfs(), ...this.#others(host), ...mappingCalls(mappings), ...moduleCalls(session), ...armCalls(session), ...fslmcCalls(session, mappings)]);
    checkHeaderKeys(header, this.report);
    conversation?.step('', 'end', true);
    if (session.machine.fslmc !== undefined) new FslMcSteps(session, session.machine.fslmc, mappings).state(header);
    const names = header.list('vfio_nodes').filter((node) => typeof node === 'string');
    const folder = this.#machine.host.files.lookup('/dev/vfio');
    this.report.compare('vfio_nodes', names.join(' '), folder?.kind === 'folder' ? [...folder.entries.keys()].sort().join(' ') : '');
  }

  /** It came to the step that ends it: not where the kernel's oops did. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The recording has no more of this scenario. */
  finish(): CaseRecorder {
    this.#conversation?.compare(this.report.name, this.report);
    if (this.#ended) return this.report;
    if (this.#announced) this.report.relax(TRAP_RULE);
    else this.report.diverge('end', 'a step that ends the scenario', 'none');
    return this.report;
  }

  step(step: Fields): void {
    const call = step.string('call');
    this.report.begin(step.number('n'));
    this.#validate(step);
    if (call !== 'close' && call !== 'raw_config' && call !== 'sysfs_read') this.#closed = undefined;
    if (call === 'end') {
      this.#ended = true;
      return;
    }
    this.#announced = call === 'note' && step.string('text').startsWith('next: ');
    this.#refusals.begin();
    try {
      const run = this.#calls.get(call);
      this.#machine.fslmc?.follow(call);
      if (run === undefined) this.report.notExecuted(call);
      else run(step);
      this.#refusals.end(step);
      this.#conversation?.step(this.report.name, step.number('n'), !call.startsWith('uapi_'));
    } catch (error) {
      if (!(error instanceof Error) || error.name === 'MalformedRecording') throw error;
      this.report.diverge('exception', 'none', `${error.name}: ${error.message}`);
    }
  }

  /** What a step says of itself: keys that somebody looks at, a number above the last, the two forms of a position. */
  #validate(step: Fields): void {
    if (this.#ended) this.report.diverge('end', 'no step after it', step.string('call'));
    this.report.unknown(step, knownStepKeys(step.string('call')));
    const number = step.number('n');
    if (number <= this.#number) this.report.diverge('n', `above ${this.#number}`, number.toString());
    this.#number = number;
    if (step.has('timing')) this.report.compare('timing', step.boolean('timing'), true);
    if (step.has('region')) this.#access.comparePosition(step);
    if (step.has('fd') && this.#session.devices.has(step.string('fd'))) this.#eventfds.deviceUsed();
  }

  #files(): readonly Call[] {
    const access = this.#access;
    const eventfds = this.#eventfds;
    return [
      ['open', (step) => { this.#open(step); }],
      ['close', (step) => { this.#close(step); }],
      ['dup', (step) => { this.#dup(step); }],
      ['ioctl', (step) => { this.#ioctls.run(step); }],
      ['pread', (step) => { access.pread(step); }],
      ['pwrite', (step) => { access.pwrite(step); }],
      ['read', (step) => { access.read(step); }],
      ['write', (step) => { access.write(step); }],
      ['lseek', (step) => { access.seek(step); }],
      ['poll', (step) => { access.poll(step); }],
      ['eventfd', (step) => { eventfds.make(step); }],
      ['eventfd_read', (step) => { eventfds.read(step); }],
      ['eventfd_wait', (step) => { eventfds.wait(step); }],
      ['eventfd_write', (step) => { eventfds.write(step); }],
      ['fdinfo', (step) => { this.report.compare('text', step.string('text'), this.#machine.process.fdinfo(this.#session.fd(step)).trimEnd()); }],
    ];
  }

  #sysfs(): readonly Call[] {
    const sysfs = new SysfsSteps(this.#session);
    return [
      ['sysfs_write', (step) => { sysfs.write(step); }],
      ['sysfs_read', (step) => { sysfs.read(step, this.#closed); }],
      ['sysfs_link', (step) => { sysfs.link(step); }],
      ['ls', (step) => { sysfs.list(step); }],
      ['file_mode', (step) => { sysfs.mode(step); }],
      ['raw_config', (step) => { sysfs.rawConfig(step, this.#closed); }],
      ['proc_lines', (step) => { sysfs.lines(step); }],
      ['device_present', (step) => { this.report.compare('present', step.boolean('present'), this.#machine.bus.device(step.string('device')) !== undefined); }],
      ['virtual_functions', (step) => { new VirtualFunctions(this.report, this.#machine).compare(step); }],
    ];
  }

  #others(host: Fields): readonly Call[] {
    const { process } = this.#machine;
    const jobs = new JobSteps(this.#session);
    const hostSteps = new HostSteps(this.#session, host);
    const permissions = new PermissionMap(this.report, process);
    return [
      ['spawn_sysfs_write', (step) => { jobs.spawn(step, process.sys.writeFile(step.string('path'), step.string('text'))); }],
      ['spawn_sysfs_read', (step) => { jobs.spawn(step, process.sys.readFile(step.string('path'))); }],
      ['spawn_ioctl', (step) => { jobs.spawn(step, this.#ioctls.request(step)); }],
      ['spawn_close', (step) => { jobs.spawn(step, process.sys.close(this.#session.fd(step))); }],
      ['job_state', (step) => { jobs.state(step); }],
      ['job_wait', (step) => { jobs.wait(step); }],
      ['setrlimit_memlock', (step) => { this.#setMemlock(step); }],
      ['setuid', (step) => {
        process.uid = step.number('uid');
        this.#session.result(step, 0);
      }],
      ['sleep', (step) => { this.#machine.host.scheduler.advance(step.count('ms', MOST_MS) * MS); }],
      ['host', (step) => { hostSteps.run(step); }],
      ['note', (step) => { this.#note(step.string('text')); }],
      ['cfg_probe', (step) => { this.#probe(step, (fd, device) => { permissions.probe(step, fd, device); }); }],
      ['cfg_probe_zero', (step) => { this.#probe(step, (fd, device) => { permissions.probeZero(step, fd, device); }); }],
      ['cfg_probe_repeat', (step) => { this.#probe(step, (fd, device) => { permissions.probeRepeat(step, fd, device); }); }],
    ];
  }

  // Files

  #open(step: Fields): void {
    const result = this.#session.call('open', this.#machine.process.sys.open(step.string('path'), step.number('flags')));
    if (result >= 0) this.#session.fds.set(step.string('as'), result);
    this.#session.result(step, result >= 0 ? 'fd' : result);
  }

  #close(step: Fields): void {
    const result = this.#session.call('close', this.#machine.process.sys.close(this.#session.fd(step)));
    this.#session.fds.delete(step.string('fd'));
    this.#closed = this.#session.devices.get(step.string('fd')) ?? this.#closed;
    this.#session.result(step, result);
  }

  #dup(step: Fields): void {
    const fd = this.#machine.process.dup(this.#session.fd(step));
    this.#session.fds.set(step.string('as'), fd);
    const device = this.#session.devices.get(step.string('fd'));
    if (device !== undefined) this.#session.devices.set(step.string('as'), device);
    this.#session.result(step, 'fd');
  }

  #setMemlock(step: Fields): void {
    const valid = step.number('cur') <= step.number('max');
    if (valid) this.#machine.process.memlock = step.number('cur');
    this.#session.result(step, valid ? 0 : -EINVAL);
  }

  // Notes that stand for calls

  #note(text: string): void {
    const repeat = /^the same call for i = (\d+)\.\.(\d+) \(offset (0x[0-9a-f]+) \+ (\d+) i\)/.exec(text);
    const { last: step } = this.#ioctls;
    if (repeat !== null && step !== undefined) {
      const [first, last, base, scale] = repeat.slice(1).map(Number);
      if (last! - first! > MOST_REPEATS) step.fail('note', `at most ${MOST_REPEATS} repeats`);
      for (let i = first!; i <= last!; i += 1) this.#ioctls.repeatAt(step, base! + scale! * i);
    }
    const mode = /^(\/dev\/\S+) is given mode ([0-7]+)/.exec(text);
    if (mode !== null) this.#chmod(mode[1]!, Number.parseInt(mode[2]!, 8));
  }

  #chmod(path: string, mode: number): void {
    const { files } = this.#machine.host;
    const node = files.lookup(path);
    if (node?.kind !== 'device') return;
    files.remove(path);
    files.add(path, { ...node, mode });
  }

  // Permission map

  #probe(step: Fields, run: (fd: number, device: string) => void): void {
    const device = this.#session.devices.get(step.string('fd'));
    if (device === undefined || this.#machine.bus.device(device) === undefined) this.report.notExecuted(step.string('call'));
    else run(this.#session.fd(step), device);
  }
}

type Call = readonly [call: string, run: (step: Fields) => void];

function mappingCalls(mappings: MappingSteps): readonly Call[] {
  return [
    ['mmap', (step) => { mappings.map(step); }],
    ['munmap', (step) => { mappings.unmap(step); }],
    ['munmap_part', (step) => { mappings.unmapPart(step); }],
    ['mem_read', (step) => { mappings.read(step); }],
    ['mem_write', (step) => { mappings.write(step); }],
  ];
}

/** Modules of a machine with mediated devices. */
function moduleCalls(session: Session): readonly Call[] {
  const modules = new ModuleSteps(session);
  return [
    ['modprobe', (step) => { modules.probe(step); }],
    ['delete_module', (step) => { modules.delete(step); }],
    ['module_refcnt', (step) => { modules.count(step); }],
  ];
}

/** Calls of a machine with platform devices. */
function armCalls(session: Session): readonly Call[] {
  const { arm } = session.machine;
  if (arm === undefined) return [];
  const steps = new ArmSteps(session, arm);
  return [
    ['phys_read', (step) => { steps.physRead(step); }],
    ['phys_write', (step) => { steps.physWrite(step); }],
    ['pulse', (step) => { steps.pulse(step); }],
    ['gic_pending', (step) => { steps.pending(step); }],
    ['proc_interrupts', (step) => { steps.interrupts(step); }],
    ['kmsg', () => { session.report.relax(KERNEL_LOG_RULE); }],
    ['capability', (step) => { steps.capability(step); }],
    ['modprobe', (step) => { steps.modprobe(step); }],
    ['rmmod', (step) => { steps.rmmod(step); }],
    ['module_refcnt', (step) => { steps.references(step); }],
    ['spawn_remove_devices', (step) => { steps.removeDevices(step); }],
  ];
}

/** Calls of a machine with a Management Complex. */
function fslmcCalls(session: Session, mappings: MappingSteps): readonly Call[] {
  const { fslmc } = session.machine;
  if (fslmc === undefined) return [];
  const steps = new FslMcSteps(session, fslmc, mappings);
  const gate = new CommandGate(session);
  return [
    ['mc', (step) => { steps.mc(step); }],
    ['objects', (step) => { steps.objects(step); }],
    ['portal_command', (step) => { steps.portalCommand(step); }],
    ['modprobe', () => { steps.modprobe(); }],
    ['rmmod', (step) => { steps.rmmod(step); }],
    ['uapi_sweep', (step) => { gate.sweep(step); }],
    ['uapi_versions', (step) => { gate.versions(step); }],
    ['uapi_sizes', (step) => { gate.sizes(step); }],
    ['dmesg', () => { steps.log(); }],
    ['interrupts', () => { steps.log(); }],
  ];
}
