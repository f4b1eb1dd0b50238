/** Lines that were not understood or not used, by their numbers. */
import type { Unread } from '@vsim/doctor';
import type { JSX } from 'preact';
import { Folded } from './folded.tsx';
import { LineButton } from './line-button.tsx';

const SHOWN = 12;

interface UnreadLinesProps {
  readonly unread: readonly Unread[];
  readonly onLine: ((line: number) => void) | undefined;
}

export function UnreadLines({ unread, onLine }: UnreadLinesProps): JSX.Element {
  return (
    <ul class="unread">
      <Folded
        items={unread}
        shown={SHOWN}
        around={(button) => <li>{button}</li>}
        render={({ line, text, why }) => (
          <li key={line}>
            <LineButton line={line} onLine={onLine} /> <span>{why ?? 'not understood'}</span> <code>{text}</code>
          </li>
        )}
      />
    </ul>
  );
}
