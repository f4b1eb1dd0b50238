/** A button that copies, and says so. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { copied } from '../clipboard.ts';

const SHOWN_MS = 2000;

/** @param props `what` names the text for who does not see it */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  const [state, setState] = useState<'' | 'Copied' | 'Not copied'>('');
  useEffect(() => {
    if (state === '') return undefined;
    const timer = setTimeout(() => setState(''), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [state]);
  return (
    <button type="button" class="copy" aria-label={state === '' ? `Copy ${what}` : state} onClick={() => void copied(text).then((done) => setState(done ? 'Copied' : 'Not copied'))}>
      <span aria-live="polite">{state === '' ? 'Copy' : state}</span>
    </button>
  );
}

/** A command, with a button to copy it. */
export function Command({ text, shown = text }: { readonly text: string; readonly shown?: string }): JSX.Element {
  return (
    <span class="command">
      <code>{shown}</code>
      <CopyButton text={text} what={text} />
    </span>
  );
}
