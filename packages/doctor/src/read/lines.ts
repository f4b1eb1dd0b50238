/** A text as lines that can be read: without quotation marks of mail, and numbers of lines, each with its place. */
import { SOFT_BREAK, withoutNoise } from './noise.ts';

/** One line, or several that a mailer made of one. */
export interface Line {
  /** Number of its first line in the text, from 1. */
  readonly number: number;
  /** Number of its last line; more than `number` for one that was wrapped. */
  readonly last: number;
  /** How deep it is indented, in columns, with tabs of eight. */
  readonly indent: number;
  /** Without blanks at both ends. */
  readonly text: string;
  /** With the blanks before it, for what is read by columns. */
  readonly raw: string;
  /** It ended in a blank: a mailer wrapped it there. */
  readonly flowed: boolean;
}

const TAB = 9;
const SPACE = 32;
const GREATER = 62;
const TAB_WIDTH = 8;
/** A mail's `>SERR-` begins a line where the mailer wrapped before it. */
const FLAG_AFTER_MARK = /^>(?:SERR|TAbort|MAbort|PERR|Reset)[+-]/;
const LEAST_NUMBERED = 3;
const NO_NUMBER = -1;
/** A number stands in a column of six, or has a mark behind it. */
const [COLUMN, MARK, KINDS] = [0, 1, 2];
/** `01:00.0`, and `0000:01:00.0`, begin with digits and a colon as well. */
const DEVICE_FIRST = /^\d\d:[01][0-9a-f]\.[0-7]|^0\d/i;
/** What `grep -n` puts before a line, where it can be nothing else. */
const GREP_NUMBER =
  /^(?:\d{1,3}:(?=[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\s)|\d{1,6}[:-](?=[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\s|\s+[A-Z][A-Za-z ]{3,24}:|\[ {0,5}\d+\.\d+\] ))/i;

/** The lines of a text; time and room are bounded by its length. */
export function linesOf(source: string): Line[] {
  const text = withoutEnds(withoutNoise(source));
  const lines: Line[] = [];
  let number = 1;
  for (let start = 0; start <= text.length; ) {
    let end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    const physical = text.slice(start, end);
    if (physical.includes(SOFT_BREAK)) for (const piece of physical.split(SOFT_BREAK)) lines.push(lineOf(unquoted(piece), number));
    else lines.push(lineOf(unquoted(physical), number));
    start = end + 1;
    number++;
  }
  return withoutNumbers(lines);
}

/** Without the `$` that `cat -A` puts at each line's end, and with tabs for its `^I`. */
function withoutEnds(text: string): string {
  if (!text.includes('$\n')) return text;
  const lines = text.split('\n');
  const ending = lines.filter((line) => line.endsWith('$')).length;
  const empty = lines.filter((line) => line === '').length;
  return ending + empty < lines.length ? text : lines.map((line) => line.slice(0, -1).replaceAll('^I', '\t')).join('\n');
}

/** A line of its text, cleaned; `number` is its place, from 1. */
export function lineOf(raw: string, number: number): Line {
  let at = 0;
  let indent = 0;
  for (; at < raw.length; at++) {
    const code = raw.charCodeAt(at);
    if (code === SPACE) indent++;
    else if (code === TAB) indent += TAB_WIDTH - (indent % TAB_WIDTH);
    else break;
  }
  // Most lines of a long text have no blank at either end.
  const from = at === 0 ? raw : raw.slice(at);
  const text = isPlain(raw.charCodeAt(raw.length - 1)) ? from : from.trimEnd();
  return { number, last: number, indent, text, raw, flowed: at + text.length < raw.length && text !== '' };
}

/** Whether a character is one of ASCII that shows: no kind of blank. */
function isPlain(code: number): boolean {
  return code > SPACE && code < 127;
}

/** Without the `>` of mail, however often it was answered; what follows the last mark keeps its blanks but one. */
function unquoted(line: string): string {
  let from = 0;
  for (;;) {
    let at = from;
    while (line.charCodeAt(at) === SPACE && at - from < 4) at++;
    if (line.charCodeAt(at) !== GREATER || FLAG_AFTER_MARK.test(line.slice(at, at + 12))) break;
    from = at + 1;
  }
  if (from === 0) return line;
  return line.slice(line.charCodeAt(from) === SPACE ? from + 1 : from);
}

/**
 * Without the numbers of `cat -n`, `nl`, and editors: they go up by one from line to line. Numbers of IOMMU groups do so too, where each has one
 * device; those are written at the line's beginning, with one blank or a colon behind, and begin with 0.
 */
function withoutNumbers(lines: readonly Line[]): Line[] {
  const found = lines.map(({ raw }) => numbered(raw));
  const result = lines.map((line) => withoutGrepNumber(line));
  for (let i = 0; i < lines.length; ) {
    const first = found[i]!;
    if (first === NO_NUMBER) {
      i++;
      continue;
    }
    let end = i;
    for (let j = i + 1; j < lines.length; j++) {
      if (lines[j]!.text === '') continue;
      if (found[j] !== found[end]! + KINDS) break;
      end = j;
    }
    if (end - i + 1 >= LEAST_NUMBERED && (first % KINDS === COLUMN || first === KINDS + MARK)) {
      for (let j = i; j <= end; j++) if (found[j] !== NO_NUMBER) result[j] = lineOf(withoutNumber(lines[j]!.raw), lines[j]!.number);
    }
    i = end + 1;
  }
  return result;
}

function withoutGrepNumber(line: Line): Line {
  const code = line.raw.charCodeAt(0);
  const mark = code >= 48 && code <= 57 ? GREP_NUMBER.exec(line.raw) : null;
  return mark === null ? line : lineOf(line.raw.slice(mark[0].length), line.number);
}

function withoutNumber(raw: string): string {
  return raw.replace(/^ *\d+(?:\t|  |[:|).] ?)?/, '');
}

/** The number that a line begins with, times {@link KINDS}, and how it stands there; NO_NUMBER: it begins with none. */
function numbered(raw: string): number {
  let at = 0;
  while (raw.charCodeAt(at) === SPACE && at < 8) at++;
  const from = at;
  let value = 0;
  for (; at - from < 7; at++) {
    const digit = raw.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) break;
    value = value * 10 + digit;
  }
  if (at === from || at - from > 6) return NO_NUMBER;
  const next = raw.charCodeAt(at);
  if (next === TAB || (at === 6 && next === SPACE && raw.charCodeAt(at + 1) === SPACE)) return value * KINDS + COLUMN;
  const mark = raw[at];
  const marked = mark === ':' || mark === '|' || mark === ')' || mark === '.';
  return marked && !DEVICE_FIRST.test(raw.slice(from, from + 8)) ? value * KINDS + MARK : NO_NUMBER;
}
