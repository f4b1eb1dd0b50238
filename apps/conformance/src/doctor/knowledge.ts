/** How much a doctor tells of every machine with any options of lspci: a table, and docs/doctor-knowledge.md. */
import { DEGRADATIONS, onlyDevices, withoutDevice, type Degradation } from './degradations.ts';
import { fieldMachines, type FieldMachine } from './field-machines.ts';
import { blocksOf } from './lspci-blocks.ts';
import { NO_SCORE, score, sum, type Said, type Score } from './score.ts';

/** Asks the doctor of a text. */
export type Ask = (text: string, options: string) => Said;

/** Which part of a text is given. */
export type Part = 'whole' | 'one left out' | 'one alone';

/** One row of the table. */
export interface KnowledgeRow {
  /** lspci's options, as a Degradation has them. */
  readonly options: string;
  /** Which part of its texts. */
  readonly part: Part;
  /** How many texts. */
  readonly texts: number;
  /** What was said of all their functions. */
  readonly score: Score;
}

const PARTS: readonly Part[] = ['whole', 'one left out', 'one alone'];

/**
 * The rows of some parts, every option of a part before the next part.
 *
 * @param step of the devices that are left out or alone, each that many is taken
 */
export function knowledge(ask: Ask, parts: readonly Part[] = PARTS, step = 1, machines: readonly FieldMachine[] = fieldMachines()): readonly KnowledgeRow[] {
  return parts.flatMap((part) => DEGRADATIONS.map((degradation) => rowOf(ask, degradation, part, step, machines)));
}

/** What is in docs/doctor-knowledge.md for these rows. */
export function knowledgeTable(rows: readonly KnowledgeRow[]): string {
  const line = ({ options, texts, score: { functions, known, open, wrong } }: KnowledgeRow): string =>
    `| \`${options}\` | ${texts} | ${functions} | ${known} | ${open} | ${wrong.length} | ${functions === 0 ? 0 : Math.floor((100 * known) / functions)}% |`;
  return PARTS.filter((part) => rows.some((row) => row.part === part)).map((part) => [
    `## ${part[0]!.toUpperCase()}${part.slice(1)}`,
    '',
    '| lspci | texts | functions | known | cannot tell | wrong | known of all |',
    '|---|---|---|---|---|---|---|',
    ...rows.filter((row) => row.part === part).map(line),
    '',
  ].join('\n')).join('\n');
}

function rowOf(ask: Ask, { name, of }: Degradation, part: Part, step: number, machines: readonly FieldMachine[]): KnowledgeRow {
  let [texts, total] = [0, NO_SCORE];
  for (const machine of machines) {
    const text = of(machine.text);
    if (text === undefined) continue;
    for (const given of partsOf(text, part, step)) {
      texts += 1;
      const { wrong, ...rest } = score(given, machine.truth, ask(given, name));
      total = sum(total, { ...rest, wrong: wrong.map((why) => `${machine.name} ${name}, ${part}: ${why}`) });
    }
  }
  return { options: name, part, texts, score: total };
}

function partsOf(text: string, part: Part, step: number): readonly string[] {
  if (part === 'whole') return [text];
  const addresses = blocksOf(text).map(({ address }) => address).filter((_, i) => i % step === 0);
  const parts = addresses.map((address) => (part === 'one alone' ? onlyDevices(text, new Set([address])) : withoutDevice(text, address)));
  return parts.filter((each) => each !== '');
}
