/** Lines that a mailer or a terminal broke, joined. */
import { linesOf, type Line } from './lines.ts';
import { startsSomething, startsWrappable } from './starts.ts';

/** Mailers break at 72 to 78 columns where the next word does not fit, terminals after their last column. */
const WRAP_COLUMN = 70;
const LONGEST_WRAPPED = 100;
const SHORTEST_FLOWED = 30;
const TERMINALS: readonly number[] = [80, 100, 120, 132];
/** A heading that has all that headings have goes on with another of the same. */
const COMPLETE = /(?:\)|\[[0-9a-f]{4}:[0-9a-f]{4}\])$/i;

/** The lines of a text, cleaned, those that were broken joined, each with its place. */
export function logicalLines(source: string): Line[] {
  const physical = linesOf(source);
  const lines: Line[] = [];
  let before: Line | undefined;
  let machine = false;
  for (const line of physical) {
    const joint = before === undefined || line.text === '' || before.text === '' ? undefined : jointOf(before, line, machine);
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

/** What was where the line is broken: a blank, nothing; undefined: it is not broken there. */
function jointOf(before: Line, line: Line, machine: boolean): string | undefined {
  const length = before.raw.length;
  const atEdge = !before.flowed && TERMINALS.includes(length) && line.indent === 0;
  const blank = line.text.indexOf(' ');
  const word = blank < 0 ? line.text.length : blank;
  const full = length <= LONGEST_WRAPPED && length + 1 + word >= WRAP_COLUMN && length > WRAP_COLUMN / 2;
  if (!atEdge && !full && !(before.flowed && length >= SHORTEST_FLOWED)) return undefined;
  if (isRow(line.text) || isRow(before.text) || startsSomething(line.text)) return undefined;
  if (!machine && !startsWrappable(before.text) && before.indent === 0) return undefined;
  if (COMPLETE.test(before.text) && !/^[([]/.test(line.text)) return undefined;
  return atEdge ? '' : ' ';
}

function isRow(text: string): boolean {
  return /^[0-9a-f]{2,3}: [0-9a-f]{2}(?: |$)/i.test(text);
}
