/** A question in the fragment of a link, which a browser sends to nobody: JSON, deflated, in base64url. */
import { fromBase64Url, toBase64Url } from './base64.ts';
import { questionJson, questionOf, type Question } from './question.ts';
import { MOST_BYTES, piped } from './streams.ts';

const KEY = '#q=';
/** Letters of a fragment: longer ones are cut by programs that pass links on, and refused by some browsers. */
export const MOST_LETTERS = 100_000;

/** A question that is too large for a link; `message` says it to the person. */
export class TooLargeForLink extends Error {
  override readonly name = 'TooLargeForLink';
}

/** @throws TooLargeForLink */
export async function fragmentOf(question: Question): Promise<string> {
  const packed = toBase64Url(await piped(new TextEncoder().encode(questionJson(question)), new CompressionStream('deflate-raw'), Infinity));
  if (packed.length > MOST_LETTERS) {
    throw new TooLargeForLink(`This is too large for a link: ${thousands(packed.length)} letters when it is packed, and a link takes ${thousands(MOST_LETTERS)}. Send the text itself, or the page that "vsim groups --html" writes.`);
  }
  return KEY + packed;
}

/** The question of a fragment; undefined: it has none. @throws SyntaxError for one that was cut or changed */
export async function questionOfFragment(fragment: string): Promise<Question | undefined> {
  if (!fragment.startsWith(KEY)) return undefined;
  const bytes = fromBase64Url(fragment.slice(KEY.length));
  let json: string;
  try {
    json = new TextDecoder().decode(await piped(bytes, new DecompressionStream('deflate-raw'), MOST_BYTES));
  } catch {
    throw new SyntaxError('not a whole deflated text');
  }
  return questionOf(json);
}

function thousands(count: number): string {
  return `${count}`.replace(/\B(?=(?:\d{3})+$)/g, ' ');
}
