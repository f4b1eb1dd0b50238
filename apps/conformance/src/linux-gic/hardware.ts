/**
 * What an unmodified Linux did to the model's GIC, access by access, replayed against the hardware of @vsim/gic-its without QEMU.
 *
 * One line an access, in order: what was read or written, and what the recorded model did in it to RAM (see recorded-ram.ts). Every value
 * read, every line of every CPU, RAM and the events are compared. A case is a scenario of the recording; a GIC lasts until the next reset.
 */
import type { GicVersion } from '@vsim/gic-its';
import type { RamRange } from '@vsim/vfio-core';
import type { Format, ReplayOptions } from '../format.ts';
import { fromHex, toHex, type Fields, type Json } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';
import { LocalGic } from './local-gic.ts';
import { RecordedRam } from './recorded-ram.ts';

/** What a `reset` line says of the machine. */
export interface RecordedGic {
  readonly version: GicVersion;
  readonly cpus: number;
  readonly its: readonly number[];
  readonly ram: RecordedRam;
  /** Where RAM is. */
  readonly range: RamRange;
}

/** The GIC that a recording is played to: in this process, or behind a socket. */
export interface GicUnderTest {
  /** @param size 1, 2, 4 or 8 */
  load(address: number, size: number): bigint;
  store(address: number, size: number, value: bigint, requester: number): void;
  /** @param virtual the guest's view of an ICC_* register */
  readRegister(cpu: number, name: string, virtual: boolean): bigint;
  writeRegister(cpu: number, name: string, virtual: boolean, value: bigint): void;
  setPpi(cpu: number, intid: number, level: boolean): void;
  setSpi(intid: number, level: boolean): void;
  /** 8 bits a CPU: 1 IRQ, 2 FIQ, 4 virtual IRQ, 8 virtual FIQ, 16 maintenance interrupt. */
  lines(): bigint;
  /** Events since the last call, but those that only inform; undefined where they cannot be had. */
  events(): readonly string[] | undefined;
}

const MOST_CPUS = 8;
const MAINTENANCE = 16n;
/** Events that say again what RAM, values or lines say. */
const SILENT = ['gic/vlpi-pending'];
/** Stores to GITS_BASER that is not there were a fault in the model of that day; they are RES0, and silent. */
const RES0_BASER = /^gic\/access-ignored its \d: access at 0x01[1-3][0-9a-f] ignored$/;
const RES0 = 'res0-baser';

const KEYS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>(Object.entries({
  reset: ['version', 'its', 'cpus', 'base', 'size'],
  r: ['a', 's', 'v', 'c'],
  w: ['a', 's', 'v', 'c', 'q'],
  sr: ['g', 'v', 'c', 'el', 'x'],
  sw: ['g', 'v', 'c', 'el', 'x'],
  spi: ['i', 'v'],
  ppi: ['i', 'v', 'c'],
  note: ['t'],
}));
const EVERY_KEY = ['n', 'k', 'm', 'l'];

export const linuxGicFormat: Format = {
  name: 'linux-gic',
  recognises: (first: Fields): boolean => first.has('k') && first.raw('k') === 'reset' && first.has('version'),
  profileOf: (first: Fields): string => first.string('version'),
  *run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport> {
    for (const report of replayHardware(lines, (recorded) => new LocalGic(recorded))) {
      if (options.casePrefix === undefined || report.name.startsWith(options.casePrefix)) yield report;
    }
  },
};

/** Plays a recording to GICs that `make` makes, one for each reset. */
export function* replayHardware(lines: readonly Fields[], make: (recorded: RecordedGic) => GicUnderTest): Generator<CaseReport> {
  const replay = new HardwareReplay(make);
  for (const line of lines) {
    const name = scenarioOf(line);
    if (name !== undefined) {
      yield replay.report;
      replay.report = new CaseRecorder(name);
    }
    replay.step(line);
  }
  yield replay.report;
}

/** The name in a note `# name: what it does`. */
function scenarioOf(line: Fields): string | undefined {
  if (line.string('k') !== 'note') return undefined;
  return /^# ([a-z0-9_]+)/.exec(line.string('t'))?.[1];
}

class HardwareReplay {
  report: CaseRecorder = new CaseRecorder('boot');
  readonly #make: (recorded: RecordedGic) => GicUnderTest;
  #gic: GicUnderTest | undefined;
  #ram: RecordedRam | undefined;
  #n = 0;
  /** As recorded: IRQ and virtual IRQ of all CPUs, and their maintenance interrupts. */
  #lines = 0n;
  #maintenance = 0n;

  constructor(make: (recorded: RecordedGic) => GicUnderTest) {
    this.#make = make;
  }

  step(line: Fields): void {
    const n = line.number('n');
    if (n <= this.#n) line.fail('n', 'ascending numbers');
    this.#n = n;
    const kind = line.string('k');
    this.report.unknown(line, [...(KEYS.get(kind) ?? []), ...EVERY_KEY]);
    if (kind === 'note') return;
    this.report.begin(n);
    if (kind === 'reset') {
      this.#reset(line);
      return;
    }
    const ram = this.#ram ?? line.fail('k', 'a reset first');
    const gic = this.#gic ?? line.fail('k', 'a reset first');
    ram.begin();
    const events = this.#recorded(line, ram);
    this.#access(line, kind, gic);
    this.#compareLines(line, gic);
    const wrong = ram.end();
    this.report.compare('ram', wrong === undefined ? '' : byteAt(wrong.address, wrong.expected), wrong === undefined ? '' : byteAt(wrong.address, wrong.actual));
    const actual = gic.events();
    if (actual !== undefined) this.report.compare('events', events.join('; '), actual.join('; '));
  }

  #reset(line: Fields): void {
    const version = line.string('version');
    if (version !== 'gicv3' && version !== 'gicv4' && version !== 'gicv4.1') line.fail('version', '"gicv3", "gicv4" or "gicv4.1"');
    const its = line.list('its').map((at) => (typeof at === 'string' ? Number(at) : line.fail('its', 'addresses')));
    const range: RamRange = { base: line.number('base'), size: line.number('size') };
    const ram = new RecordedRam(range);
    this.#ram = ram;
    this.#gic = this.#make({ version, cpus: line.count('cpus', MOST_CPUS), its, ram, range });
    this.#lines = 0n;
    this.#maintenance = 0n;
  }

  /** What the access did: `["r", address, length, hex]` and `["w", ...]` of RAM, hex empty for zeros; `["e", id, text]`. @returns the events */
  #recorded(line: Fields, ram: RecordedRam): readonly string[] {
    const events: string[] = [];
    if (!line.has('m')) return events;
    for (const entry of line.list('m')) {
      const [what, at, more, hex] = Array.isArray(entry) ? (entry as readonly Json[]) : [];
      if (what === 'e' && typeof at === 'string' && typeof more === 'string') this.#event(line, `${at} ${more}`, events);
      else if ((what === 'r' || what === 'w') && typeof at === 'string' && typeof more === 'number' && typeof hex === 'string') {
        const bytes = hex === '' ? new Uint8Array(more) : fromHex(hex);
        if (bytes?.length !== more) return line.fail('m', 'as many bytes as it says');
        if (what === 'r') ram.reads({ address: Number(at), bytes });
        else ram.writes({ address: Number(at), bytes });
      } else return line.fail('m', 'reads, writes and events');
    }
    return events;
  }

  #event(line: Fields, event: string, events: string[]): void {
    const [id = ''] = event.split(' ', 1);
    const maintenance = /^maintenance cpu (\d) ([01])$/.exec(event);
    if (maintenance !== null) {
      const bit = MAINTENANCE << (8n * BigInt(maintenance[1]!));
      this.#maintenance = maintenance[2] === '1' ? this.#maintenance | bit : this.#maintenance & ~bit;
    } else if (id === 'maintenance') line.fail('m', 'maintenance interrupts of a CPU');
    else if (RES0_BASER.test(event)) this.report.relax(RES0);
    else if (!SILENT.includes(id)) events.push(event);
  }

  #access(line: Fields, kind: string, gic: GicUnderTest): void {
    const value = line.has('v') ? line.bigint('v') : 0n;
    switch (kind) {
      case 'r':
        this.report.compare('value', value, gic.load(line.number('a'), sizeOf(line)));
        return;
      case 'w':
        gic.store(line.number('a'), sizeOf(line), value, line.has('q') ? line.count('q', 0xffff) : 0);
        return;
      case 'sr':
        this.report.compare(line.string('g'), value, gic.readRegister(cpuOf(line), line.string('g'), isVirtual(line)));
        return;
      case 'sw':
        gic.writeRegister(cpuOf(line), line.string('g'), isVirtual(line), value);
        return;
      case 'ppi':
        gic.setPpi(cpuOf(line), line.count('i', 31), value !== 0n);
        return;
      case 'spi':
        gic.setSpi(line.count('i', 1019), value !== 0n);
        return;
      default:
        this.report.notExecuted(kind);
    }
  }

  #compareLines(line: Fields, gic: GicUnderTest): void {
    if (line.has('l')) this.#lines = line.bigint('l');
    this.report.compare('lines', this.#lines | this.#maintenance, gic.lines());
  }
}

function byteAt(address: number, byte: number): string {
  return `0x${address.toString(16)} holds ${toHex(Uint8Array.of(byte))}`;
}

function sizeOf(line: Fields): number {
  const size = line.number('s');
  return [1, 2, 4, 8].includes(size) ? size : line.fail('s', '1, 2, 4 or 8');
}

function cpuOf(line: Fields): number {
  return line.count('c', MOST_CPUS - 1);
}

/** A guest is at EL1, and only it has the virtual view. */
function isVirtual(line: Fields): boolean {
  const virtual = line.has('x') && line.number('x') === 1;
  if (line.number('el') !== (virtual ? 1 : 2)) line.fail('el', virtual ? '1' : '2');
  return virtual;
}
