/**
 * One scenario: its machine, and its steps one after the other. Each call is made as a process makes it, and everything that the
 * recording has of the answer is compared.
 *
 * Less strictly, by rules that are counted by name: recordings/vfio/README.md tells which, and why.
 */
import {
  EINVAL,
  REQUESTS,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_SET,
  type IoctlInput,
  type ProfileName,
} from '@vsim/vfio-core';
import { KERNEL_MEMORY_SHOWN } from '@vsim/mdev';
import { toHex, type Fields } from '../json.ts';
import type { CaseRecorder } from '../report.ts';
import { EventfdSteps } from './eventfd-steps.ts';
import { FileSteps } from './file-steps.ts';
import { HostSteps } from './host-steps.ts';
import { JobSteps } from './job-steps.ts';
import type { Machine } from './machine.ts';
import { MappingSteps } from './mapping-steps.ts';
import { ModuleSteps } from './module-steps.ts';
import { PermissionMap } from './permission-map.ts';
import { RefusalCount } from './refusal-count.ts';
import { EDU_DMA_REGISTERS, EDU_LEFTOVER_RULE, KERNEL_MEMORY_RULE, REGISTERS_RULE } from './relaxed.ts';
import { MOST_MS, MS, NO_FD, Session } from './session.ts';
import { SysfsSteps } from './sysfs-steps.ts';
import { checkHeaderKeys, knownStepKeys } from './step-keys.ts';
import { VirtualFunctions } from './virtual-functions.ts';

const FILLER = 0xee;
/** The most calls that a note stands for. */
const MOST_REPEATS = 0x1_0000;
/** The VFIO region of a configuration space, as recordings name it. */
const CONFIG = 'CONFIG';
const REGIONS: readonly string[] = ['BAR0', 'BAR1', 'BAR2', 'BAR3', 'BAR4', 'BAR5', 'ROM', CONFIG, 'VGA'];
const REGION_SHIFT = 40n;

export class ScenarioReplay {
  readonly report: CaseRecorder;
  readonly #refusals: RefusalCount;
  readonly #session: Session;
  readonly #machine: Machine;
  readonly #files: FileSteps;
  readonly #mappings: MappingSteps;
  readonly #eventfds: EventfdSteps;
  readonly #sysfs: SysfsSteps;
  readonly #jobs: JobSteps;
  readonly #modules: ModuleSteps;
  readonly #hostSteps: HostSteps;
  readonly #permissions: PermissionMap;
  #eduDmaWritten = false;
  /** The last ioctl, for notes that stand for more of the same. */
  #last: Fields | undefined;
  /** The number of the last step: they ascend. */
  #number = -1;
  /** The device whose fd was closed last, until something else is done than to close and to look. */
  #closed: string | undefined;
  #ended = false;

  constructor(name: string, header: Fields, host: Fields, profile: ProfileName) {
    const session = new Session(name, header, host, profile);
    this.#session = session;
    this.report = session.report;
    this.#machine = session.machine;
    this.#refusals = new RefusalCount(this.report, session.machine.host);
    this.#files = new FileSteps(session);
    this.#mappings = new MappingSteps(session);
    this.#eventfds = new EventfdSteps(session);
    this.#sysfs = new SysfsSteps(session);
    this.#jobs = new JobSteps(session);
    this.#modules = new ModuleSteps(session);
    this.#hostSteps = new HostSteps(session, host);
    this.#permissions = new PermissionMap(this.report, this.#machine.process);
    checkHeaderKeys(header, this.report);
    const names = header.list('vfio_nodes').filter((node) => typeof node === 'string');
    const folder = this.#machine.host.files.lookup('/dev/vfio');
    this.report.compare('vfio_nodes', names.join(' '), folder?.kind === 'folder' ? [...folder.entries.keys()].sort().join(' ') : '');
  }

  /** The recording has no more of this scenario. */
  finish(): CaseRecorder {
    if (!this.#ended) this.report.diverge('end', 'a step that ends the scenario', 'none');
    return this.report;
  }

  step(step: Fields): void {
    const call = step.string('call');
    this.report.begin(step.number('n'));
    this.#validate(step);
    if (call !== 'close' && call !== 'raw_config') this.#closed = undefined;
    if (call === 'end') {
      this.#ended = true;
      return;
    }
    this.#refusals.begin();
    try {
      this.#run(call, step);
      this.#refusals.end(step);
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
    if (step.has('region')) comparePosition(step, this.report);
    if (step.has('fd') && this.#session.devices.has(step.string('fd'))) this.#eventfds.deviceUsed();
  }

  #run(call: string, step: Fields): void {
    if (step.has('buffer')) {
      this.report.notExecuted(`${call} with a buffer that is not there`);
      return;
    }
    switch (call) {
      case 'open':
        this.#open(step);
        return;
      case 'close':
        this.#close(step);
        return;
      case 'dup':
        this.#dup(step);
        return;
      case 'ioctl':
        this.#ioctl(step);
        return;
      case 'pread':
        this.#pread(step);
        return;
      case 'pwrite':
        if (isEduDma(step, step.bytes('in').length)) this.#eduDmaWritten = true;
        this.#session.result(step, this.#machine.process.tryPwrite(this.#session.fd(step), step.bytes('in'), Number(step.bigint('off'))));
        return;
      case 'read':
        this.#files.read(step);
        return;
      case 'write':
        this.#files.write(step);
        return;
      case 'lseek':
        this.#files.seek(step);
        return;
      case 'poll':
        this.#files.poll(step);
        return;
      case 'mmap':
        this.#mappings.map(step);
        return;
      case 'munmap':
        this.#mappings.unmap(step);
        return;
      case 'munmap_part':
        this.#mappings.unmapPart(step);
        return;
      case 'mem_read':
        this.#mappings.read(step);
        return;
      case 'mem_write':
        this.#mappings.write(step);
        return;
      case 'eventfd':
        this.#eventfds.make(step);
        return;
      case 'eventfd_read':
        this.#eventfds.read(step);
        return;
      case 'eventfd_wait':
        this.#eventfds.wait(step);
        return;
      case 'eventfd_write':
        this.#eventfds.write(step);
        return;
      case 'sysfs_write':
        this.#sysfs.write(step);
        return;
      case 'sysfs_read':
        this.#sysfs.read(step);
        return;
      case 'sysfs_link':
        this.#sysfs.link(step);
        return;
      case 'ls':
        this.#sysfs.list(step);
        return;
      case 'file_mode':
        this.#sysfs.mode(step);
        return;
      case 'device_present':
        this.report.compare('present', step.boolean('present'), this.#machine.bus.device(step.string('device')) !== undefined);
        return;
      case 'raw_config':
        this.#sysfs.rawConfig(step, this.#closed);
        return;
      case 'spawn_sysfs_write':
        this.#jobs.spawn(step, this.#machine.process.sys.writeFile(step.string('path'), step.string('text')));
        return;
      case 'spawn_sysfs_read':
        this.#jobs.spawn(step, this.#machine.process.sys.readFile(step.string('path')));
        return;
      case 'job_state':
        this.#jobs.state(step);
        return;
      case 'job_wait':
        this.#jobs.wait(step);
        return;
      case 'modprobe':
        this.#modules.probe(step);
        return;
      case 'delete_module':
        this.#modules.delete(step);
        return;
      case 'module_refcnt':
        this.#modules.count(step);
        return;
      case 'setrlimit_memlock':
        if (step.number('cur') <= step.number('max')) this.#machine.process.memlock = step.number('cur');
        this.#session.result(step, step.number('cur') <= step.number('max') ? 0 : -EINVAL);
        return;
      case 'setuid':
        this.#machine.process.uid = step.number('uid');
        this.#session.result(step, 0);
        return;
      case 'sleep':
        this.#machine.host.scheduler.advance(step.count('ms', MOST_MS) * MS);
        return;
      case 'host':
        this.#hostSteps.run(step);
        return;
      case 'note':
        this.#note(step.string('text'));
        return;
      case 'fdinfo':
        this.report.compare('text', step.string('text'), this.#machine.process.fdinfo(this.#session.fd(step)).trimEnd());
        return;
      case 'proc_lines':
        this.#sysfs.lines(step);
        return;
      case 'virtual_functions':
        new VirtualFunctions(this.report, this.#machine).compare(step);
        return;
      case 'cfg_probe':
        this.#probe(step, (fd, device) => this.#permissions.probe(step, fd, device));
        return;
      case 'cfg_probe_zero':
        this.#probe(step, (fd, device) => this.#permissions.probeZero(step, fd, device));
        return;
      case 'cfg_probe_repeat':
        this.#probe(step, (fd, device) => this.#permissions.probeRepeat(step, fd, device));
        return;
      default:
        this.report.notExecuted(call);
    }
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

  #ioctl(step: Fields): void {
    this.#last = step;
    const { input, shown } = this.#argument(step);
    const before = input instanceof Uint8Array ? input.slice() : undefined;
    const result = this.#request(step, input);
    const name = step.has('as') ? step.string('as') : undefined;
    const madeFd = name !== undefined && result > 0;
    if (madeFd) {
      this.#session.fds.set(name, result);
      if (step.has('str')) this.#session.devices.set(name, step.string('str').split(' ')[0] ?? '');
    }
    this.#session.result(step, madeFd ? 'fd' : result);
    if (before !== undefined && input instanceof Uint8Array && !step.has('str')) {
      const out = toHex(input) === toHex(before) ? undefined : toHex(withoutFiller(input, shown));
      this.report.compare('out', step.has('out') ? toHex(step.bytes('out')) : null, out ?? null);
    }
  }

  #request(step: Fields, input: IoctlInput): number {
    const name = step.string('req');
    if (name === 'VFIO_DEVICE_FEATURE' && input instanceof Uint8Array && input.length >= 8) this.#noteWakeup(step, input);
    const number = (Object.hasOwn(REQUESTS, name) ? REQUESTS[name] : undefined) ?? (/^0x[0-9a-f]+$/.test(name) ? Number(name) : step.fail('req', 'the name or number of a request'));
    return this.#session.call('ioctl', this.#machine.process.sys.ioctl(this.#session.fd(step), number, input));
  }

  #noteWakeup(step: Fields, input: Uint8Array): void {
    const flags = new DataView(input.buffer, input.byteOffset).getUint32(4, true);
    if (flags !== (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)) return;
    for (const ref of step.has('refs') ? step.objects('refs') : []) if (ref.has('fd')) this.#eventfds.wakesBy(ref.string('fd'));
  }

  /** The argument, and how many of its bytes the recording shows whatever they hold. */
  #argument(step: Fields): { input: IoctlInput; shown: number } {
    if (step.has('arg')) return { input: step.bigint('arg'), shown: 0 };
    if (step.has('ptr')) return { input: step.bigint('ptr'), shown: 0 };
    if (step.has('str')) return { input: new TextEncoder().encode(`${step.string('str')}\0`), shown: 0 };
    const bytes = step.bytes('in');
    const room = step.has('room') ? step.count('room') : bytes.length;
    const buffer = new Uint8Array(Math.max(room, bytes.length)).fill(FILLER);
    buffer.set(bytes);
    const view = new DataView(buffer.buffer);
    for (const ref of step.has('refs') ? step.objects('refs') : []) {
      const at = ref.number('off');
      if (ref.has('fd')) view.setInt32(at, this.#session.fds.get(ref.string('fd')) ?? NO_FD, true);
      else view.setBigUint64(at, BigInt(this.#mappings.named(ref)?.mapping.address ?? 0) + ref.bigint('add'), true);
    }
    return { input: buffer, shown: bytes.length };
  }

  #pread(step: Fields): void {
    const into = new Uint8Array(step.count('len'));
    const off = Number(step.bigint('off'));
    const unknown = new Set<number>();
    const stop = this.#machine.host.trace.listen(({ id, fields }) => {
      if (id !== KERNEL_MEMORY_SHOWN.id || !('offset' in fields && 'length' in fields)) return;
      for (let i = 0; i < Number(fields.length); i += 1) unknown.add(Number(fields.offset) + i - off);
    });
    const result = this.#machine.process.tryPread(this.#session.fd(step), into, off);
    stop();
    this.#session.result(step, result);
    const expected = step.has('out') ? step.bytes('out') : new Uint8Array(0);
    const actual = into.subarray(0, Math.max(result, 0));
    if (expected.length === actual.length) this.#relax(step, expected, actual, unknown);
    if (expected.length > 0 || actual.length > 0) this.report.compare('out', toHex(expected), toHex(actual));
  }

  /** Bytes that a rule lets differ become the recorded ones; it is counted where they were not. */
  #relax(step: Fields, expected: Uint8Array, actual: Uint8Array, unknown: ReadonlySet<number>): void {
    const rule = unknown.size > 0 ? KERNEL_MEMORY_RULE : this.#registerRule(step, actual);
    if (rule === undefined) return;
    let relaxed = false;
    for (const [i, byte] of expected.entries()) {
      if (byte === actual[i] || (rule === KERNEL_MEMORY_RULE && !unknown.has(i))) continue;
      actual[i] = byte;
      relaxed = true;
    }
    if (relaxed) this.report.relax(rule);
  }

  /** The rule for the registers that were read; undefined: they are compared. */
  #registerRule(step: Fields, actual: Uint8Array): string | undefined {
    if (!step.has('region') || step.raw('region') === CONFIG) return undefined;
    if (!this.#session.isModelled(this.#session.devices.get(step.string('fd')))) return REGISTERS_RULE;
    const untouched = !this.#eduDmaWritten && isEduDma(step, actual.length) && actual.every((byte) => byte === 0 || byte === 0xff);
    return untouched ? EDU_LEFTOVER_RULE : undefined;
  }

  // Notes that stand for calls

  #note(text: string): void {
    const repeat = /^the same call for i = (\d+)\.\.(\d+) \(offset (0x[0-9a-f]+) \+ (\d+) i\)/.exec(text);
    if (repeat !== null && this.#last !== undefined) {
      const [first, last, base, scale] = repeat.slice(1).map(Number);
      if (last! - first! > MOST_REPEATS) this.#last.fail('note', `at most ${MOST_REPEATS} repeats`);
      for (let i = first!; i <= last!; i += 1) this.#repeatAt(this.#last, base! + scale! * i);
    }
    const mode = /^(\/dev\/\S+) is given mode ([0-7]+)/.exec(text);
    if (mode !== null) this.#chmod(mode[1]!, Number.parseInt(mode[2]!, 8));
  }

  /** The last request again, with another offset in its second field of 8 bytes. */
  #repeatAt(step: Fields, offset: number): void {
    const { input } = this.#argument(step);
    if (!(input instanceof Uint8Array)) return;
    new DataView(input.buffer).setBigUint64(8, BigInt(offset), true);
    this.#session.result(step, this.#request(step, input));
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

/** Whether an access is one of BAR 0's at edu's DMA registers. */
function isEduDma(step: Fields, length: number): boolean {
  if (!step.has('at') || step.raw('region') !== 'BAR0' || !step.string('fd').includes('0000:00:02.0')) return false;
  const at = step.number('at');
  return at <= EDU_DMA_REGISTERS.last && at + length > EDU_DMA_REGISTERS.first;
}

/** `region` and `at` say the same as `off`. */
function comparePosition(step: Fields, report: CaseRecorder): void {
  const region = step.raw('region');
  const index = typeof region === 'string' ? REGIONS.indexOf(region) : step.number('region');
  const off = step.bigint('off');
  const actual = Number(off >> REGION_SHIFT);
  // An offset that is a little below its region has no `at`.
  if (step.has('at') || actual + 1 !== index) report.compare('region', index, actual);
  if (step.has('at')) report.compare('at', step.bigint('at'), off & ((1n << REGION_SHIFT) - 1n));
}

/** A buffer as the recording shows it: behind what the caller wrote, trailing filler is cut. */
function withoutFiller(buffer: Uint8Array, shown: number): Uint8Array {
  let end = buffer.length;
  while (end > shown && buffer[end - 1] === FILLER) end -= 1;
  return buffer.subarray(0, end);
}
