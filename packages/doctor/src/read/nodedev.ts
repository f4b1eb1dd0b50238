/** libvirt's node devices: `virsh nodedev-dumpxml`, and the tree of `nodedev-list`. */
import { addressOf, addressOfNumbers } from './address.ts';
import type { Cursor } from './cursor.ts';
import type { DeviceWords } from './draft.ts';
import type { Line } from './lines.ts';
import type { PasteDraft } from './paste-draft.ts';

const NAME = /^pci_([0-9a-f]{4,8})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])$/i;
const IN_TREE = /^([\s|]*)(?:\+- ?|`- ?)?(\w+)$/;
const ELEMENT = /<(\/?)([\w-]+)((?: [\w-]+ ?= ?(?:'[^']*'|"[^"]*"))*) ?(\/?)>([^<]*)/g;
const ATTRIBUTE = /([\w-]+) ?= ?(?:'([^']*)'|"([^"]*)")/g;
/** A device whose XML does not end within so many lines has lost its end. */
const MOST_LINES = 4000;

const DEEPEST = 32;

/** What one `<device>` says, element by element. */
class NodeDevice {
  readonly #texts = new Map<string, string>();
  readonly ids: DeviceWords = {};
  group: number | undefined = undefined;
  readonly members: string[] = [];
  physfn: string | undefined = undefined;
  readonly virtual: string[] = [];
  driver: string | undefined = undefined;
  #path: string[] = [];
  #capability: string | undefined = undefined;

  element(closing: boolean, name: string, attributes: ReadonlyMap<string, string>, empty: boolean, text: string): void {
    if (closing) {
      const at = this.#path.lastIndexOf(name);
      if (at >= 0) this.#path = this.#path.slice(0, at);
      if (name === 'capability') this.#capability = undefined;
      return;
    }
    const within = this.#path.at(-1);
    if (name === 'capability') this.#capability = attributes.get('type');
    if (name === 'iommuGroup') this.group = numberOf(attributes.get('number'));
    if (name === 'address') this.#address(attributes, within);
    if (name === 'name' && within === 'driver') this.driver = text.trim();
    else if (!this.#texts.has(name)) this.#texts.set(name, text.trim());
    if (within === 'capability' && (name === 'vendor' || name === 'product')) {
      const id = numberOf(attributes.get('id'));
      if (name === 'vendor') this.ids.vendor = id;
      else this.ids.device = id;
    }
    if (!empty && this.#path.length < DEEPEST) this.#path.push(name);
  }

  #address(attributes: ReadonlyMap<string, string>, within: string | undefined): void {
    const [domain, bus, slot, fn] = ['domain', 'bus', 'slot', 'function'].map((key) => numberOf(attributes.get(key)) ?? -1);
    const address = addressOfNumbers(domain!, bus!, slot!, fn!);
    if (address === undefined) return;
    if (within === 'iommuGroup') this.members.push(address);
    else if (this.#capability === 'phys_function') this.physfn = address;
    else if (this.#capability === 'virt_functions') this.virtual.push(address);
  }

  text(name: string): string | undefined {
    const text = this.#texts.get(name);
    return text === '' ? undefined : text;
  }

  /** Its address, by its numbers or by its name; undefined: no PCI function. */
  get address(): string | undefined {
    const [domain, bus, slot, fn] = ['domain', 'bus', 'slot', 'function'].map((key) => numberOf(this.text(key)) ?? -1);
    return addressOfNumbers(domain!, bus!, slot!, fn!) ?? addressOfName(this.text('name') ?? '');
  }
}

/** Reads the XML of a node device. */
export function readNodedev(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  if (!/^(?:<\?xml[^>]{0,100}> ?)?<device>/.test(line.text)) return readDeclaration(cursor, line);
  const device = new NodeDevice();
  const part = paste.enter('nodedev', line);
  let ended = false;
  for (let i = 0; i < MOST_LINES && !ended; i++) {
    const next = cursor.line;
    if (next === undefined || (i > 0 && next.text.startsWith('<device>'))) break;
    for (const [, closing, name, attributes, empty, text] of next.text.matchAll(ELEMENT)) {
      device.element(closing === '/', name!, attributesOf(attributes!), empty === '/', text!);
    }
    ended = next.text.includes('</device>');
    part.lastLine = next.last;
    cursor.next();
  }
  if (!ended) paste.unread(line.number, line.text, 'its </device> is missing');
  take(device, line, paste);
  return true;
}

/** `<?xml ...?>` and comments say nothing. */
function readDeclaration(cursor: Cursor, line: Line): boolean {
  if (!/^<(?:\?xml|!--)[^<]*>$/.test(line.text)) return false;
  cursor.next();
  return true;
}

function take(node: NodeDevice, line: Line, paste: PasteDraft): void {
  const { address } = node;
  if (address === undefined) return;
  const device = paste.device(address, line.number);
  const name = [node.text('vendor'), node.text('product')].filter((text) => text !== undefined).join(' ');
  const code = numberOf(node.text('class'));
  const words = { ...node.ids, name: name === '' ? undefined : name, ...(code === undefined ? {} : { classCode: code >>> 8, progIf: code & 0xff }) };
  const contradiction = device.say(words);
  if (contradiction !== undefined) paste.unread(line.number, address, contradiction);
  device.driver = node.driver ?? null;
  const parent = node.text('parent');
  if (parent !== undefined) device.parent = addressOfName(parent) ?? null;
  device.physfn ??= node.physfn;
  for (const virtual of node.virtual) paste.device(virtual, line.number).physfn ??= address;
  const { group } = node;
  if (group !== undefined) for (const member of new Set([...node.members, address])) paste.tell(paste.device(member, line.number), group, line, 'nodedev');
}

/** Reads the tree, or the list, of `virsh nodedev-list`. */
export function readNodedevList(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const tree = line.text === 'computer';
  if (!tree && !NAME.test(line.text)) return false;
  const above: { column: number; address: string }[] = [];
  for (let next: Line | undefined = line; next !== undefined; next = cursor.line) {
    const match = IN_TREE.exec(next.raw.trimEnd());
    if (next.text !== '' && next.text !== 'computer' && !/^[\s|]+$/.test(next.text)) {
      if (match === null || !(next.raw.includes('+-') || next.raw.includes('`-') || NAME.test(next.text))) break;
      const address = addressOfName(match[2]!);
      const column = match[1]!.length;
      while (above.length > 0 && above.at(-1)!.column >= column) above.pop();
      if (address !== undefined) {
        const device = paste.device(address, next.number);
        if (tree) device.parent = above.at(-1)?.address ?? null;
        above.push({ column, address });
      }
    }
    if (next.text !== '') paste.enter('nodedev', next);
    cursor.next();
  }
  return true;
}

function addressOfName(name: string): string | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : addressOf(`${match[1]!}:${match[2]!}:${match[3]!}.${match[4]!}`);
}

function attributesOf(text: string): Map<string, string> {
  return new Map([...text.matchAll(ATTRIBUTE)].map(([, key, single, double]) => [key!, single ?? double ?? '']));
}

/** Decimal, or hexadecimal with 0x. */
function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^(?:0x[0-9a-f]{1,8}|\d{1,9})$/i.test(text) ? Number(text) : undefined;
}
