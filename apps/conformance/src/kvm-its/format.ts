/**
 * Recordings of KVM's virtual ITS (Linux 5.10, 6.1, 6.12, 7.3 on arm64), replayed against the vgic floor of @vsim/gic-its.
 *
 * The first line of a file is `meta`; every other line is a scenario. Two RAM images are kept, as golden/kvm-its asks: the
 * simulated one, and the recorded one, to which each dump's changes are applied; at a dump the whole of both must be equal.
 */
import { Host, PhysicalMemory, errnoName, type ProfileName } from '@vsim/vfio-core';
import { Gic, GRP, ItsDriver, KvmVm, VgicIts, type MemorySlot, type Vcpu, type Vgic } from '@vsim/gic-its';
import type { Format, ReplayOptions } from '../format.ts';
import type { Fields, Json } from '../json.ts';
import { fromHex, MOST_BYTES } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';
import { ToldReasons } from '../told-reasons.ts';
import { verdictOf } from './ignored.ts';

const QUEUE = 0x1_0000;
const TRANSLATER = 0x1_0040;
const PAGE = 4096;
/** The most that a recorded machine has. */
const MOST_RAM = 0x4000_0000;
const MOST_CPUS = 512;
/** Where every recording has its ITS. */
const ITS_BASE = 0x0808_0000;

/** How KVM_RUN ends where the recorder's program does: KVM_EXIT_MMIO at this address. */
const PROGRAM_END = { exit: 6, address: 0x900_0000 } as const;
/** How many values the recorder writes to a register: walking bits, or all combinations of attributes. */
const PATTERNS: readonly number[] = [134, 257];
/** Instructions of a vCPU's program are triples: name, address, value. */
const INSTRUCTION_LENGTH = 3;

/** What only people read: a mark, the command's text, a comment. */
const FOR_PEOPLE = ['op', 'note', 'tag', 't', 'reg', 'cpu'] as const;
/** The keys that the runner understands, by op. */
const KEYS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>(Object.entries({
  vm: ['vcpus', 'ipa_bits', 'ram_base', 'ram_size', 'ram', 'ret', 'err'],
  create_device: ['type', 'as', 'ret', 'err'],
  set: ['dev', 'grp', 'attr', 'val', 'ret', 'err'],
  get: ['dev', 'grp', 'attr', 'val', 'ret', 'err'],
  has: ['dev', 'grp', 'attr', 'ret', 'err'],
  wr64: ['dev', 'attr', 'pairs', 'halves'],
  mem_write: ['addr', 'hex'],
  mem_fill: ['addr', 'len', 'byte'],
  mem_seq: ['addr', 'count', 'base', 'step'],
  cmd: ['at', 'hex', 'w', 'ret', 'err'],
  msi: ['addr', 'ev', 'flags', 'dev', 'ret', 'err'],
  dump: ['changed'],
  vrun: ['prog', 'ret', 'err', 'exit', 'exit_addr'],
  vcpu_start_spin: [],
  vcpu_stop: [],
  memslot_delete: ['ret', 'err'],
  memslot_restore: ['ret', 'err'],
  memslot_readonly: ['ret', 'err'],
  dirty_log_start: ['ret', 'err'],
  dirty_log: ['pages', 'ret', 'err'],
}));
const SCENARIO_KEYS = ['group', 'name', 'desc', 'steps'];
/** `ITS` and `kernel` are used, the others tell how it was recorded. */
const META_KEYS = ['group', 'kernel', 'version', 'qemu', 'cmdline', 'GICD', 'GICR', 'ITS', 'doorbell'];

export const kvmItsFormat: Format = {
  name: 'kvm-its',
  recognises: (first: Fields): boolean => first.has('meta') || (first.has('group') && first.has('steps')),
  profileOf: (first: Fields): ProfileName => profileOf(first),
  *run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport> {
    const first = lines[0];
    if (first === undefined) return;
    const profile = options.profile ?? profileOf(first);
    const its = first.has('meta') ? first.object('meta').number('ITS') : ITS_BASE;
    for (const line of lines) {
      if (line.has('meta')) continue;
      const name = line.string('name');
      if (options.casePrefix !== undefined && !name.startsWith(options.casePrefix)) continue;
      const replay = new ScenarioReplay(name, profile, its, (host) => { options.watch?.(name, host); });
      replay.report.unknown(line, SCENARIO_KEYS);
      if (first.has('meta')) replay.report.unknown(first.object('meta'), META_KEYS);
      line.objects('steps').forEach((step, i) => replay.step(step, i));
      yield replay.report;
    }
  },
};

/** The kernels that were recorded: stable releases of one version differ here. */
const KERNELS: ReadonlyMap<string, ProfileName> = new Map([
  ['5.10.223', 'linux-5.10'],
  ['6.1.192', 'linux-6.1'],
  ['6.12.107', 'linux-6.12'],
  ['6.12.117', 'linux-6.12.117'],
  ['7.3.4', 'linux-7.3'],
]);

/**
 * By the release of the kernel: in `meta` Debian's, as uname's may tell of an ABI instead (6.1.0-56); files of single scenarios have no
 * `meta` and name the kernel in their file name.
 */
function profileOf(first: Fields): ProfileName {
  const meta = first.has('meta') ? first.object('meta') : undefined;
  const text = meta?.string('version') ?? first.path.slice(first.path.lastIndexOf('/') + 1);
  const release = /(?:^|Debian )([0-9]+\.[0-9]+\.[0-9]+)/.exec(text)?.[1];
  const profile = release === undefined ? undefined : KERNELS.get(release);
  if (profile !== undefined) return profile;
  const known = `a kernel that is known (${[...KERNELS.keys()].join(', ')}), or --profile, for ${release ?? text}`;
  return meta === undefined ? first.fail('meta', known) : meta.fail('version', known);
}

/** Devices by the names that recordings give them. */
type Device = Vgic | VgicIts;

class ScenarioReplay {
  readonly report: CaseRecorder;
  readonly #profile: ProfileName;
  readonly #made: (host: Host) => void;
  readonly #itsBase: number;
  readonly #devices = new Map<string, Device>();
  readonly #told = new ToldReasons();
  #vm: KvmVm | undefined;
  #ram: PhysicalMemory | undefined;
  #golden = new Uint8Array(0);
  #base = 0;
  #slot: MemorySlot | undefined;

  /** @param made hears of each host before anything is in it */
  constructor(name: string, profile: ProfileName, itsBase: number, made: (host: Host) => void) {
    this.#made = made;
    this.report = new CaseRecorder(name);
    this.#profile = profile;
    this.#itsBase = itsBase;
  }

  step(step: Fields, index: number): void {
    this.report.begin(index);
    this.#told.begin();
    const op = step.string('op');
    this.report.unknown(step, [...(KEYS.get(op) ?? []), ...FOR_PEOPLE]);
    if (op === 'vm') {
      this.#createVm(step);
      return;
    }
    if (this.#vm === undefined) {
      step.fail('op', '"vm" first');
      return;
    }
    switch (op) {
      case 'create_device':
        this.#createDevice(step, this.#vm);
        return;
      case 'set':
        this.#ret(step, this.#device(step).setAttr(groupOf(step), step.bigint('attr'), valueOf(step)));
        return;
      case 'get':
        this.#get(step);
        return;
      case 'has':
        this.#ret(step, this.#device(step).hasAttr(groupOf(step), step.bigint('attr')));
        return;
      case 'wr64':
        this.#writeAndReadBack(step);
        return;
      case 'mem_write':
        this.#write(step.number('addr'), step.bytes('hex'));
        return;
      case 'mem_fill':
        this.#write(step.number('addr'), new Uint8Array(step.count('len')).fill(step.number('byte')));
        return;
      case 'mem_seq':
        this.#write(step.number('addr'), sequence(step.count('count', MOST_BYTES / 8), step.bigint('base'), step.bigint('step')));
        return;
      case 'cmd':
        this.#write(this.#base + QUEUE + step.number('at'), step.bytes('hex'));
        this.#command(step, this.#its);
        return;
      case 'msi': {
        const address = step.has('addr') ? step.number('addr') : this.#itsBase + TRANSLATER;
        const flags = step.has('flags') ? step.number('flags') : 1;
        this.#ret(step, this.#vm.signalMsi(address, step.number('ev'), flags, step.number('dev')));
        // The guest blocks it.
        if (step.number('ret') === 0) this.report.failed('msi', this.#told.ids, 'kvm-its/unmapped');
        return;
      }
      case 'dump':
        this.#dump(step);
        return;
      case 'vrun':
        this.#guest(step, this.#vm.vcpus[step.number('cpu')]!);
        return;
      case 'vcpu_start_spin':
        this.#vm.vcpus[step.number('cpu')]!.run(step.number('cpu'));
        return;
      case 'vcpu_stop':
        this.#vm.vcpus[step.number('cpu')]!.stop();
        return;
      case 'memslot_delete':
        this.#vm.memory.removeSlot(this.#base);
        this.#ret(step, 0);
        return;
      case 'memslot_restore':
        this.#vm.memory.removeSlot(this.#base);
        this.#vm.memory.addSlot(this.#slot!);
        this.#ret(step, 0);
        return;
      case 'memslot_readonly':
        this.#vm.memory.removeSlot(this.#base);
        this.#vm.memory.addSlot({ ...this.#slot!, readOnly: true });
        this.#ret(step, 0);
        return;
      case 'dirty_log_start':
        this.#vm.memory.logDirty(true);
        this.#ret(step, 0);
        return;
      case 'dirty_log': {
        const pages = this.#vm.memory.takeDirty().map((page) => `0x${(page * PAGE).toString(16)}`);
        this.report.compare('pages', JSON.stringify(step.list('pages')), JSON.stringify(pages));
        this.#ret(step, 0);
        return;
      }
      default:
        this.report.notExecuted(op);
    }
  }

  get #its(): Device {
    return this.#devices.get('its')!;
  }

  #device(step: Fields): Device {
    return this.#devices.get(step.string('dev')) ?? step.fail('dev', 'a device that was created');
  }

  #ret(step: Fields, actual: number): void {
    this.report.compare('ret', step.number('ret'), actual);
    if (!step.has('err') && actual >= 0) return;
    this.report.compare('err', step.has('err') ? step.string('err') : null, actual < 0 ? errnoName(actual) : null);
    const whose = ['op', 'dev', 'grp', 'err'].flatMap((key) => (typeof step.raw(key) === 'string' ? [step.string(key)] : []));
    this.report.failed(whose.join(' '), this.#told.ids);
  }

  /** A command: if it is ignored, for one reason. Where several are executed at once nobody says which of them were. */
  #command(step: Fields, its: Device): void {
    const one = its instanceof VgicIts && its.vm.allVcpusStopped ? verdictOf(its, step.number('w')) : undefined;
    this.#ret(step, its.setAttr(GRP.ITS_REGS, 0x88, step.bigint('w')));
    if (one === undefined) return;
    if (one.verdict === undefined) this.report.passed(one.name, this.#told.ids);
    else this.report.failed(one.name, this.#told.ids, one.verdict);
  }

  #createVm(step: Fields): void {
    const size = step.count('ram_size', MOST_RAM);
    this.#base = step.number('ram_base');
    const ram = step.string('ram');
    if (ram !== 'zero' && ram !== 'keep') step.fail('ram', 'zero or keep');
    if (ram === 'zero' || this.#ram === undefined) {
      this.#ram = new PhysicalMemory([{ base: this.#base, size }]);
      this.#golden = new Uint8Array(size);
    }
    const vcpus = step.count('vcpus', MOST_CPUS);
    const host = new Host({ profile: this.#profile, ram: [{ base: 0x8000_0000, size: 0x100_0000 }] });
    this.#made(host);
    this.#told.listen(host);
    const gic = new Gic(host, { version: 'gicv3', cpus: Math.max(vcpus, 1) });
    const vm = new KvmVm(host, { driver: new ItsDriver(host, gic), ipaBits: step.number('ipa_bits') });
    this.#slot = { gpa: this.#base, size, memory: this.#ram, offset: this.#base };
    vm.memory.addSlot(this.#slot);
    for (let n = 0; n < vcpus; n += 1) vm.createVcpu();
    this.#devices.clear();
    this.#vm = vm;
    this.#ret(step, 0);
  }

  #createDevice(step: Fields, vm: KvmVm): void {
    const device = step.string('type') === 'ARM_VGIC_ITS' ? vm.createIts() : vm.createVgic();
    this.#ret(step, typeof device === 'number' ? device : 0);
    if (typeof device !== 'number') this.#devices.set(step.has('as') ? step.string('as') : 'gic', device);
  }

  #get(step: Fields): void {
    const value = this.#device(step).getAttr(groupOf(step), step.bigint('attr'));
    this.#ret(step, typeof value === 'number' ? value : 0);
    if (step.has('val') || typeof value === 'bigint') this.report.compare('val', step.has('val') ? step.bigint('val') : null, typeof value === 'bigint' ? value : null);
  }

  #writeAndReadBack(step: Fields): void {
    const device = this.#device(step);
    const halves = step.has('halves');
    const group = halves ? GRP.REDIST_REGS : GRP.ITS_REGS;
    const attr = step.bigint('attr');
    const pairs = step.list('pairs');
    this.report.compare('pairs', PATTERNS.includes(pairs.length), true);
    for (const pair of pairs) {
      const [written, readBack, ret, ...more] = asList(pair);
      const known = typeof written === 'string' && typeof readBack === 'string' && (ret === undefined || typeof ret === 'number');
      if (!known || more.length > 0) return step.fail('pairs', 'what was written, what was read, and the result if it is not 0');
      const value = BigInt(asText(written));
      this.#told.begin();
      const low = device.setAttr(group, attr, halves ? BigInt.asUintN(32, value) : value);
      const result = low < 0 || !halves ? low : device.setAttr(group, attr + 4n, value >> 32n);
      this.report.compare(`ret of ${asText(written)}`, typeof ret === 'number' ? ret : 0, result);
      if (result < 0) this.report.failed(`wr64 ${errnoName(result)}`, this.#told.ids);
      const lower = device.getAttr(group, attr);
      const upper = halves ? device.getAttr(group, attr + 4n) : 0n;
      const back = typeof lower === 'bigint' && typeof upper === 'bigint' ? lower | (upper << 32n) : 0n;
      this.report.compare(`after ${asText(written)}`, BigInt(asText(readBack)), back);
    }
  }

  /** The VMM or the guest stores bytes: both images get them. */
  #write(address: number, bytes: Uint8Array): void {
    this.#ram?.writeBytes(address, bytes);
    if (address >= this.#base && address + bytes.length <= this.#base + this.#golden.length) this.#golden.set(bytes, address - this.#base);
  }

  #dump(step: Fields): void {
    let end = 0;
    for (const run of step.list('changed')) {
      const [address, hex, ...more] = asList(run);
      this.report.compare('run', 0, more.length);
      const bytes = fromHex(asText(hex));
      if (bytes === undefined) return step.fail('changed', 'pairs of address and hex');
      const start = Number(asText(address)) - this.#base;
      if (start < end) return step.fail('changed', 'runs in ascending order');
      end = start + bytes.length;
      for (let at = start; at < end; at += 8) {
        const changes = Buffer.compare(this.#golden.subarray(at, at + 8), bytes.subarray(at - start, at - start + 8)) !== 0;
        if (!changes) this.report.diverge('changed', `a change at 0x${(this.#base + at).toString(16)}`, 'what was there');
      }
      this.#golden.set(bytes, Number(asText(address)) - this.#base);
    }
    const actual = new Uint8Array(this.#golden.length);
    this.#ram?.readBytes(this.#base, actual);
    const at = firstDifference(this.#golden, actual);
    this.report.compare('ram', at < 0 ? 'equal' : `${word(this.#golden, at)} at 0x${(this.#base + at).toString(16)}`, at < 0 ? 'equal' : word(actual, at));
  }

  #guest(step: Fields, vcpu: Vcpu): void {
    const { vm } = vcpu;
    vcpu.run(vcpu.id);
    for (const instruction of step.list('prog')) {
      const elements = asList(instruction);
      this.report.compare('instruction', INSTRUCTION_LENGTH, elements.length);
      const [op, where, value] = elements;
      const address = where === undefined ? 0 : Number(asText(where));
      const wanted = value === undefined ? 0n : BigInt(asText(value));
      switch (asText(op)) {
        case 'st64':
        case 'st32':
          vm.store(vcpu, address, op === 'st64' ? 8 : 4, wanted);
          break;
        case 'ld64':
        case 'ld32':
          this.report.compare(`${asText(op)} ${asText(where)}`, wanted, vm.load(vcpu, address, op === 'ld64' ? 8 : 4));
          break;
        case 'icc_init':
          vcpu.setPriorityMask(0xff);
          vcpu.setGroup1(true);
          break;
        case 'iar1':
          this.report.compare('iar1', wanted, BigInt(vcpu.acknowledge()));
          break;
        case 'hppir1':
          this.report.compare('hppir1', wanted, vm.driver.gic.cpu(vcpu.cpu).virtual.read('ICC_HPPIR1_EL1'));
          break;
        case 'eoir1':
          vcpu.endOfInterrupt(Number(wanted));
          break;
        default:
          this.report.notExecuted(asText(op));
      }
    }
    vcpu.stop();
    // A program that a guest can run comes to its end: nothing of the model stops it before.
    this.#ret(step, 0);
    this.report.compare('exit', step.number('exit'), PROGRAM_END.exit);
    this.report.compare('exit_addr', step.number('exit_addr'), PROGRAM_END.address);
  }
}

/** The value of a set; undefined for a pointer that the recorder knew to be bad. */
function valueOf(step: Fields): bigint | undefined {
  if (!step.has('val')) return 0n;
  return step.raw('val') === 'bad user pointer' ? undefined : step.bigint('val');
}

/** Groups by their names in recordings; a group that no device has for '?'. */
function groupOf(step: Fields): number {
  switch (step.string('grp')) {
    case 'ADDR':
      return GRP.ADDR;
    case 'CTRL':
      return GRP.CTRL;
    case 'DIST_REGS':
      return GRP.DIST_REGS;
    case 'REDIST_REGS':
      return GRP.REDIST_REGS;
    case 'ITS_REGS':
      return GRP.ITS_REGS;
    case 'NR_IRQS':
      return GRP.NR_IRQS;
    case 'CPU_SYSREGS':
      return GRP.CPU_SYSREGS;
    case 'MAINT_IRQ':
      return GRP.MAINT_IRQ;
    default:
      return 99;
  }
}

function asList(value: Json): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function asText(value: Json | undefined): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? value.toString() : '0';
}

/** `count` 64-bit little-endian words: base, base + step, ... */
function sequence(count: number, base: bigint, step: bigint): Uint8Array {
  const bytes = new Uint8Array(count * 8);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i += 1) view.setBigUint64(8 * i, BigInt.asUintN(64, base + BigInt(i) * step), true);
  return bytes;
}

/** The offset of the first 8-byte word in which two images differ; -1 for none. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.compare(a, b) === 0) return -1;
  return a.findIndex((byte, i) => byte !== b[i]) & ~7;
}

function word(image: Uint8Array, at: number): string {
  return `0x${new DataView(image.buffer).getBigUint64(at, true).toString(16)}`;
}
