/** The whole answer for one device, with what to copy. */
import { answerLines, BEST_COMMAND, commandsFor, type Verdict } from '@vsim/doctor';
import type { JSX } from 'preact';
import type { Examined } from '../examined.ts';
import type { Chosen } from '../what-ifs.ts';
import { Command, CopyButton } from './copy-button.tsx';
import { LinkButton } from './link-button.tsx';
import { Sheet } from './sheet.tsx';

interface AnswerSheetProps {
  readonly examined: Examined;
  readonly chosen: Chosen;
  readonly address: string;
  readonly onClose: () => void;
}

/** Lines that belong together: the first may be a heading. */
interface Part {
  readonly heading: string | undefined;
  readonly lines: readonly string[];
}

export function AnswerSheet({ examined: { source, report, short }, chosen, address, onClose }: AnswerSheetProps): JSX.Element {
  const lines = answerLines(report, address);
  const kind: Verdict['kind'] = report.verdicts.find(({ device }) => device === address)?.kind ?? 'cannot-tell';
  const commands = new Map(commandsFor(report, address).flatMap((block) => block.lines.flatMap(({ text, command }) => (command === undefined ? [] : [[text, command] as const]))));
  return (
    <Sheet title={short(address)} onClose={onClose}>
      <p class={`verdict ${kind}`}>{lines[0] ?? 'There is nothing to say of it: it is in no group.'}</p>
      {partsOf(lines.slice(1)).map(({ heading, lines: some }, index) => (
        <section key={index}>
          {heading !== undefined ? <h3>{heading}</h3> : null}
          {some.map((line, at) => (
            <AnswerLine key={at} line={line} command={commands.get(line.trim())} />
          ))}
        </section>
      ))}
      {lines.length > 0 ? (
        <div class="buttons">
          <CopyButton text={lines.join('\n')} what="the whole answer" />
          <LinkButton words="Copy a link to this answer" question={{ ...source.question, device: address, whatIf: chosen }} />
        </div>
      ) : null}
    </Sheet>
  );
}

function AnswerLine({ line, command }: { readonly line: string; readonly command: string | undefined }): JSX.Element {
  const text = line.trim();
  if (command !== undefined) return <p><Command text={command} shown={text} /></p>;
  const before = text.endsWith(BEST_COMMAND) ? text.slice(0, -BEST_COMMAND.length) : undefined;
  if (before !== undefined) return <p>{before}<Command text={BEST_COMMAND} /></p>;
  const label = /^(Why|But|In the way|Here|To do|Driver|Reset|Mind|Hot reset[^:]*|IOMMU): (.*)$/s.exec(text);
  return <p class={line.startsWith('    ') ? 'deep' : undefined}>{label === null ? text : <><strong>{label[1]}</strong> {label[2]}</>}</p>;
}

/** A line with indented ones behind it is a heading; an empty line ends a part. */
function partsOf(lines: readonly string[]): readonly Part[] {
  const parts: Part[] = [];
  for (const [index, line] of lines.entries()) {
    const isHeading = line !== '' && !line.startsWith(' ') && lines[index + 1]?.startsWith(' ') === true;
    const last = parts.at(-1);
    if (line === '') parts.push({ heading: undefined, lines: [] });
    else if (isHeading) parts.push({ heading: line, lines: [] });
    else if (last === undefined) parts.push({ heading: undefined, lines: [line] });
    else parts[parts.length - 1] = { ...last, lines: [...last.lines, line] };
  }
  return parts.filter(({ heading, lines: some }) => heading !== undefined || some.length > 0);
}
