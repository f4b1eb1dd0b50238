/** What terminals, forums and mail did to a text as a whole, undone: colours, markup, blanks that look like blanks, line ends. */

/** Stands for a line end that the text did not have, `<br>`: what follows keeps the number of its line. */
export const SOFT_BREAK = '\v';

const INVISIBLE = /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe0f\ufeff]/g;
const BLANKS = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;
const LINE_ENDS = /\r\n?|[\u0085\u2028\u2029]/g;
const QUOTES = /[\u201c\u201d\u201e\u201f\u00ab\u00bb]/g;

/** Colours and their like with their escape character, as `cat -v` shows it, or with the character lost. */
const ESCAPES = /(?:\u001b|\u241b|\^\[)(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\u0007\u001b\n]{0,200}(?:\u0007|\u001b\\)|[()][0-9A-B]|[@-Z\\^_=>78])/g;
const LOST_ESCAPES = /\[(?:\d{1,3}(?:;\d{1,3}){0,8})?m\[K|\[\d{1,3}(?:;\d{1,3}){0,8}m|\[K(?![A-Za-z\]])/g;

const ENTITY = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(lt|gt|amp|quot|apos|nbsp|ensp|emsp|thinsp|ndash|mdash|shy|zwnj|zwj|Tab|NewLine|lbrack|rbrack|lsqb|rsqb|colon|lpar|rpar|num|sol|bsol));/g;
const NAMED: Readonly<Record<string, string>> = {
  lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", nbsp: ' ', ensp: ' ', emsp: ' ', thinsp: ' ', ndash: '-', mdash: '-', shy: '', zwnj: '', zwj: '',
  Tab: '\t', NewLine: '\n', lbrack: '[', rbrack: ']', lsqb: '[', rsqb: ']', colon: ':', lpar: '(', rpar: ')', num: '#', sol: '/', bsol: '\\',
};
const LAST_CODE_POINT = 0x10ffff;

/** What editors of Markdown escape; a tree has `\-`, and JSON none of these. */
const ESCAPED = /\\([[\]_*#>~`])/g;

/** Elements that end a line, and those that only dress one. What lspci has in such brackets, and libvirt's XML, is none of them. */
const BREAKS = /<(?:br|hr) {0,2}\/?>\n?|<\/(?:p|div|li|tr|pre|h[1-6])>(?=[^\n])/gi;
const TAGS = /<\/?(?:p|pre|code|div|span|details|summary|li|ul|ol|tt|font|b|i|u|em|strong|kbd|samp|small|blockquote|td|tr|th|tbody|thead|table|a|h[1-6]|body|html)(?: [^<>\n]{0,300})?\/?>/gi;
const BBCODE = /\[\/?(?:code|quote|spoiler|noparse|pre|php|bash|shell|plain|hide|details|indent|font|color|colour|url|b|i|u|s|list|icode|tt|collapse|expand)(?:=[^\]\n]{0,100}| [^\]\n]{0,100})?\]/gi;

/**
 * The text with line ends `\n` alone, without colours, markup of HTML and BBCode, and characters that nobody sees; blanks of any kind are
 * spaces. The lines stay as many as they were: a `<br>` in the middle of one becomes {@link SOFT_BREAK}.
 */
export function withoutNoise(source: string): string {
  let text = source;
  if (/[\0\v\f\r\u001b\u0080-\uffff]/.test(text)) text = withoutControls(text);
  if (text.includes('^[')) text = text.replace(ESCAPES, '');
  if (/\[[\d;]{0,40}[mK]/.test(text)) text = text.replace(LOST_ESCAPES, '');
  if (text.includes('&')) text = decoded(decoded(text)).replace(INVISIBLE, '').replace(BLANKS, ' ');
  if (/\\[[\]_]/.test(text)) text = text.replace(ESCAPED, '$1');
  if (/<(?:\/|[A-Za-z]{1,10}[ >/]|h\d)/.test(text)) text = text.replace(BREAKS, breakOf).replace(TAGS, '');
  if (/\[(?:\/|[Cc][Oo][Dd][Ee]|[Qq]uote|QUOTE|spoiler|php|bash)/.test(text)) text = text.replace(BBCODE, '');
  return text;
}

/** Blanks are spaces, line ends `\n`; what nobody sees is gone. */
function withoutControls(source: string): string {
  let text = source;
  if (/[\u0080-\uffff]/.test(text)) text = text.replace(INVISIBLE, '').replace(BLANKS, ' ').replace(QUOTES, '"');
  if (/[\r\u0085\u2028\u2029]/.test(text)) text = text.replace(LINE_ENDS, '\n');
  // Text of two bytes a character, read as one.
  if (text.includes('\0')) text = text.replaceAll('\0', '');
  if (/[\v\f]/.test(text)) text = text.replace(/[\v\f]/g, ' ');
  return /[\u001b\u241b]/.test(text) ? text.replace(ESCAPES, '') : text;
}

function breakOf(found: string): string {
  return found.endsWith('\n') ? '\n' : SOFT_BREAK;
}

/** Twice, because a page that shows a page's source has them so. */
function decoded(text: string): string {
  return text.replace(ENTITY, (found, decimal: string | undefined, hex: string | undefined, name: string | undefined) => {
    if (name !== undefined) return NAMED[name]!;
    const code = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
    if (code === 10 || code === 13) return SOFT_BREAK;
    if (code === 0xa0) return ' ';
    return code > 0 && code <= LAST_CODE_POINT ? String.fromCodePoint(code) : found;
  });
}
