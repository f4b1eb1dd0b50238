/** Errors in the text that are known, with what can be done. */
import type { ErrorReport } from '@vsim/doctor';
import type { JSX } from 'preact';
import { Folded } from './folded.tsx';
import { LineButton } from './line-button.tsx';

const SHOWN = 12;

interface ErrorsProps {
  readonly errors: readonly ErrorReport[];
  readonly onLine: ((line: number) => void) | undefined;
}

export function Errors({ errors, onLine }: ErrorsProps): JSX.Element {
  return (
    <ul class="cards">
      <Folded
        items={errors}
        shown={SHOWN}
        around={(button) => <li>{button}</li>}
        render={({ id, line, text, means, remedies, here, harmless }) => (
          <li key={`${id} ${line}`} class={harmless ? 'card harmless' : 'card error'}>
            <p class="message">
              <LineButton line={line} onLine={onLine} /> <code>{text}</code>
            </p>
            <p>
              {means}
              {harmless ? ' Things work all the same.' : ''}
            </p>
            {here.length > 0 ? (
              <ul class="here">
                {here.map((each) => (
                  <li key={each}>Here: {each}</li>
                ))}
              </ul>
            ) : null}
            {remedies.length > 0 ? (
              <>
                <p class="label">To do, the likeliest first</p>
                <ol>
                  {remedies.map((remedy) => (
                    <li key={remedy}>{remedy}</li>
                  ))}
                </ol>
              </>
            ) : null}
          </li>
        )}
      />
    </ul>
  );
}
