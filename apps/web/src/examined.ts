/** A question, answered: what the views show. */
import { devicesOf, examine, readPaste, readTree, shortener, type DeviceReport, type DoctorReport, type Paste } from '@vsim/doctor';
import type { Question } from './question.ts';
import { optionsOf, type Chosen } from './what-ifs.ts';

/** A text or a tree that was read. */
export interface Source {
  readonly question: Question;
  readonly paste: Paste;
  /** Lines of the text; of a tree none. */
  readonly lines: readonly string[];
}

/** What is known of it. */
export interface Examined {
  readonly source: Source;
  readonly report: DoctorReport;
  /** All functions, in the order of addresses. */
  readonly devices: readonly DeviceReport[];
  /** Addresses as they are shown. */
  readonly short: (address: string) => string;
}

/** Reads the text or the files of a question. */
export function sourceOf(question: Question): Source {
  const text = question.text ?? '';
  return { question, paste: question.files === undefined ? readPaste(text) : readTree(question.files), lines: question.files === undefined ? text.split(/\r\n|\r|\n/) : [] };
}

/** Examines what was read. */
export function examined(source: Source, chosen: Chosen): Examined {
  const report = examine(source.paste, optionsOf(chosen));
  const devices = devicesOf(report);
  return { source, report, devices, short: shortener(devices) };
}
