/** A line of the text by its number; a click shows it. */
import type { JSX } from 'preact';

interface LineButtonProps {
  readonly line: number;
  /** Undefined: there is no text to show. */
  readonly onLine: ((line: number) => void) | undefined;
}

export function LineButton({ line, onLine }: LineButtonProps): JSX.Element {
  if (onLine === undefined) return <span class="line">line {line}</span>;
  return (
    <button type="button" class="line" aria-haspopup="dialog" onClick={() => onLine(line)}>
      line {line}
    </button>
  );
}
