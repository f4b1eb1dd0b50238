/**
 * Recordings of QEMU's GICv3 and GICv4 device models, replayed against @vsim/gic-its with the preset `qemu`.
 *
 * A file has `machine` lines (the address map) and `case` lines; each case starts from reset with zeroed RAM. What depends on
 * IMPLEMENTATION DEFINED table formats or caching is counted as relaxed, by the case's tag, and not compared.
 */
import { Host, type TraceEvent } from '@vsim/vfio-core';
import { Gic, registerNamed, type GicVersion } from '@vsim/gic-its';
import type { Format, ReplayOptions, WatchHosts } from '../format.ts';
import { MalformedRecording, toHex, type Fields, type Json } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';

/** A `machine` line. */
interface Machine {
  readonly version: GicVersion;
  readonly gicd: number;
  readonly its: number;
  readonly translater: number;
  readonly gicr: number;
  readonly stride: number;
  readonly ram: { readonly base: number; readonly size: number };
}

/** The most that a recorded machine has. */
const MOST_CPUS = 512;
const TABLE_FORMAT = 'impdef-table-format';
const CACHING = 'impdef-caching';
/** The model says more than QEMU: events of these kinds, for these reasons, where QEMU logs nothing. */
const QUIET_QEMU = 'quiet-qemu';
const QUIET: readonly (readonly [id: string, reason: RegExp])[] = [
  ['gic/lpi-dropped', /dropped: (EnableLPIs is 0|beyond PROPBASER\.IDbits)$/],
  ['gic/msi-dropped', /dropped: its disabled$/],
  // A GICv3 logs nothing of the commands of a GICv4, and no GIC of a VMOVP to a redistributor that is not there.
  ['gic/command-ignored', /: (V[A-Z]+ ignored: unknown command|VMOVP ignored: no such redistributor)$/],
  // GITS_BASERn that is locked, the page of GITS_TRANSLATER, GICD_STATUSR.
  ['gic/access-ignored', /^(its \d: access at 0x(01[01].|100..)|distributor: access at 0x0010) ignored$/],
  ['gic/unpredictable', /BASER(\d of its \d)? written while/],
];

/** Nor does it log an access of one or two bytes to the ITS. */
function isQuietInQemu({ id, text }: TraceEvent, size: number): boolean {
  return (id === 'gic/access-ignored' && size < 4 && text.startsWith('its')) || QUIET.some(([quiet, reason]) => quiet === id && reason.test(text));
}

/** What only people read: an address in words, the decoded commands, what a table is. */
const FOR_PEOPLE = ['op', 'text', 'cmds', 'what'] as const;
/** The keys that the runner understands, by op. */
const KEYS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>(Object.entries({
  mmio_write: ['size', 'addr', 'value', 'complaint'],
  mmio_read: ['size', 'addr', 'expect', 'complaint'],
  ram_write: ['addr', 'hex'],
  ram_fill: ['addr', 'len', 'byte'],
  ram_dump: ['addr', 'len', 'nonzero'],
  pending_dump: ['addr', 'len', 'set'],
  msi: ['device', 'data', 'complaint'],
  hppi: ['cpu'],
  vhppi: ['cpu'],
  cpu: ['cpu', 'reg', 'value', 'expect', 'view', 'complaint'],
  note: [],
}));
/** `seed` tells how a random case was made. */
const CASE_KEYS = ['type', 'name', 'machine', 'cpus', 'tags', 'seed', 'steps'];
const TAGS = ['legal', 'wild', 'cpu', TABLE_FORMAT, CACHING];

export const qemuGicFormat: Format = {
  name: 'qemu-gic',
  recognises: (first: Fields): boolean => first.has('type') && first.raw('type') === 'machine',
  profileOf: (): string => 'qemu',
  *run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport> {
    const machines = new Map<string, Machine>();
    for (const line of lines) {
      const type = line.string('type');
      if (type === 'machine') machines.set(line.string('id'), machineOf(line));
      else if (type === 'case') {
        const name = line.string('name');
        if (options.casePrefix === undefined || name.startsWith(options.casePrefix)) yield runCase(line, name, machines, options.watch);
      } else line.fail('type', '"machine" or "case"');
    }
  },
};

function machineOf(line: Fields): Machine {
  const id = line.string('id');
  if (id !== 'gicv3' && id !== 'gicv4') return line.fail('id', '"gicv3" or "gicv4"');
  const ram = line.object('ram');
  return {
    version: id,
    gicd: line.number('gicd'),
    its: line.number('its'),
    translater: line.number('its_translater'),
    gicr: line.number('gicr'),
    stride: line.number('gicr_stride'),
    ram: { base: ram.number('base'), size: ram.number('size') },
  };
}

function runCase(line: Fields, name: string, machines: ReadonlyMap<string, Machine>, watch: WatchHosts | undefined): CaseReport {
  const machine = machines.get(line.string('machine'));
  if (machine === undefined) throw new MalformedRecording(line.path, line.line, `"machine": no such machine`);
  const tags = line.has('tags') ? line.list('tags') : [];
  const replay = new CaseReplay(name, machine, line.count('cpus', MOST_CPUS), tags, watch);
  replay.report.unknown(line, CASE_KEYS);
  for (const tag of tags) if (typeof tag !== 'string' || !TAGS.includes(tag)) line.fail('tags', TAGS.join(', '));
  line.objects('steps').forEach((step, i) => replay.step(step, i));
  return replay.report;
}

class CaseReplay {
  readonly report: CaseRecorder;
  readonly #machine: Machine;
  readonly #host: Host;
  readonly #gic: Gic;
  readonly #formatTagged: boolean;
  readonly #cachingTagged: boolean;
  readonly #wide = new Uint32Array(2);

  constructor(name: string, machine: Machine, cpus: number, tags: readonly Json[], watch: WatchHosts | undefined) {
    this.report = new CaseRecorder(name);
    this.#machine = machine;
    this.#host = new Host({ ram: [machine.ram] });
    watch?.(name, this.#host);
    this.#gic = new Gic(this.#host, {
      version: machine.version,
      cpus,
      distributor: machine.gicd,
      redistributors: machine.gicr,
      stride: machine.stride,
      its: [machine.its],
      preset: 'qemu',
    });
    this.#formatTagged = tags.includes(TABLE_FORMAT);
    this.#cachingTagged = tags.includes(CACHING);
  }

  step(step: Fields, index: number): void {
    this.report.begin(index);
    const events: TraceEvent[] = [];
    const stop = this.#host.trace.listen((event) => {
      if (event.severity !== 'info') events.push(event);
    });
    this.#run(step);
    stop();
    this.#compareComplaint(step, events);
  }

  /** Where QEMU logs a guest's error the model has an event that is more than information, and where it does not, none. */
  #compareComplaint(step: Fields, events: readonly TraceEvent[]): void {
    const complains = step.has('complaint') && step.boolean('complaint');
    const size = step.has('size') ? step.number('size') : 4;
    if (!complains && events.length > 0 && events.every((event) => isQuietInQemu(event, size))) this.report.relax(QUIET_QEMU);
    else this.report.compare('complaint', complains ? 'one' : 'none', events.length > 0 ? 'one' : 'none');
  }

  #run(step: Fields): void {
    const memory = this.#host.memory;
    const op = step.string('op');
    this.report.unknown(step, [...(KEYS.get(op) ?? []), ...FOR_PEOPLE]);
    switch (op) {
      case 'mmio_write':
        this.#store(step);
        return;
      case 'mmio_read':
        this.report.compare('value', step.bigint('expect'), this.#load(step));
        return;
      case 'ram_write':
        memory.writeBytes(step.number('addr'), step.bytes('hex'));
        return;
      case 'ram_fill':
        memory.writeBytes(step.number('addr'), new Uint8Array(step.count('len')).fill(step.number('byte')));
        return;
      case 'ram_dump':
        if (this.#formatTagged) this.report.relax(TABLE_FORMAT);
        else this.#compareDump(step);
        return;
      case 'pending_dump':
        if (this.#cachingTagged) this.report.relax(CACHING);
        else this.#comparePending(step);
        return;
      case 'msi':
        memory.write32(this.#machine.translater, step.number('data'), step.number('device'));
        return;
      case 'hppi':
      case 'vhppi':
        if (this.#cachingTagged) this.report.relax(CACHING);
        else this.#compareCandidates(step, op);
        return;
      case 'cpu':
        this.#systemRegister(step);
        return;
      case 'note':
        return;
      default:
        this.report.notExecuted(op);
    }
  }

  #store(step: Fields): void {
    const memory = this.#host.memory;
    const address = step.number('addr');
    const value = step.bigint('value');
    const low = Number(BigInt.asUintN(32, value));
    switch (step.number('size')) {
      case 1:
        memory.write8(address, low);
        return;
      case 2:
        memory.write16(address, low);
        return;
      case 4:
        memory.write32(address, low);
        return;
      case 8:
        memory.write64(address, low, Number(BigInt.asUintN(32, value >> 32n)));
        return;
      default:
        step.fail('size', '1, 2, 4 or 8');
    }
  }

  #load(step: Fields): bigint {
    const memory = this.#host.memory;
    const size = step.number('size');
    const address = step.number('addr');
    if (size === 1) return BigInt(memory.read8(address));
    if (size === 2) return BigInt(memory.read16(address));
    if (size === 4) return BigInt(memory.read32(address));
    if (size !== 8) return step.fail('size', '1, 2, 4 or 8');
    memory.read64(address, this.#wide);
    return (BigInt(this.#wide[1]!) << 32n) | BigInt(this.#wide[0]!);
  }

  #compareDump(step: Fields): void {
    const bytes = new Uint8Array(step.count('len'));
    let end = 0;
    for (const run of step.list('nonzero')) {
      const [offset, hex, ...more] = Array.isArray(run) ? (run as readonly Json[]) : [];
      if (more.length > 0 || typeof offset !== 'number' || typeof hex !== 'string') return step.fail('nonzero', 'pairs of offset and hex');
      if (offset < end) return step.fail('nonzero', 'runs in ascending order');
      end = offset + hex.length / 2;
      for (let i = 0; i < hex.length / 2; i += 1) bytes[offset + i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
    }
    const actual = new Uint8Array(bytes.length);
    this.#host.memory.readBytes(step.number('addr'), actual);
    this.report.compare('bytes', toHex(bytes), toHex(actual));
  }

  #comparePending(step: Fields): void {
    const bytes = new Uint8Array(step.count('len'));
    this.#host.memory.readBytes(step.number('addr'), bytes);
    const set: number[] = [];
    for (let n = 0; n < bytes.length * 8; n += 1) if ((bytes[n >>> 3]! & (1 << (n & 7))) !== 0) set.push(n);
    this.report.compare('set', JSON.stringify(step.list('set')), JSON.stringify(set));
  }

  #compareCandidates(step: Fields, op: 'hppi' | 'vhppi'): void {
    this.report.compare(`cpus of ${op}`, step.list('cpu').length, this.#gic.redistributors.length);
    step.list('cpu').forEach((expected, cpu) => {
      const redistributor = this.#gic.redistributors[cpu];
      if (redistributor === undefined) return step.fail('cpu', `${this.#gic.redistributors.length} entries`);
      const { intid, priority } = op === 'hppi' ? redistributor.best : redistributor.bestVlpi;
      // null: QEMU has not reported yet, which is as good as none.
      if (!Array.isArray(expected) && expected !== null && expected !== 0) return step.fail('cpu', 'pairs of INTID and priority, 0 or null');
      const wanted = Array.isArray(expected) ? expected.join('/') : 'none';
      this.report.compare(`${op}[${cpu}]`, wanted, priority === 0xff ? 'none' : `${intid}/${priority}`);
    });
  }

  #systemRegister(step: Fields): void {
    const register = registerNamed(step.string('reg'));
    if (register === undefined) {
      this.report.notExecuted(step.string('reg'));
      return;
    }
    const { name } = register;
    const cpu = this.#gic.cpu(step.number('cpu'));
    const view = (step.has('view') && step.string('view') === 'virtual') || name.startsWith('ICH_') ? cpu.virtual : cpu;
    if (step.has('value')) view.write(name, step.bigint('value'));
    else this.report.compare(name, step.bigint('expect'), view.read(name));
  }
}

