/**
 * Captured conversations of vfio-user, said again by the client to a device that is served here.
 *
 * With the test device behind it (1234:5afe), or a device that is given, every reply of the server is compared, byte for byte. The devices of other servers are known by what they told
 * alone: of their replies the sizes are compared, and that none is an error. What a client wrote through a mapping is in no message.
 */
import { VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, type Host } from '@vsim/vfio-core';
import { RecordedFunction, type BarInit } from '@vsim/vfio-pci';
import { FLAG_NO_REPLY, HEADER_SIZE, mappable, MemoryFile, ServerSession, type MappableRegion, type ServedDevice } from '@vsim/vfio-user';
import type { Format, ReplayOptions } from '../format.ts';
import { toHex, type Fields } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';
import { deviceOf, isReply, messageOf, type CapturedBar, type CapturedDevice, type CapturedMessage } from './captured.ts';
import { RecordedClient, type Sent } from './recorded-client.ts';
import { ADDRESS, servedFunction } from './served-function.ts';
import { TestDevice } from './test-device.ts';

const TEST_DEVICE = 0x5afe_1234;
/** Registers of its BAR 0 that raise interrupts. */
const RAISE = 0x08;
const RUN = 0x24;
/** A word that the guest wrote through a mapping, as the device shows it. */
const MAPPED_WORD = 'a word that the guest wrote through a mapping';
/** The device is another server's own. */
const OTHER_SERVER = 'replies of another server';
/** And so is what it can, in its text. */
const OTHER_VERSION = 'VERSION of another server';
/** The capture ends, or its server did, before the reply. */
const NO_REPLY = 'no reply in the capture';

export const vfioUserFormat: Format = {
  name: 'vfio-user',
  recognises: (first: Fields): boolean => first.has('dir'),
  profileOf: (): string => 'vfio-user',
  *run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport> {
    if (options.casePrefix !== undefined && !'session'.startsWith(options.casePrefix)) return;
    yield replayConversation(lines, options);
  },
};

/** Says a captured conversation again. @param kernel as servedFunction() takes it @throws MalformedRecording */
export function replayConversation(lines: readonly Fields[], options: Pick<ReplayOptions, 'device' | 'watch'>, kernel?: 'shown' | 'hidden'): CaseReport {
  const report = new CaseRecorder('session');
  const messages = lines.map(messageOf);
  const all = messages.filter((message) => message !== undefined);
  const captured = deviceOf(all);
  if (captured === undefined && options.device === undefined) {
    messages.forEach((message, i) => {
      report.begin(i);
      report.notExecuted(message?.name ?? 'event');
    });
    return report;
  }
  const replies = new Replies(all);
  const questions = all.filter((message) => !message.fromClient && !isReply(message));
  const client = new RecordedClient(all, (asked) => { compareQuestion(report, questions.shift(), asked); });
  const { device, exact, known } = options.device === undefined && captured !== undefined ? served(captured, options, kernel) : given(options);
  let session = new ServerSession(client, device);
  const armed = new Armed();
  messages.forEach((message, i) => {
    report.begin(i);
    // Another client of the same device.
    if (message === undefined && session.agreement !== undefined && options.device !== undefined && lines[i]?.string('event') === 'connect') {
      session.end();
      session = new ServerSession(client, device);
    }
    if (message === undefined || !message.fromClient || isReply(message)) return;
    const goesOn = session.handle(client.say(message));
    if (!goesOn) report.diverge('connection', 'goes on', session.over ?? 'ended');
    compareReply(report, message, replies.to(message), client.taken(), exact, known);
    const signals = client.signals();
    if (known && armed.raises(message)) report.compare('signals', 1, signals);
  });
  for (const { name } of questions) report.diverge('question', name, 'not asked');
  session.end();
  report.compare('descriptors and mappings left', 0, client.held);
  return report;
}

/** Whether a message makes the test device raise an interrupt that has an eventfd: by MSI-X, where none is lost or masked. No capture has the signals themselves. */
class Armed {
  #vectors = 0;

  raises({ bytes, fds, name }: CapturedMessage): boolean {
    const word = (at: number): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(HEADER_SIZE + at, true);
    if (name === 'DEVICE_SET_IRQS' && word(8) === VFIO_PCI_MSIX_IRQ_INDEX) this.#vectors = fds.length;
    if (name !== 'REGION_WRITE' || word(8) !== VFIO_PCI_BAR0_REGION_INDEX) return false;
    const vector = word(0) === RUN ? 1 : word(0) === RAISE ? word(16) & 3 : undefined;
    return vector !== undefined && vector < this.#vectors;
  }
}

/** Replies by the number of what they answer. */
class Replies {
  readonly #replies = new Map<number, CapturedMessage[]>();

  constructor(messages: readonly CapturedMessage[]) {
    for (const message of messages) {
      if (message.fromClient || !isReply(message)) continue;
      const same = this.#replies.get(message.id);
      if (same === undefined) this.#replies.set(message.id, [message]);
      else same.push(message);
    }
  }

  /** Numbers come again after 65536 commands: the next reply. */
  to({ id, flags }: CapturedMessage): CapturedMessage | undefined {
    return (flags & FLAG_NO_REPLY) === 0 ? this.#replies.get(id)?.shift() : undefined;
  }
}

function compareReply(report: CaseRecorder, asked: CapturedMessage, expected: CapturedMessage | undefined, sent: readonly Sent[], exact: boolean, known: boolean): void {
  const wanted = (asked.flags & FLAG_NO_REPLY) === 0;
  const [first] = sent;
  if (!report.compare('replies', wanted ? 1 : 0, sent.length) || first === undefined) return;
  if (expected === undefined) {
    report.relax(NO_REPLY);
    return;
  }
  if (exact) {
    if (known && isMappedWord(asked, expected, first)) report.relax(MAPPED_WORD);
    else report.compare(`reply to ${asked.name}`, toHex(expected.bytes), toHex(first.bytes));
    report.compare('descriptors', expected.fds.length, first.fds);
    return;
  }
  if (asked.name === 'VERSION') {
    report.relax(OTHER_VERSION);
    return;
  }
  report.relax(OTHER_SERVER);
  report.compare('header', toHex(expected.bytes.subarray(0, HEADER_SIZE)), toHex(first.bytes.subarray(0, HEADER_SIZE)));
  report.compare('descriptors', expected.fds.length, first.fds);
}

/** BAR 0, 0x2c: a read of it shows BAR 2, behind which the guest had memory. */
function isMappedWord(asked: CapturedMessage, expected: CapturedMessage, { bytes }: Sent): boolean {
  const WINDOW = '2c0000000000000000000000';
  const { name, bytes: request } = asked;
  if (name !== 'REGION_READ' || toHex(request.subarray(HEADER_SIZE, HEADER_SIZE + 12)) !== WINDOW) return false;
  const data = HEADER_SIZE + 16;
  return toHex(bytes.subarray(0, data)) === toHex(expected.bytes.subarray(0, data)) && toHex(bytes) !== toHex(expected.bytes);
}

/** What the server asks of the client: all but its number, which is its own. */
function compareQuestion(report: CaseRecorder, expected: CapturedMessage | undefined, { bytes, fds }: Sent): void {
  if (expected === undefined) {
    report.diverge('question', 'none', toHex(bytes.subarray(0, 32)));
    return;
  }
  report.compare(`question ${expected.name}`, toHex(expected.bytes.subarray(2)), toHex(bytes.subarray(2)));
  report.compare('descriptors', expected.fds.length, fds);
}

/** What is said to. */
interface SaidTo {
  readonly device: ServedDevice;
  /** Its replies are to be those of the capture, byte for byte. */
  readonly exact: boolean;
  /** It is the test device. */
  readonly known: boolean;
}

function given({ device, watch }: Pick<ReplayOptions, 'device' | 'watch'>): SaidTo {
  if (device === undefined) throw new TypeError('"device" expected what makes one, got nothing');
  return { device: device(watch), exact: true, known: false };
}

/** Serves what a capture tells of, in a machine of its own. */
function served(captured: CapturedDevice, { watch }: Pick<ReplayOptions, 'watch'>, kernel?: 'shown' | 'hidden'): SaidTo {
  const known = new DataView(captured.config.buffer, captured.config.byteOffset).getUint32(0, true) === TEST_DEVICE;
  const regions = new Map<number, MappableRegion & { readonly memory: MemoryFile }>();
  for (const { areas, index, size } of captured.bars) if (areas !== undefined) regions.set(index, { areas, memory: new MemoryFile(size) });
  const { device } = servedFunction((host) => {
    watch?.('session', host);
    return known ? new TestDevice(host, ADDRESS, regions.get(2)?.memory.bytes) : recorded(host, captured);
  }, kernel);
  return { device: regions.size === 0 ? device : mappable(device, regions), exact: known, known };
}

/** A function with the configuration space and the BARs that a server told of. */
function recorded(host: Host, { bars, config }: CapturedDevice): RecordedFunction {
  return new RecordedFunction(host, { address: ADDRESS, config, bars: bars.map((bar) => barOf(bar, config)), acpiReset: true });
}

function barOf({ index, size }: CapturedBar, config: Uint8Array): BarInit {
  const flags = config[0x10 + 4 * index] ?? 0;
  return { index, size, kind: (flags & 1) !== 0 ? 'io' : (flags & 4) !== 0 ? 'mem64' : 'mem32', prefetchable: (flags & 9) === 8 };
}
