/**
 * docs/passthrough.md, row by row: each has a machine that shows it. And the other way round: each reason, blocker and sign that the sources can
 * give is given by one of these machines, and each name of their types is a row.
 */
import { examine, readPaste, type DoctorReport } from '@vsim/doctor';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ROWS } from './claim-machines.ts';

const ROOT = new URL('../../../', import.meta.url);
const source = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

/** Ids in first columns: two names with a dot. */
const named = [...source('docs/passthrough.md').matchAll(/^\| `([a-z-]+\.[a-z0-9_-]+)` /gm)].map(([, id = '']) => id);

describe('a row of docs/passthrough.md', () => {
  it('stands there once', () => {
    expect(named.filter((id, i) => named.indexOf(id) !== i)).toEqual([]);
  });

  it('has a machine, and each machine has a row', () => {
    expect([...new Set(ROWS.map(([id]) => id))].sort()).toEqual([...named].sort());
  });

  it.each(ROWS.map((each) => [each[0], each[2].source, each] as const))('%s is shown: %s', (_id, _words, [, said, words, text, options]) => {
    expect(said(examine(readPaste(text), options))).toContainEqual(expect.stringMatching(words));
  });
});

/** A type of names in the sources, and the prefix of its rows. Names that no machine can show are told with the reason. */
const TYPES: readonly (readonly [prefix: string, path: string, type: string, not?: Readonly<Record<string, string>>])[] = [
  ['join', 'packages/vfio-pci/src/topology/iommu-groups.ts', 'JoinRule'],
  ['none', 'packages/vfio-pci/src/topology/uncovered.ts', 'UncoveredRule'],
  ['hot', 'packages/vfio-pci/src/topology/hot-reset.ts', 'HotResetObstacle'],
  ['quirk', 'packages/vfio-pci/src/topology/acs-quirk-rows.ts', 'AcsQuirkKind'],
  ['reset', 'packages/vfio-pci/src/topology/reset-methods.ts', 'ResetMethod', { acpi: 'no PCI register tells it' }],
  ['quality', 'packages/doctor/src/report.ts', 'TextQuality'],
  ['source', 'packages/doctor/src/facts/fact.ts', 'FactSource'],
];

/** Names of one type, without what stands behind `//`. */
function namesOf(path: string, type: string): readonly string[] {
  const body = new RegExp(`export type ${type} =([^;]*);`).exec(source(path).replace(/\/\/.*$/gm, ''))?.[1] ?? '';
  return [...body.matchAll(/'([a-z_-]+)'/g)].map(([, name = '']) => name);
}

describe('a name in the sources', () => {
  it.each(TYPES.map((each) => [each[0], each[1], each[2], each] as const))('%s: each of %s, %s, is a row', (prefix, path, type, [, , , not = {}]) => {
    const names = namesOf(path, type).filter((name) => !(name in not));
    expect(names.length).toBeGreaterThan(2);
    expect(names.filter((name) => !named.includes(`${prefix}.${name}`))).toEqual([]);
  });

  it('refused: each error that stands in the way is a row', () => {
    const ids = [...source('packages/doctor/src/refusal.ts').matchAll(/^ {2}\['([a-z0-9-]+)',/gm)].map(([, id = '']) => id);
    expect(ids.map((id) => `refused.${id}`).filter((id) => !named.includes(id))).toEqual([]);
  });

  it('fact, standing, verdict: each way in which they stand is a row', () => {
    const wanted = ['fact.known', 'fact.told', 'fact.derived', 'fact.unknown', 'standing.told', 'standing.known', 'standing.derived', 'verdict.alone', 'verdict.with', 'verdict.no', 'verdict.cannot-tell'];
    expect(wanted.filter((id) => !named.includes(id))).toEqual([]);
  });
});

/** Files whose sentences are reasons, and sentences that no text brings about, with the reason. */
const SENTENCES: Readonly<Record<string, readonly string[]>> = {
  'packages/doctor/src/alone.ts': [],
  'packages/doctor/src/difference.ts': [],
  'packages/doctor/src/examine.ts': [],
  'packages/doctor/src/facts/group-rules.ts': [],
  'packages/doctor/src/facts/iommu.ts': [],
  'packages/doctor/src/input-report.ts': [],
  'packages/doctor/src/other-kernels.ts': [],
  'packages/doctor/src/refusal.ts': [],
  'packages/doctor/src/verdict.ts': [],
  'packages/vfio-pci/src/topology/acs.ts': [],
  'packages/vfio-pci/src/topology/acs-quirks.ts': [
    // Quirks against isolation: the report has what the registers lack.
    'it is not among the ports of which Zhaoxin says that they isolate',
    'it is not among the cards of which Wangxun says that they isolate',
  ],
  'packages/vfio-pci/src/topology/hot-reset.ts': [],
  'packages/vfio-pci/src/topology/iommu-groups.ts': [],
  'packages/vfio-pci/src/topology/uncovered.ts': [],
};

/** What a file can say: its string constants, and the parts of its templates, without comments; two words at least. */
function sentencesOf(path: string): readonly string[] {
  const code = source(path).replace(/\/\*[^]*?\*\/|^import [^;]*;$/gm, '').replace(/(^|\s)\/\/.*$/gm, '$1');
  const strings = [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g)].flatMap(([, single, double, template]) => (template === undefined ? [single ?? double ?? ''] : partsOf(template)));
  return strings.map((each) => each.replace(/\\(.)/g, '$1').trim()).filter((each) => each.length > 15 && /[a-z] [a-z]/.test(each));
}

/** Constant parts of a template; what stands in `${}` is code, with strings of its own. */
function partsOf(template: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  let inner = '';
  for (let i = 0; i < template.length; i += 1) {
    const char = template[i]!;
    if (depth === 0 && char === '$' && template[i + 1] === '{') {
      parts.push(part);
      part = '';
      depth = 1;
      i += 1;
    } else if (depth === 0) part += char;
    else {
      depth += char === '{' ? 1 : char === '}' ? -1 : 0;
      inner += char;
    }
  }
  const nested = [...inner.matchAll(/'((?:[^'\\\n]|\\.)*)'/g)].map(([, text = '']) => text);
  return [...parts, part, ...nested];
}

function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value as Readonly<Record<string, unknown>>).flatMap(textsOf);
}

describe('a sentence in the sources', () => {
  const reports: readonly DoctorReport[] = ROWS.map(([, , , text, options]) => examine(readPaste(text), options));
  const said = reports.flatMap(textsOf).join('\n');

  it.each(Object.entries(SENTENCES))('%s: is said of one of these machines', (path, not) => {
    const sentences = sentencesOf(path);
    expect(sentences.length).toBeGreaterThan(0);
    expect(sentences.filter((each) => !said.includes(each) && !not.includes(each))).toEqual([]);
  });
});
