/** What the page is asked: a text or the files of a tree, a device, and what is taken for true. The same in a link and in the page's own data. */
import type { TreeFile } from '@vsim/doctor';
import { fromBase64, toBase64 } from './base64.ts';

/** A question. It has a text, or files, or neither. */
export interface Question {
  /** What was pasted. */
  readonly text?: string | undefined;
  /** A tree of /sys, instead of a text. */
  readonly files?: readonly TreeFile[] | undefined;
  /** The name of the file that it came from. */
  readonly name?: string | undefined;
  /** The device that is asked for, as answerLines() takes it. */
  readonly device?: string | undefined;
  /** What is taken for true, by the ids of what-ifs.ts: `iommu` is vt-d, amd, smmuv3 or none; `kernel` is 6.12 and the like; `acs-override` is downstream, multifunction or both with a comma; `iommu-on` is on; `intremap` is off. */
  readonly whatIf?: Readonly<Record<string, string>> | undefined;
}

/** As JSON, in which bytes are base64. */
export function questionJson({ files, ...rest }: Question): string {
  return JSON.stringify(files === undefined ? rest : { ...rest, files: files.map(([path, content]) => [path, content instanceof Uint8Array ? toBase64(content) : content]) });
}

/** The question that a JSON holds; what is no part of one is left out. @throws SyntaxError if it is no JSON, or none of a question */
export function questionOf(json: string): Question {
  const read: unknown = JSON.parse(json);
  if (!isRecord(read)) throw new SyntaxError('no question');
  return {
    text: textOf(read['text']),
    files: Array.isArray(read['files']) ? read['files'].flatMap(fileOf) : undefined,
    name: textOf(read['name']),
    device: textOf(read['device']),
    whatIf: isRecord(read['whatIf']) ? Object.fromEntries(Object.entries(read['whatIf']).filter((entry): entry is [string, string] => typeof entry[1] === 'string')) : undefined,
  };
}

function fileOf(entry: unknown): readonly TreeFile[] {
  const [path, content] = listOf(entry);
  if (typeof path !== 'string') return [];
  if (typeof content === 'string') return [[path, fromBase64(content)]];
  return isRecord(content) && typeof content['link'] === 'string' ? [[path, { link: content['link'] }]] : [];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
