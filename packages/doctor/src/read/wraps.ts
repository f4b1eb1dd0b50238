/** Lines that a mailer or a terminal broke, joined. */
import { isDecoded } from './decoded-line.ts';
import { deviceLine } from './device-line.ts';
import { linesOf, type Line } from './lines.ts';
import { startsAnew, startsSomething, startsWrappable } from './starts.ts';

/** Mailers break at 72 to 78 columns where the next word does not fit, terminals after their last column. */
const WRAP_COLUMN = 70;
const LONGEST_WRAPPED = 100;
const SHORTEST_FLOWED = 30;
/** No mailer leaves a longer line, if it breaks any; words of so many characters are rare. */
const LONGEST_LEFT = 84;
/** Lines before and behind one that a mailer has broken, or not, as it has that one. */
const NEIGHBOURS = 60;
/** Bits of a register: lspci has none at a line's beginning but below a device. */
const BITS = /^[<>]?[A-Za-z][A-Za-z0-9.]{0,40}[+-](?:[\s,]|$)/;
const TERMINALS: readonly number[] = [80, 100, 120, 132];
/** A heading that has all that headings have goes on with another of the same. */
const COMPLETE = /(?:\((?:rev [0-9a-f]{2}|prog-?if [^()]{1,40})\)|\[[0-9a-f]{4}:[0-9a-f]{4}\])$/i;

/** The lines of a text, cleaned, those that were broken joined, each with its place. */
export function logicalLines(source: string): Line[] {
  const physical = linesOf(source);
  const broken = brokenPlaces(physical);
  const lines: Line[] = [];
  let before: Line | undefined;
  let machine = false;
  for (let place = 0; place < physical.length; place++) {
    const line = physical[place]!;
    const joint = before === undefined || line.text === '' || before.text === '' ? undefined : jointOf(before, line, machine, broken[place]!);
    if (joint === undefined) {
      machine = false;
      lines.push(line);
    } else {
      machine = true;
      const whole = lines.at(-1)!;
      lines[lines.length - 1] = { ...whole, text: whole.text + joint + line.text, last: line.number };
    }
    before = line;
  }
  return lines;
}

/** For each line whether a mailer may have been there: it leaves no long line. */
function brokenPlaces(lines: readonly Line[]): boolean[] {
  const broken = new Array<boolean>(lines.length).fill(true);
  let until = -1;
  for (let place = 0; place < lines.length; place++) {
    const { raw } = lines[place]!;
    if (raw.length > LONGEST_LEFT) {
      broken.fill(false, Math.max(until, place - NEIGHBOURS), place);
      until = place + NEIGHBOURS;
    }
    if (place < until) broken[place] = false;
  }
  return broken;
}

/** What was where the line is broken: a blank, nothing; undefined: it is not broken there. */
function jointOf(before: Line, line: Line, machine: boolean, broken: boolean): string | undefined {
  const length = before.raw.length;
  if (/^(?:group:? )?\d{1,6}$/.test(line.text) && /\bIOMMU(?: group)?$/.test(before.text)) return ' ';
  const atEdge = !before.flowed && TERMINALS.includes(length) && line.indent === 0;
  const blank = line.text.indexOf(' ');
  const word = blank < 0 ? line.text.length : blank;
  const full = length <= LONGEST_WRAPPED && length + 1 + word >= WRAP_COLUMN && length > WRAP_COLUMN / 2;
  const bits = line.indent === 0 && before.indent > 0 && BITS.test(line.text);
  if (!atEdge && !(full && broken) && !bits && !(before.flowed && length >= SHORTEST_FLOWED)) return undefined;
  if (isRow(line.text) || isRow(before.text)) return undefined;
  if (/^Flags: .*,$/.test(before.text) && line.text.startsWith('IOMMU group ')) return ' ';
  if (begins(before, line)) return undefined;
  if (!machine && !startsWrappable(before.text) && before.indent === 0) return undefined;
  if (COMPLETE.test(before.text) && !/^[([]/.test(line.text)) return undefined;
  return atEdge ? '' : ' ';
}

/** Whether the line begins something: after a device's name, and at the beginning of a line below an indented one, few things are that. */
function begins(before: Line, line: Line): boolean {
  if (deviceLine(before.text)?.bare === true) return startsAnew(line.text) || isDecoded(line.text);
  return before.indent > 0 && line.indent === 0 ? startsAnew(line.text) : startsSomething(line.text);
}

function isRow(text: string): boolean {
  return /^[0-9a-f]{2,3}: [0-9a-f]{2}(?: |$)/i.test(text);
}
