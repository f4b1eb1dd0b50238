/** A text of lspci as its devices: headings, indented lines and rows of bytes, each as it was printed. Knows nothing of what they mean. */

/** What lspci prints of one device. */
export interface LspciBlock {
  /** With its domain, as `0000:00:02.0`. */
  readonly address: string;
  /** The address as the text has it, with or without domain. */
  readonly written: string;
  /** The first line behind the address. */
  readonly heading: string;
  /** The indented lines, with one tab for each level. */
  readonly lines: readonly string[];
  /** The rows of bytes. */
  readonly rows: readonly string[];
}

const HEADING = /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]) (.*)$/i;
const ROW = /^[0-9a-f]{2,3}: (?:[0-9a-f]{2} ?){16}$/i;

/** The devices of a clean text, in its order; what is before the first, and what is no part of a device, is left out. */
export function blocksOf(text: string): readonly LspciBlock[] {
  const blocks: { address: string; written: string; heading: string; lines: string[]; rows: string[] }[] = [];
  for (const line of text.split(/\r?\n/)) {
    const heading = HEADING.exec(line);
    const block = blocks.at(-1);
    if (heading !== null) {
      const written = heading[1]!.toLowerCase();
      const address = written.length > 7 ? written : `0000:${written}`;
      blocks.push({ address, written, heading: heading[2]!.trim(), lines: [], rows: [] });
    } else if (block !== undefined && /^\s+\S/.test(line)) {
      block.lines.push(line.replace(/^( {8})+/, (spaces) => '\t'.repeat(spaces.length / 8)));
    } else if (block !== undefined && ROW.test(line)) {
      block.rows.push(line);
    }
  }
  return blocks;
}

/** The text of devices, as lspci prints it: an empty line behind those that have more than their heading. */
export function textOfBlocks(blocks: readonly LspciBlock[]): string {
  return blocks.map(({ written, heading, lines, rows }) => {
    const more = [...lines, ...rows];
    return [`${written} ${heading}`, ...more, ...(more.length === 0 ? [] : [''])].map((line) => `${line}\n`).join('');
  }).join('');
}
