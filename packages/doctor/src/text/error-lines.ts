import type { ErrorReport } from '../report.ts';

/** One error, with what it means and what can be done. */
export function errorLines({ line, text, means, remedies, here, harmless }: ErrorReport): readonly string[] {
  return [`  line ${line}: ${text}`, `    ${means}${harmless ? ' Things work all the same.' : ''}`, ...here.map((each) => `    Here: ${each}`), ...remedies.map((remedy) => `    To do: ${remedy}`)];
}
