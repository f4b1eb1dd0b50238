/** A long list, of which the first are shown until the rest is asked for. */
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';

interface FoldedProps<T> {
  readonly items: readonly T[];
  readonly shown: number;
  readonly render: (item: T, index: number) => ComponentChildren;
  /** The element around the button, where a list wants one. */
  readonly around?: (button: JSX.Element) => JSX.Element;
}

export function Folded<T>({ items, shown, render, around = (button) => button }: FoldedProps<T>): JSX.Element {
  const [open, setOpen] = useState(false);
  // One more than is shown costs no more room than the button.
  const all = open || items.length <= shown + 1;
  return (
    <>
      {(all ? items : items.slice(0, shown)).map(render)}
      {all ? null : around(
        <button type="button" class="more" onClick={() => setOpen(true)}>
          Show {items.length - shown} more
        </button>,
      )}
    </>
  );
}
