/** The page with a question in it: it answers as soon as it is opened. */
import { questionJson, type Question } from './question.ts';

/** The place in the page; data, which its policy runs nothing of. */
const EMPTY = '<script type="application/json" id="paste"></script>';

/** @param page text of doctor.html @throws RangeError for another text */
export function pageWith(page: string, question: Question): string {
  const at = page.indexOf(EMPTY);
  if (at < 0) throw new RangeError('no page of the doctor: it has no place for data');
  const end = at + EMPTY.length - '</script>'.length;
  // No tag begins in the data, whatever somebody pasted.
  return page.slice(0, end) + questionJson(question).replaceAll('<', '\\u003c') + page.slice(end);
}
