/** A link with the question in it, and the report as a file. */
import type { JSX } from 'preact';
import { download } from '../download.ts';
import type { Examined } from '../examined.ts';
import type { Chosen } from '../what-ifs.ts';
import { LinkButton } from './link-button.tsx';

interface KeepProps {
  readonly examined: Examined;
  readonly chosen: Chosen;
}

export function Keep({ examined: { source, report }, chosen }: KeepProps): JSX.Element {
  return (
    <div class="buttons">
      <button type="button" onClick={() => download('report.json', 'application/json', `${JSON.stringify(report)}\n`)}>
        Save the report as JSON
      </button>
      <LinkButton words="Copy a link with this question" question={{ ...source.question, device: undefined, whatIf: chosen }} />
    </div>
  );
}
