/** Where a question begins: a text is pasted, a file opened or dropped. */
import { BEST_COMMAND } from '@vsim/doctor';
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { EXAMPLE } from '../example.ts';
import type { Question } from '../question.ts';
import { Command } from './copy-button.tsx';

/** Letters of a paste that is examined at once: a text box takes seconds to show so many. */
const LARGE = 300_000;

interface AskProps {
  readonly onAsk: (question: Question) => void;
  readonly onFile: (file: File) => void;
  /** What is in the text box first. */
  readonly text: string;
}

export function Ask({ onAsk, onFile, text }: AskProps): JSX.Element {
  const [written, setWritten] = useState(text);
  const [isEmpty, setEmpty] = useState(false);
  const box = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const examine = (): void => {
    setEmpty(written.trim() === '');
    if (written.trim() === '') box.current?.focus();
    else onAsk({ text: written });
  };
  return (
    <section class="ask" aria-label="The machine">
      <p class="lead">
        Paste what shows the machine: any form of <code>lspci</code>, a listing of IOMMU groups, <code>dmesg</code>, several of these in one. Best is what this prints:
      </p>
      <p>
        <Command text={BEST_COMMAND} />
      </p>
      <label for="text">Text of the machine</label>
      <textarea
        id="text"
        ref={box}
        rows={12}
        spellcheck={false}
        autocomplete="off"
        aria-describedby={isEmpty ? 'text-empty text-hint' : 'text-hint'}
        aria-invalid={isEmpty}
        value={written}
        onInput={({ currentTarget }) => setWritten(currentTarget.value)}
        onPaste={(event) => {
          const pasted = event.clipboardData?.getData('text/plain') ?? '';
          if (written !== '' || pasted.length < LARGE) return;
          event.preventDefault();
          onAsk({ text: pasted });
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) examine();
        }}
      />
      {isEmpty ? (
        <p id="text-empty" class="problem">
          There is no text yet: paste one above, or open a file.
        </p>
      ) : null}
      <div class="buttons">
        <button type="button" class="primary" onClick={examine}>
          Examine
        </button>
        <button type="button" onClick={() => picker.current?.click()}>
          Open a file…
        </button>
        <button type="button" onClick={() => onAsk({ text: EXAMPLE, name: 'an example' })}>
          Try an example
        </button>
        <input
          ref={picker}
          type="file"
          class="aside"
          tabIndex={-1}
          aria-label="A text, a .gz of one, or a tar of /sys"
          onChange={({ currentTarget }) => {
            const file = currentTarget.files?.[0];
            if (file !== undefined) onFile(file);
            currentTarget.value = '';
          }}
        />
      </div>
      <p id="text-hint" class="hint">
        A file may be dropped anywhere on the page: a text, a .gz of one, a .tar or .tar.gz of /sys. Everything happens in this page, which is allowed no connection: nothing that you paste leaves it.
      </p>
    </section>
  );
}
