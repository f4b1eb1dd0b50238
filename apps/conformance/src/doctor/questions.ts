/** Questions that people asked, with what they pasted and how it ended: recordings/doctor/questions. */
import { readFileSync, readdirSync } from 'node:fs';
import { MalformedRecording, type Fields } from '../json.ts';
import { parseHost, textOrNull } from '../recorded-machine.ts';
import { readRecording } from '../recorded-topology.ts';

const FOLDER = new URL('../../recordings/doctor/questions/', import.meta.url);

/**
 * What was true of the device in the end: it could be given to a VM, after other functions were bound or unbound, not in that state, never with these groups, or the
 * question was one of kernels.
 */
const ANSWERS = ['yes', 'after-binding', 'not-now', 'no', 'kernel'] as const;
export type FieldAnswer = (typeof ANSWERS)[number];

/** One of them. */
export interface FieldQuestion {
  /** Its file, without the ending. */
  readonly name: string;
  /** Where it was asked. */
  readonly thread: string;
  /** What was asked, in our words. */
  readonly question: string;
  /** The function that it is about; undefined: about the whole machine. */
  readonly device: string | undefined;
  /** What was pasted, and the messages that came with it. */
  readonly text: string;
  /** Ids of the known errors that are in the text. */
  readonly errors: readonly string[];
  /** How it ended, in our words. */
  readonly ended: string;
  /** Words that a report which helps has to have. */
  readonly says: readonly string[];
  /** What was true in the end. */
  readonly answer: FieldAnswer;
}

/** All of them, by name. */
export function fieldQuestions(): readonly FieldQuestion[] {
  return readdirSync(FOLDER).filter((file) => file.endsWith('.json')).sort().map((file) => {
    const fields = parseHost(file, readFileSync(new URL(file, FOLDER), 'utf8'));
    const pasted = words(fields, 'paste').map((path) => readRecording(`doctor/${path}`));
    return {
      name: file.slice(0, -'.json'.length),
      thread: fields.string('thread'),
      question: fields.string('question'),
      device: textOrNull(fields, 'device') ?? undefined,
      text: [...pasted, ...words(fields, 'messages').map((line) => `${line}\n`)].join('\n'),
      errors: words(fields, 'errors'),
      ended: fields.string('ended'),
      says: words(fields, 'says'),
      answer: answerOf(fields),
    };
  });
}

function answerOf(fields: Fields): FieldAnswer {
  const value = fields.string('answer');
  const answer = ANSWERS.find((each) => each === value);
  if (answer === undefined) throw new MalformedRecording(fields.path, fields.line, `"answer": expected ${ANSWERS.join(', ')}`);
  return answer;
}

function words(fields: Fields, key: string): readonly string[] {
  return fields.list(key).map((value) => {
    if (typeof value !== 'string') throw new MalformedRecording(fields.path, fields.line, `"${key}": expected texts`);
    return value;
  });
}
