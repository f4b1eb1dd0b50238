/** The marks of the four answers: a sign and a colour, for the words that stand beside them. */
import type { Verdict } from '@vsim/doctor';
import type { JSX } from 'preact';

const SIGNS: Readonly<Record<Verdict['kind'], string>> = { alone: '✓', with: '✓', no: '✕', 'cannot-tell': '?' };

/** @param props `words` say the answer; the sign is for who sees it */
export function Mark({ kind, words }: { readonly kind: Verdict['kind']; readonly words: string }): JSX.Element {
  return (
    <span class={`mark ${kind}`}>
      <span aria-hidden="true" class="sign">
        {SIGNS[kind]}
      </span>
      <span>{words}</span>
    </span>
  );
}
