/** A line of the text, with those around it. */
import type { JSX } from 'preact';
import { Sheet } from './sheet.tsx';

const AROUND = 6;
/** Letters of a line that are shown. */
const WIDTH = 2000;

interface LineSheetProps {
  /** From 1. */
  readonly line: number;
  readonly lines: readonly string[];
  /** What is wrong with it, or undefined. */
  readonly why: string | undefined;
  readonly onClose: () => void;
}

export function LineSheet({ line, lines, why, onClose }: LineSheetProps): JSX.Element {
  const first = Math.max(1, line - AROUND);
  return (
    <Sheet title={`Line ${line} of the text`} onClose={onClose}>
      {why !== undefined ? <p>{why}</p> : null}
      <div class="source" role="group" aria-label="The text around it" tabIndex={0}>
        {lines.slice(first - 1, line + AROUND).map((text, index) => {
          const number = first + index;
          return (
            <div key={number} class={number === line ? 'here' : undefined} aria-current={number === line ? 'true' : undefined}>
              <span class="number">{number}</span>
              <code>{text === '' ? ' ' : text.slice(0, WIDTH)}</code>
            </div>
          );
        })}
      </div>
    </Sheet>
  );
}
