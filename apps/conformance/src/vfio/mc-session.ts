/**
 * Sessions of a Management Complex's users, NXP's restool and DPDK with the kernel below them: what they sent is sent to the model's MC, in the
 * recorded order, and each answer, each message and each change of a control register is compared. recordings/fslmc/README.md tells the format.
 */
import { get, Host, set, type MmioDevice } from '@vsim/vfio-core';
import { COMMAND_SIZE, describeCommand, GCR1, mc_header, PARAMS, McContainer, type ManagementComplex } from '@vsim/vfio-fslmc';
import type { Format, ReplayOptions } from '../format.ts';
import { MalformedRecording, toHex, type Fields } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';
import { commandNames, McRules } from './mc-rules.ts';
import { fillComplex, PORTALS, recordedComplex, type FirmwareOf } from './recorded-complex.ts';

/** Doorbells: the ITS's own, and the window in which an IOMMU shows it. */
const DOORBELLS = { base: 0x0800_0000, size: 0x10_0000 } as const;
const PORTAL_SIZE = 0x1_0000;
export const mcSessionFormat: Format = {
  name: 'mc-session',
  recognises: (first: Fields): boolean => first.has('k') && first.string('k') === 'mc',
  profileOf: () => 'none: the firmware alone',
  *run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport> {
    const [first] = lines;
    const contents = options.hosts?.('contents.json');
    if (first === undefined || contents === undefined) throw new MalformedRecording(first?.path ?? '', undefined, 'no contents.json: it is looked for beside the file');
    const name = first.string('content');
    if (options.casePrefix !== undefined && !name.startsWith(options.casePrefix)) return;
    const session = new McSession(name, contents.object(name), firmwareOf(lines), options);
    const rules = contents.object(name).has('rules') ? contents.object(name).objects('rules') : [];
    const commands = rules.length === 0 ? undefined : options.hosts?.('commands.json');
    if (commands !== undefined) session.obey(commands, rules);
    for (const line of lines.slice(1)) session.line(line);
    yield session.finish();
  },
};

/** A message of the MC. */
interface Message {
  readonly icid: number;
  readonly address: number;
  readonly data: number;
}

class McSession {
  readonly #report: CaseRecorder;
  readonly #host = new Host({ ram: [{ base: 0x4000_0000, size: 0x1000_0000 }] });
  readonly #mc: ManagementComplex;
  /** That the MC sent, and no line has told yet. */
  readonly #sent: Message[] = [];
  /** Lines that told of one before the command that brings it. */
  readonly #told: Message[] = [];

  constructor(name: string, content: Fields, firmware: FirmwareOf, { mcLog, watch }: ReplayOptions) {
    this.#report = new CaseRecorder(name);
    watch?.(name, this.#host);
    this.#mc = recordedComplex(this.#host, content, firmware);
    fillComplex(this.#mc, content);
    if (mcLog !== undefined) this.#mc.watch({ answered: (command, answer) => { mcLog(describeCommand(command, answer)); } });
    const doorbell: MmioDevice = {
      read: () => 0,
      write: (offset, _width, data, icid) => { this.#sent.push({ icid, address: DOORBELLS.base + offset, data }); },
    };
    this.#host.memory.map(DOORBELLS.base, DOORBELLS.size, doorbell);
  }

  /** The recorder's firmware answered by rules. */
  obey(commands: Fields, fields: readonly Fields[]): void {
    const rules = new McRules(commandNames(commands));
    for (const rule of fields) rules.add(rule);
    this.#mc.watch(rules);
  }

  line(line: Fields): void {
    const kind = line.string('k');
    if (kind === 'note') return;
    this.#report.begin(line.number('n'));
    switch (kind) {
      case 'objects':
        this.#report.compare('objects', namesOf(line.object('tree')).join(' '), namesIn(this.#mc.root).join(' '));
        return;
      case 'cmd':
        this.#command(line);
        return;
      case 'msi':
        // The recorder writes it down before the command that it came of.
        this.#told.push({ icid: line.number('icid'), address: Number(line.string('address')), data: line.number('data') });
        return;
      case 'gcr1':
        this.#control(line);
        return;
      default:
        this.#report.notExecuted(kind);
    }
  }

  finish(): CaseReport {
    this.#messages();
    return this.#report;
  }

  /** Through its portal, as the user wrote it. */
  #command(line: Fields): void {
    const { memory } = this.#host;
    const name = line.string('c');
    const question = whole(line.bytes('q'));
    const portal = PORTALS + line.number('p') * PORTAL_SIZE;
    for (let at = COMMAND_SIZE - 8; at >= 0; at -= 8) memory.write64(portal + at, get(question, [at, 'u32']), get(question, [at + 4, 'u32']));
    const answer = new Uint8Array(COMMAND_SIZE);
    for (let at = 0; at < COMMAND_SIZE; at += 4) set(answer, [at, 'u32'], memory.read32(portal + at));
    const status = get(answer, mc_header.status);
    this.#report.compare(`${name} status`, line.number('s'), status);
    this.#report.compare(name, toHex(whole(line.bytes('a'))), toHex(answer));
    this.#messages();
  }

  #messages(): void {
    const text = (messages: readonly Message[]): string => messages.map(({ icid, address, data }) => `${icid}: 0x${address.toString(16)} ${data}`).join(', ');
    if (this.#told.length === 0 && this.#sent.length === 0) return;
    this.#report.compare('messages', text(this.#told), text(this.#sent));
    this.#told.length = 0;
    this.#sent.length = 0;
  }

  /** What the kernel writes into it is read back. */
  #control(line: Fields): void {
    const { control } = this.#mc;
    if (control === undefined) return;
    const { memory } = this.#host;
    memory.write32(control.address + GCR1, Number(line.string('to')));
    this.#report.compare('gcr1', Number(line.string('to')), memory.read32(control.address + GCR1));
  }
}

/** Which release it was, and the version of containers' commands: the kernel asks for both before anything else. */
function firmwareOf(lines: readonly Fields[]): FirmwareOf {
  const answer = (name: string): Uint8Array | undefined => {
    const line = lines.find((each) => each.string('k') === 'cmd' && each.string('c') === name && each.raw('s') === 0);
    return line === undefined ? undefined : whole(line.bytes('a'));
  };
  const [version, api] = [answer('dpmng.get_version'), answer('dprc.get_api_version')];
  return {
    registers: true,
    release: version === undefined ? undefined : `${get(version, [PARAMS + 4, 'u32'])}.${get(version, [PARAMS + 8, 'u32'])}.${get(version, [PARAMS, 'u32'])}`,
    api: api === undefined ? undefined : [get(api, [PARAMS, 'u16']), get(api, [PARAMS + 2, 'u16'])],
  };
}

/** All 64 bytes: trailing zeros are not written down. */
function whole(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(COMMAND_SIZE);
  out.set(bytes.subarray(0, COMMAND_SIZE));
  return out;
}

function namesOf(tree: Fields): string[] {
  return tree.objects('objects').flatMap((object) => [object.string('name'), ...(object.has('objects') ? namesOf(object) : [])]);
}

function namesIn(container: McContainer): string[] {
  return container.objects.flatMap((object) => [object.name, ...(object instanceof McContainer ? namesIn(object) : [])]);
}
