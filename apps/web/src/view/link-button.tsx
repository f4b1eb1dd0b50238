/** A link that carries the question, copied. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { copied } from '../clipboard.ts';
import { TooLargeForLink, fragmentOf } from '../fragment.ts';
import type { Question } from '../question.ts';

interface LinkButtonProps {
  readonly question: Question;
  readonly words: string;
}

export function LinkButton({ question, words }: LinkButtonProps): JSX.Element {
  const [said, setSaid] = useState('');
  const link = async (): Promise<void> => {
    try {
      history.replaceState(null, '', await fragmentOf(question));
      setSaid(`${(await copied(location.href)) ? 'The link is copied' : 'The link is in the address bar'}. It has the text in it: who opens it sees what you see.`);
    } catch (error) {
      if (!(error instanceof TooLargeForLink)) throw error;
      setSaid(error.message);
    }
  };
  return (
    <>
      <button type="button" onClick={() => void link()}>
        {words}
      </button>
      <span role="status" class="hint">
        {said}
      </span>
    </>
  );
}
