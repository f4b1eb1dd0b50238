/**
 * One scenario: its machine, and its steps one after the other. Each call is made as a process makes it, and everything that the
 * recording has of the answer is compared.
 *
 * Less strictly, by the rules of the recordings' README, each counted by name:
 * - `registers`: contents of BARs, ROM and VGA of devices without a model, and edu's DMA registers before a scenario has written them:
 *   length and errno only;
 * - `vendor-bytes`: in the permission map, physical bytes outside every standard structure;
 * - `run-dependent`: message address and data in the physical MSI capability;
 * - `suspend-race`: a wakeup eventfd read right after the first access, where a worker of the kernel had not yet suspended the device;
 * - `kernel-memory`: bytes that the recorded kernel took from its own memory, where the model says so.
 */
import {
  EventFdFile,
  MAP_SHARED,
  REQUESTS,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_SET,
  errnoName,
  type IoctlInput,
  type Mapping,
  type ProfileName,
  type Sleeps,
  type Thread,
} from '@vsim/vfio-core';
import { KERNEL_MEMORY_SHOWN } from '@vsim/mdev';
import { toHex, type Fields } from '../json.ts';
import { CaseRecorder } from '../report.ts';
import { buildMachine, type Machine } from './machine.ts';
import { PermissionMap } from './permission-map.ts';
import { EDU_DMA_REGISTERS, KERNEL_MEMORY_RULE, MODELLED, MSI_MESSAGE_RULE, REGISTERS_RULE, SUSPEND_RACE_RULE, messageBytes } from './relaxed.ts';
import { VirtualFunctions } from './virtual-functions.ts';

/** What an fd number is that no process has. */
const NO_FD = 1000;
const FILLER = 0xee;
const MS = 1_000_000;
/** How far the clock moves between two looks at something that is waited for. */
const SLICE = 10 * MS;
const JOB_WAIT = 30_000 * MS;
/** The VFIO region of a configuration space, as recordings name it. */
const CONFIG = 'CONFIG';

export class ScenarioReplay {
  readonly report: CaseRecorder;
  readonly #machine: Machine;
  readonly #permissions: PermissionMap;
  readonly #fds = new Map<string, number>();
  readonly #maps = new Map<string, { readonly mapping: Mapping; readonly device: string | undefined }>();
  /** Which device an fd is of. */
  readonly #devices = new Map<string, string>();
  readonly #jobs = new Map<string, Thread<unknown>>();
  /** Eventfds given to LOW_POWER_ENTRY_WITH_WAKEUP. */
  readonly #wakeups = new Set<string>();
  #eduDmaWritten = false;
  /** The last ioctl, for notes that stand for more of the same. */
  #last: Fields | undefined;

  constructor(name: string, header: Fields, host: Fields, profile: ProfileName) {
    this.report = new CaseRecorder(name);
    this.#machine = buildMachine(header, host, profile);
    this.#permissions = new PermissionMap(this.report, this.#machine.process, this.#machine.bus);
  }

  step(step: Fields): void {
    const call = step.string('call');
    this.report.begin(step.has('n') ? step.number('n') : this.report.steps);
    if (call === 'end') return;
    try {
      this.#run(call, step);
    } catch (error) {
      if (!(error instanceof Error) || error.name === 'MalformedRecording') throw error;
      this.report.diverge('exception', 'none', `${error.name}: ${error.message}`);
    }
  }

  #run(call: string, step: Fields): void {
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
        this.#result(step, this.#machine.process.tryPwrite(this.#fd(step), step.bytes('in'), Number(step.bigint('off'))));
        return;
      case 'mmap':
        this.#mmap(step);
        return;
      case 'munmap':
        this.#munmap(step);
        return;
      case 'mem_read':
        this.#memRead(step);
        return;
      case 'mem_write':
        this.#memWrite(step);
        return;
      case 'eventfd':
        this.#fds.set(step.string('as'), this.#machine.process.eventfd(step.number('init')));
        this.#result(step, 'fd');
        return;
      case 'eventfd_read':
        this.#eventfdRead(step, this.#count(step));
        return;
      case 'eventfd_wait':
        this.#eventfdWait(step);
        return;
      case 'eventfd_write':
        this.#eventfdWrite(step);
        return;
      case 'sysfs_write':
        this.#sysfsWrite(step);
        return;
      case 'sysfs_read':
        this.#sysfsRead(step);
        return;
      case 'sysfs_link':
        this.#sysfsLink(step);
        return;
      case 'ls':
        this.#ls(step);
        return;
      case 'device_present':
        this.report.compare('present', step.boolean('present'), this.#machine.bus.device(step.string('device')) !== undefined);
        return;
      case 'raw_config':
        this.#rawConfig(step);
        return;
      case 'spawn_sysfs_write':
        this.#spawn(step, this.#machine.process.sys.writeFile(step.string('path'), step.string('text')));
        return;
      case 'spawn_sysfs_read':
        this.#spawn(step, this.#machine.process.sys.readFile(step.string('path')));
        return;
      case 'job_state':
        this.#jobState(step);
        return;
      case 'job_wait':
        this.#jobWait(step);
        return;
      case 'setrlimit_memlock':
        this.#machine.process.memlock = step.number('cur');
        this.#result(step, 0);
        return;
      case 'setuid':
        this.#machine.process.uid = step.number('uid');
        this.#result(step, 0);
        return;
      case 'sleep':
        this.#machine.host.scheduler.advance(step.number('ms') * MS);
        return;
      case 'note':
        this.#note(step.string('text'));
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
    const result = this.#call('open', this.#machine.process.sys.open(step.string('path'), step.number('flags')));
    if (result >= 0) this.#fds.set(step.string('as'), result);
    this.#result(step, result >= 0 ? 'fd' : result);
  }

  #close(step: Fields): void {
    const result = this.#call('close', this.#machine.process.sys.close(this.#fd(step)));
    this.#fds.delete(step.string('fd'));
    this.#result(step, result);
  }

  #dup(step: Fields): void {
    const fd = this.#machine.process.dup(this.#fd(step));
    this.#fds.set(step.string('as'), fd);
    const device = this.#devices.get(step.string('fd'));
    if (device !== undefined) this.#devices.set(step.string('as'), device);
    this.#result(step, 'fd');
  }

  #ioctl(step: Fields): void {
    this.#last = step;
    const { input, shown } = this.#argument(step);
    const before = input instanceof Uint8Array ? input.slice() : undefined;
    const result = this.#request(step, input);
    const name = step.has('as') ? step.string('as') : undefined;
    const madeFd = name !== undefined && result >= 0;
    if (madeFd) {
      this.#fds.set(name, result);
      this.#devices.set(name, step.string('str').split(' ')[0] ?? '');
    }
    this.#result(step, madeFd ? 'fd' : result);
    if (before !== undefined && input instanceof Uint8Array && !step.has('str')) {
      const out = toHex(input) === toHex(before) ? undefined : toHex(withoutFiller(input, shown));
      this.report.compare('out', step.has('out') ? toHex(step.bytes('out')) : null, out ?? null);
    }
  }

  #request(step: Fields, input: IoctlInput): number {
    const name = step.string('req');
    if (name === 'VFIO_DEVICE_FEATURE' && input instanceof Uint8Array && input.length >= 8) this.#noteWakeup(step, input);
    const number = REQUESTS[name] ?? (/^0x[0-9a-f]+$/.test(name) ? Number(name) : step.fail('req', 'the name or number of a request'));
    return this.#call('ioctl', this.#machine.process.sys.ioctl(this.#fd(step), number, input));
  }

  #noteWakeup(step: Fields, input: Uint8Array): void {
    const flags = new DataView(input.buffer, input.byteOffset).getUint32(4, true);
    if (flags !== (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)) return;
    for (const ref of step.has('refs') ? step.objects('refs') : []) if (ref.has('fd')) this.#wakeups.add(ref.string('fd'));
  }

  /** The argument, and how many of its bytes the recording shows whatever they hold. */
  #argument(step: Fields): { input: IoctlInput; shown: number } {
    if (step.has('arg')) return { input: step.bigint('arg'), shown: 0 };
    if (step.has('ptr')) return { input: step.bigint('ptr'), shown: 0 };
    if (step.has('str')) return { input: new TextEncoder().encode(`${step.string('str')}\0`), shown: 0 };
    const bytes = step.bytes('in');
    const room = step.has('room') ? step.number('room') : bytes.length;
    const buffer = new Uint8Array(Math.max(room, bytes.length)).fill(FILLER);
    buffer.set(bytes);
    const view = new DataView(buffer.buffer);
    for (const ref of step.has('refs') ? step.objects('refs') : []) {
      const at = ref.number('off');
      if (ref.has('fd')) view.setInt32(at, this.#fds.get(ref.string('fd')) ?? NO_FD, true);
      else view.setBigUint64(at, BigInt(this.#map(ref)?.mapping.address ?? 0) + ref.bigint('add'), true);
    }
    return { input: buffer, shown: bytes.length };
  }

  #pread(step: Fields): void {
    const into = new Uint8Array(step.number('len'));
    const events = new Set<string>();
    const stop = this.#machine.host.trace.listen(({ id }) => events.add(id));
    const result = this.#machine.process.tryPread(this.#fd(step), into, Number(step.bigint('off')));
    stop();
    const kernelMemory = events.has(KERNEL_MEMORY_SHOWN.id);
    this.#result(step, result);
    const expected = step.has('out') ? toHex(step.bytes('out')) : '';
    const actual = toHex(into.subarray(0, Math.max(result, 0)));
    const device = this.#devices.get(step.string('fd'));
    const leftover = !this.#eduDmaWritten && isEduDma(step, into.length);
    const registers = step.has('region') && step.raw('region') !== CONFIG && (leftover || !this.#isModelled(device));
    if ((registers || kernelMemory) && expected !== '') {
      this.report.relax(kernelMemory ? KERNEL_MEMORY_RULE : REGISTERS_RULE);
      this.report.compare('length', expected.length / 2, actual.length / 2);
    } else if (step.has('out') || actual !== '') {
      this.report.compare('out', expected, actual);
    }
  }

  // Memory

  #mmap(step: Fields): void {
    const { process } = this.#machine;
    const anonymous = step.string('fd') === 'anonymous';
    const fd = anonymous ? -1 : (this.#fds.get(step.string('fd')) ?? NO_FD);
    const flags = anonymous ? MAP_SHARED : step.number('flags');
    const made = process.tryMmap(fd, step.number('len'), Number(step.bigint('off')), step.number('prot'), flags);
    if (typeof made !== 'number') this.#maps.set(step.string('as'), { mapping: made, device: this.#devices.get(step.string('fd')) });
    this.#result(step, typeof made === 'number' ? made : 'map');
  }

  #munmap(step: Fields): void {
    const map = this.#map(step);
    if (map === undefined) {
      this.report.notExecuted('munmap');
      return;
    }
    map.mapping.unmap();
    this.#maps.delete(step.string('map'));
    this.#result(step, 0);
  }

  #memRead(step: Fields): void {
    const map = this.#map(step);
    if (map === undefined) {
      this.report.notExecuted('mem_read');
      return;
    }
    const { mapping, device } = map;
    const size = step.number('size');
    const at = step.number('off');
    const bytes = new Uint8Array(size);
    if (size === 1 || size === 2 || size === 4) {
      const value = mapping.read(at, size);
      for (let i = 0; i < size; i += 1) bytes[i] = value >>> (8 * i);
    } else {
      bytes.set(mapping.readBytes(at, size));
    }
    if (device !== undefined && !this.#isModelled(device)) this.report.relax(REGISTERS_RULE);
    else this.report.compare('out', toHex(step.bytes('out')), toHex(bytes));
  }

  #memWrite(step: Fields): void {
    const map = this.#map(step);
    if (map === undefined) {
      this.report.notExecuted('mem_write');
      return;
    }
    const { mapping } = map;
    const bytes = step.bytes('in');
    const at = step.number('off');
    const size = bytes.length;
    if (size !== 1 && size !== 2 && size !== 4) {
      mapping.writeBytes(at, bytes);
      return;
    }
    let value = 0;
    for (let i = size - 1; i >= 0; i -= 1) value = value * 0x100 + bytes[i]!;
    mapping.write(at, size, value);
  }

  /** A mapping by its name; undefined where the model refused to make it. */
  #map(fields: Fields): { readonly mapping: Mapping; readonly device: string | undefined } | undefined {
    return this.#maps.get(fields.string('map'));
  }

  // Eventfds

  /** The count taken from an eventfd, or a negative errno. */
  #count(step: Fields): bigint | number {
    const file = this.#machine.process.file(this.#fd(step));
    if (!(file instanceof EventFdFile)) return step.fail('fd', 'an eventfd');
    const into = new Uint8Array(8);
    const result = file.read(into);
    return result < 0 ? result : new DataView(into.buffer).getBigUint64(0, true);
  }

  #eventfdRead(step: Fields, count: bigint | number): void {
    const racy = this.#wakeups.has(step.string('fd')) && step.raw('errno') === 'EAGAIN' && count === 1n;
    if (racy) {
      this.report.relax(SUSPEND_RACE_RULE);
      return;
    }
    this.#result(step, typeof count === 'number' ? count : 8);
    if (step.has('count')) this.report.compare('count', step.bigint('count'), typeof count === 'number' ? 0n : count);
  }

  #eventfdWait(step: Fields): void {
    const { scheduler } = this.#machine.host;
    const end = scheduler.now + step.number('timeout_ms') * MS;
    let count = this.#count(step);
    while (typeof count === 'number' && scheduler.now < end) {
      scheduler.advance(Math.min(SLICE, end - scheduler.now));
      count = this.#count(step);
    }
    this.#eventfdRead(step, count);
  }

  #eventfdWrite(step: Fields): void {
    const from = new Uint8Array(8);
    new DataView(from.buffer).setBigUint64(0, step.bigint('value'), true);
    this.#result(step, this.#machine.process.tryPwrite(this.#fd(step), from, 0));
  }

  // Sysfs

  #sysfsWrite(step: Fields): void {
    this.#result(step, this.#call('write', this.#machine.process.sys.writeFile(step.string('path'), step.string('text'))));
  }

  #sysfsRead(step: Fields): void {
    const content = this.#call('read', this.#machine.process.sys.readFile(step.string('path')));
    if (typeof content === 'number') {
      if (step.has('ret')) this.#result(step, content);
      else this.report.compare('text', step.raw('text') === null ? null : step.string('text'), null);
      return;
    }
    const text = typeof content === 'string' ? content : new TextDecoder().decode(content);
    if (step.has('ret')) this.#result(step, text.length);
    // Where the recording has no return value it has the text without its newline.
    if (step.has('text')) this.report.compare('text', step.raw('text') === null ? null : step.string('text'), step.has('ret') ? text : text.trimEnd());
  }

  #sysfsLink(step: Fields): void {
    const node = this.#machine.host.files.lookup(step.string('path'), true);
    const target = node?.kind === 'link' ? (node.target.split('/').at(-1) ?? '') : null;
    this.report.compare('to', step.raw('to') === null ? null : step.string('to'), target);
  }

  #ls(step: Fields): void {
    const node = this.#machine.host.files.lookup(step.string('path'));
    const names = node?.kind === 'folder' ? [...node.entries.keys()].sort().join(' ') : null;
    this.report.compare('names', step.raw('names') === null ? null : step.list('names').filter((name) => typeof name === 'string').join(' '), names);
  }

  #rawConfig(step: Fields): void {
    const name = step.string('device');
    const expected = step.bytes('out');
    const at = step.number('at');
    const content = this.#call('read', this.#machine.process.sys.readFile(`/sys/bus/pci/devices/${name}/config`));
    if (!(content instanceof Uint8Array)) {
      this.report.compare('out', toHex(expected), typeof content === 'number' ? errnoName(content) : content);
      return;
    }
    const actual = content.slice(at, at + expected.length);
    const device = this.#machine.bus.device(name);
    if (device !== undefined) {
      for (const offset of messageBytes(device.function.config.bytes)) {
        if (offset < at || offset >= at + expected.length) continue;
        if (expected[offset - at] === actual[offset - at]) continue;
        this.report.relax(MSI_MESSAGE_RULE);
        actual[offset - at] = expected[offset - at]!;
      }
    }
    this.report.compare('out', toHex(expected), toHex(actual));
  }

  // Jobs of another process

  #spawn(step: Fields, body: Sleeps<unknown>): void {
    this.#jobs.set(step.string('job'), this.#machine.process.start(`job ${step.string('job')}`, body));
  }

  #jobState(step: Fields): void {
    this.#machine.host.scheduler.advance(step.number('wait_ms') * MS);
    this.#compareJob(step);
  }

  #jobWait(step: Fields): void {
    const { scheduler } = this.#machine.host;
    const job = this.#job(step);
    for (const end = scheduler.now + JOB_WAIT; !job.finished && scheduler.now < end; ) scheduler.advance(SLICE);
    this.#compareJob(step);
  }

  #compareJob(step: Fields): void {
    const { outcome } = this.#job(step);
    this.report.compare('done', step.boolean('done'), outcome.state === 'done' || outcome.state === 'failed');
    if (!step.has('exit') || step.raw('exit') === null) return;
    // The shell's status: 1 when the write or read failed.
    const failed = outcome.state !== 'done' || (typeof outcome.value === 'number' && outcome.value < 0);
    this.report.compare('exit', step.number('exit'), failed ? 1 : 0);
  }

  #job(step: Fields): Thread<unknown> {
    return this.#jobs.get(step.string('job')) ?? step.fail('job', 'the name of a job');
  }

  // Notes that stand for calls

  #note(text: string): void {
    const repeat = /^the same call for i = (\d+)\.\.(\d+) \(offset (0x[0-9a-f]+) \+ (\d+) i\)/.exec(text);
    if (repeat !== null && this.#last !== undefined) {
      const [first, last, base, scale] = repeat.slice(1).map(Number);
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
    this.#result(step, this.#request(step, input));
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
    const device = this.#devices.get(step.string('fd'));
    if (device === undefined || this.#machine.bus.device(device) === undefined) this.report.notExecuted(step.string('call'));
    else run(this.#fd(step), device);
  }

  // Results

  #fd(step: Fields): number {
    return this.#fds.get(step.string('fd')) ?? NO_FD;
  }

  #isModelled(device: string | undefined): boolean {
    const found = device === undefined ? undefined : this.#machine.bus.device(device);
    // What is not on the PCI bus is an mdev sample, with a model of its own.
    return found === undefined || MODELLED.has(`${found.vendor.toString(16)}:${found.deviceId.toString(16)}`);
  }

  /** Runs a call that may sleep. One that does not come back is told as such, and lives on. */
  #call<T>(name: string, body: Sleeps<T>): T {
    return this.#machine.host.scheduler.call(`recorder ${name}`, body);
  }

  /** Compares a return value: a number, `fd` or `map`; and the errno of a failure. */
  #result(step: Fields, result: number | 'fd' | 'map'): void {
    const failed = typeof result === 'number' && result < 0;
    const expected = step.raw('ret');
    if (typeof expected !== 'string' && typeof expected !== 'number') return step.fail('ret', 'a return value');
    this.report.compare('ret', expected, failed ? -1 : result);
    if (step.has('errno') || failed) this.report.compare('errno', step.has('errno') ? errnoOf(step) : null, failed ? errnoName(result) : null);
  }
}

/** Whether an access is one of BAR 0's at edu's DMA registers. */
function isEduDma(step: Fields, length: number): boolean {
  if (!step.has('at') || step.raw('region') !== 'BAR0' || !step.string('fd').includes('0000:00:02.0')) return false;
  const at = step.number('at');
  return at <= EDU_DMA_REGISTERS.last && at + length > EDU_DMA_REGISTERS.first;
}

/** The errno's name; the recording machine has no names for some, and writes their numbers. */
function errnoOf(step: Fields): string {
  const text = step.string('errno');
  return /^[0-9]+$/.test(text) ? errnoName(Number(text)) : text;
}

/** A buffer as the recording shows it: behind what the caller wrote, trailing filler is cut. */
function withoutFiller(buffer: Uint8Array, shown: number): Uint8Array {
  let end = buffer.length;
  while (end > shown && buffer[end - 1] === FILLER) end -= 1;
  return buffer.subarray(0, end);
}
