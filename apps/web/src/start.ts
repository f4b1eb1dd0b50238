/** The question that the page is opened with: of its link, else the one that was put into it. */
import { questionOfFragment } from './fragment.ts';
import { questionOf, type Question } from './question.ts';

/** Undefined: nothing is asked. @throws SyntaxError for a link that was cut, or data that was changed */
export async function startQuestion(): Promise<Question | undefined> {
  const linked = await questionOfFragment(location.hash);
  if (linked !== undefined) return linked;
  const given = document.getElementById('paste')?.textContent.trim() ?? '';
  return given === '' ? undefined : questionOf(given);
}
