/** The page: a question, and its answer once there is one. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { afterPaint } from '../after-paint.ts';
import { examined as examinedOf, sourceOf, type Examined, type Source } from '../examined.ts';
import { UnreadableFile, questionOfFile } from '../files.ts';
import type { Question } from '../question.ts';
import { startQuestion } from '../start.ts';
import type { Chosen } from '../what-ifs.ts';
import { Ask } from './ask.tsx';
import { ReportView } from './report-view.tsx';
import { useDrop } from './use-drop.ts';

/** What the page shows. */
interface Shown {
  /** Which question it answers: counted. */
  readonly id: number;
  readonly examined: Examined;
  readonly chosen: Chosen;
  /** The device that is asked for; undefined: none. */
  readonly device: string | undefined;
}

export function App(): JSX.Element {
  const [shown, setShown] = useState<Shown | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  /** What is chosen and not yet examined: switches stand where they were put. */
  const [wanted, setWanted] = useState<Chosen | undefined>(undefined);
  /** Counts questions: an answer that comes after the next question is not shown. */
  const asked = useRef(0);

  const run = async (make: () => Promise<Shown | undefined> | Shown, choosing?: Chosen): Promise<void> => {
    const mine = (asked.current += 1);
    setBusy(true);
    setProblem('');
    setWanted(choosing);
    await afterPaint();
    try {
      const next = await make();
      if (mine === asked.current && next !== undefined) setShown(next);
    } catch (error) {
      if (mine === asked.current) setProblem(messageOf(error));
    }
    if (mine !== asked.current) return;
    setBusy(false);
    setWanted(undefined);
  };
  const answer = (question: Question): Shown => {
    const source = sourceOf(question);
    const chosen = question.whatIf ?? {};
    return { id: asked.current, examined: examinedOf(source, chosen), chosen, device: question.device };
  };
  const ask = (question: Question): void => void run(() => answer(question));
  const openFile = (file: File): void => void run(async () => answer(await questionOfFile(file)));
  const choose = (id: number, source: Source, chosen: Chosen): void => void run(() => ({ id, examined: examinedOf(source, chosen), chosen, device: undefined }), chosen);
  const isDraggedOver = useDrop(openFile, (text) => ask({ text }));

  useEffect(() => {
    const start = (): void => void run(async () => {
      const question = await startQuestion();
      return question === undefined ? undefined : answer(question);
    });
    start();
    window.addEventListener('hashchange', start);
    return () => window.removeEventListener('hashchange', start);
  }, []);

  const isAsking = shown === undefined;
  return (
    <div class={isDraggedOver ? 'page dragged' : 'page'}>
      <header class="top">
        <p class="brand">
          vsim <span>doctor</span>
        </p>
        {isAsking ? null : (
          <button type="button" onClick={() => { asked.current += 1; setShown(undefined); setBusy(false); setWanted(undefined); setProblem(''); history.replaceState(null, '', location.pathname + location.search); }}>
            Another machine
          </button>
        )}
      </header>
      <main>
        <p class="problem" role="alert">
          {problem}
        </p>
        <p class={isBusy ? 'busy' : 'aside'} role="status">
          {isBusy ? 'Examining…' : ''}
        </p>
        {isAsking ? (
          <>
            <h1>Which devices of this machine can be given to a VM?</h1>
            <Ask text="" onAsk={ask} onFile={openFile} />
          </>
        ) : (
          <ReportView key={shown.id} {...shown} wanted={wanted ?? shown.chosen} onChoose={(chosen) => choose(shown.id, shown.examined.source, chosen)} />
        )}
      </main>
      <footer>
        <p>
          Groups and reasons are computed as Linux does, and what VFIO answers comes from a model of it. Nothing is sent anywhere. On a command line: <code>npx @vsim/cli groups</code>
        </p>
      </footer>
      <div class="drop" aria-hidden="true">
        Drop the file
      </div>
    </div>
  );
}

function messageOf(error: unknown): string {
  if (error instanceof UnreadableFile) return error.message;
  if (error instanceof RangeError) return `That cannot be: ${error.message}.`;
  if (error instanceof SyntaxError) return `The link or the data of this page is not whole (${error.message}). Paste the text instead.`;
  return `This went wrong in the page itself, and should not: ${error instanceof Error ? error.message : String(error)}`;
}
