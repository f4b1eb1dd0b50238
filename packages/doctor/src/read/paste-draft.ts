/** A paste that is being put together: devices, parts, and what could not be read. */
import { orderOf } from './address.ts';
import { commandShowsDrivers } from './command.ts';
import { DeviceDraft, inOrder } from './draft.ts';
import type { Line } from './lines.ts';
import type { IomemRange, LogEntry, Paste, PastedMachine, TextForm, TextPart, Unread } from './paste.ts';

const UNREAD_LENGTH = 80;
/** Commands that leave lines out. */
const FILTERED = /\|\s*(?:e?grep|rg|ag|head|tail|awk|sed)\b/;

/** What a part says of the driver of one device. */
interface Mention {
  driver: string | undefined;
  /** It had decoded lines: a driver's line would have been among them. */
  decoded: boolean;
  /** A mark says that it can be reset. */
  reset: boolean;
  readonly line: number;
  /** What nobody understood follows it: what it does not show may be there. */
  cut: boolean;
}

/** A run of lines in one form, while it is read. */
export interface PartDraft {
  readonly form: TextForm;
  readonly line: number;
  lastLine: number;
  readonly command: string | undefined;
  /** Some device of it shows a driver, or modules. */
  showsDrivers: boolean;
  /** Marks of it say who can be reset. */
  showsResets: boolean;
  /** Lines were left out of it: what it does not show may be there. */
  cut: boolean;
  readonly mentions: Map<string, Mention>;
  /** Place of the last device in lspci's order; -1: none yet. */
  order: number;
}

/** The group that a listing's heading named, for the devices below it. */
export interface GroupContext {
  readonly number: number;
  /** Indentation of its first device; undefined: none yet. */
  indent: number | undefined;
  /** A blank line came after a device. */
  gap: boolean;
}

export class PasteDraft {
  readonly #devices = new Map<string, DeviceDraft>();
  readonly #parts: PartDraft[] = [];
  readonly #unread: Unread[] = [];
  readonly log: LogEntry[] = [];
  readonly iomem: IomemRange[] = [];
  readonly machine: { -readonly [Key in 'kernel' | 'cmdline' | 'hasGroups' | 'cpu']: PastedMachine[Key] } = {
    kernel: undefined,
    cmdline: undefined,
    hasGroups: undefined,
    cpu: undefined,
  };
  /** Names in /sys/class/iommu; undefined: not told. */
  units: Set<string> | undefined = undefined;
  /** Lines that were looked up among the known errors. */
  triedAsErrors = 0;
  /** Values of JSON that did not end. */
  brokenValues = 0;
  /** The command whose output is read; undefined: none was pasted. */
  command: string | undefined = undefined;
  /** The group below whose heading the text is. */
  group: GroupContext | undefined = undefined;
  #part: PartDraft | undefined = undefined;
  /** The device of the part that was named last. */
  #last: Mention | undefined = undefined;
  /** The command has printed something. */
  #said = false;
  #prompted = false;

  /** The device, made if the text has not named it before `line`, from 1. */
  device(address: string, line: number): DeviceDraft {
    const known = this.#devices.get(address);
    if (known !== undefined) return known;
    const device = new DeviceDraft(address, line);
    this.#devices.set(address, device);
    return device;
  }

  known(address: string): DeviceDraft | undefined {
    return this.#devices.get(address);
  }

  /** A `line`, from 1, that nobody understood, or with `why` one that could not be used. */
  unread(line: number, text: string, why?: string): void {
    this.#said = true;
    const printable = text.slice(0, UNREAD_LENGTH).replace(/[\u0000-\u0008\u000e-\u001f\u007f]/g, '\ufffd');
    this.#unread.push({ line, text: printable, why });
  }

  /** A command: what follows is its output. @param prompted a prompt with its user stands before it */
  begin(command: string | undefined, prompted: boolean): void {
    if (prompted) this.#endCommand();
    this.#said = false;
    this.#prompted = prompted;
    this.endPart();
    this.command = command;
    const folder = /iommu_groups\/(\d{1,9})(?:\/devices)?\/?$/.exec(command ?? '')?.[1];
    this.group = folder === undefined ? undefined : { number: Number(folder), indent: undefined, gap: false };
  }

  /** What a command printed nothing for is not there: the next prompt shows that it had its say. */
  #endCommand(): void {
    const { command, machine } = this;
    if (command === undefined || !this.#prompted || this.#said) return;
    if (/\bls\b.{0,80} \/sys\/class\/iommu\b/.test(command)) this.units ??= new Set();
    if (/\b(?:ls|find)\b.{0,80} \/sys\/kernel\/iommu_groups\/?(?: |$)/.test(command) && !command.includes('|')) machine.hasGroups ??= false;
  }

  /** The part that the line belongs to, begun if the text's form changes. */
  enter(form: TextForm, { number, last }: Line): PartDraft {
    this.#said = true;
    if (this.#part?.form !== form) {
      this.endPart();
      const { command } = this;
      const showsDrivers = command !== undefined && commandShowsDrivers(command);
      const cut = command !== undefined && FILTERED.test(command);
      this.#part = { form, line: number, lastLine: last, command, showsDrivers, showsResets: false, cut, mentions: new Map(), order: -1 };
      this.#parts.push(this.#part);
    }
    this.#part.lastLine = last;
    return this.#part;
  }

  /** The part of lspci's text that this device belongs to: one that comes again, or out of order, begins another command's output. */
  enterDevice(form: TextForm, line: Line, address: string): PartDraft {
    const order = orderOf(address);
    if (form === 'lspci' && this.#part?.form === form && order <= this.#part.order) this.endPart();
    const part = this.enter(form, line);
    part.order = order;
    this.#last = part.mentions.get(address);
    if (this.#last === undefined) part.mentions.set(address, { driver: undefined, decoded: false, reset: false, line: line.number, cut: false });
    this.#last ??= part.mentions.get(address);
    return part;
  }

  /** The part that is being read, if any. */
  get part(): PartDraft | undefined {
    return this.#part;
  }

  /** The text says which driver a device has, in a part that is being read. */
  drives(address: string, driver: string): void {
    const mention = this.#part?.mentions.get(address);
    if (mention !== undefined) mention.driver = driver;
    if (this.#part !== undefined) this.#part.showsDrivers = true;
  }

  /** A mark of a listing says that a device can be reset: those without it cannot. */
  resets(address: string): void {
    const mention = this.#part?.mentions.get(address);
    if (mention !== undefined) mention.reset = true;
    if (this.#part !== undefined) this.#part.showsResets = true;
  }

  /** A device of a part had decoded lines. */
  decodes(address: string): void {
    const mention = this.#part?.mentions.get(address);
    if (mention !== undefined) mention.decoded = true;
  }

  /** The group that a line names for a device, `number` as the kernel counts from 0. */
  tell(device: DeviceDraft, number: number, line: Line, form: TextForm): void {
    if (!Number.isSafeInteger(number)) return;
    this.machine.hasGroups = true;
    const before = device.tell(number, line.number, form);
    if (before !== undefined) this.unread(line.number, line.text, `${device.address} is in group ${before} above, in ${number} here`);
  }

  /** Ends the part at a line that nobody understood: more of its last device may stand behind it. */
  stray(): void {
    const last = this.#part === undefined ? undefined : this.#last;
    if (last !== undefined) last.cut = true;
    this.endPart();
  }

  /** Ends the part: who has no driver in it, where others show theirs, has none. */
  endPart(): void {
    const part = this.#part;
    this.#part = undefined;
    if (part === undefined) return;
    for (const [address, { driver, decoded, reset, line, cut }] of part.mentions) {
      const device = this.#devices.get(address);
      if (device === undefined) continue;
      if (part.showsResets) device.resettable = reset;
      if (driver !== undefined) {
        if (typeof device.driver === 'string' && device.driver !== driver) {
          this.unread(line, address, `${address} has driver ${device.driver} above, ${driver} here: the later is used`);
        }
        device.driver = driver;
      } else if (part.showsDrivers && !part.cut && !cut && (device.driver === undefined || decoded)) device.driver = null;
    }
  }

  finish(): Paste {
    this.endPart();
    const parts: TextPart[] = this.#parts.map(({ form, line, lastLine, command }) => ({ form, line, lastLine, command }));
    return {
      devices: inOrder(this.#devices.values()).map((device) => device.finish()),
      machine: { ...this.machine, iommuUnits: this.units === undefined ? undefined : [...this.units], log: this.log, iomem: this.iomem },
      parts,
      unread: [...this.#unread].sort((a, b) => a.line - b.line),
    };
  }
}
