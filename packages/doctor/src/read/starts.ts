/** How lines begin that are known; what none of these begins may be the rest of the line above. */

/** Source of a pattern for what comes before the message in a kernel's log. */
const STAMP = '(?:<\\d{1,3}>)?\\[ {0,8}\\+?\\d{1,9}[.,]\\d{1,9}(?:\\]| <)|\\[[^\\]\\s]{1,6} [^\\]]{3,8} {1,2}\\d{1,2} \\d\\d:\\d\\d:\\d\\d \\d{4}\\]|[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d |\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d';
const DEVICE = '(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\\.[0-7](?:[\\s/"]|$)';
/** `Kernel driver in use: `, `Capabilities: `, and any other word that a colon ends. */
const KEY = '[A-Z][A-Za-z0-9/_.()-]*(?: [A-Za-z0-9/_.()-]+){0,4}:(?:\\s|$)|!!! |(?:Region \\d|Expansion ROM at|\\[virtual\\] |Memory at|Memory behind|I/O ports at|I/O behind|Prefetchable memory behind)';
const MEMBER = '\\(\\d{1,5}\\) +[0-9a-f]|\\[R\\]|\\[RESET\\]|\\[[0-9a-f]{4}:[0-9a-f]{4}\\]\\s+(?:\\[R\\]|[0-9a-f]{2,8}:)';
const GROUP = '(?:\\*\\*|#+ *)?(?:[Ii][Oo][Mm][Mm][Uu][ _-]?)?[Gg][Rr][Oo][Uu][Pp] *[:#]? *\\d';
const HARD = '[$%❯➜]|--|\\.\\.\\.|[a-z]+@|sudo |lspci\\b|```|USB:|BOOT_IMAGE=';
const OTHER = '[-+|`\\\\│├└┌╞╔║=*~$%❯➜]|#(?!\\d)|--|/(?! )|\\{|\\}|"|\\.\\.\\.|</?[a-z?!]|pci[_ ]|[a-z]+@|sudo |lspci\\b|[0-9a-f]{8,16}-[0-9a-f]{8,16} :|[0-9a-f]{2,3}: [0-9a-f]{2}(?: |$)|USB:|Bus \\d|BOOT_IMAGE=|```';

const START = new RegExp(`^(?:${[STAMP, DEVICE, KEY, MEMBER, GROUP, OTHER].join('|')})`);
const ANEW = new RegExp(`^(?:${[STAMP, DEVICE, MEMBER, GROUP, HARD].join('|')})`);
const WRAPPABLE = new RegExp(`^(?:${[STAMP, DEVICE, KEY, MEMBER, GROUP, 'BOOT_IMAGE=|initrd='].join('|')})`);

/** Whether the line, without the blanks before it, begins something. */
export function startsSomething(text: string): boolean {
  return START.test(text);
}

/** Whether it begins something even below an indented line, where lspci has no word at a line's beginning. */
export function startsAnew(text: string): boolean {
  return ANEW.test(text);
}

/** Whether it begins something that mailers wrap: a device, a decoded line, a message, parameters. */
export function startsWrappable(text: string): boolean {
  return WRAPPABLE.test(text);
}
