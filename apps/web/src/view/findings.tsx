/** What the text is worth, and whether there is an IOMMU. */
import { iommuLines, type DoctorReport } from '@vsim/doctor';
import type { JSX } from 'preact';
import { Command } from './copy-button.tsx';
import { LineButton } from './line-button.tsx';

interface FindingsProps {
  readonly report: DoctorReport;
  readonly onLine: ((line: number) => void) | undefined;
}

export function Findings({ report, onLine }: FindingsProps): JSX.Element {
  const { input, iommu } = report;
  const lines = iommuLines(report);
  const sentences = lines.filter((line) => !line.startsWith(' '));
  // The kernel is named beside it, after what the heading says.
  const [before, about] = [sentences.filter((line) => line.startsWith('Kernel: ')), sentences.filter((line) => !line.startsWith('Kernel: '))];
  const state = report.taken === 'none' || report.wouldBe ? 'bad' : iommu.state === 'on' ? 'good' : 'open';
  return (
    <div class="findings">
      <section aria-labelledby="quality">
        <h2 id="quality">The text</h2>
        <p class={`quality ${input.quality}`}>{sentence(input.sentence)}</p>
        {input.command !== undefined ? (
          <p>
            More would tell: <Command text={input.command} />
          </p>
        ) : null}
      </section>
      {lines.length > 0 ? (
        <section aria-labelledby="iommu" class={state}>
          <h2 id="iommu">The IOMMU</h2>
          {[...about, ...before].map((line) => (
            <p key={line}>{line.replace(/^IOMMU: /, '').replace(/^./, (letter) => letter.toUpperCase())}</p>
          ))}
          <ul class="todo">
            {lines.filter((line) => line.startsWith(' ')).map((line) => (
              <li key={line}>{line.trim()}</li>
            ))}
          </ul>
          {iommu.signs.length > 0 ? (
            <details>
              <summary>{iommu.signs.length === 1 ? 'The sign of it' : `The ${iommu.signs.length} signs of it`}</summary>
              <ul class="signs">
                {iommu.signs.map(({ speaksFor, what, line }) => (
                  <li key={`${what} ${line ?? ''}`}>
                    {speaksFor ? 'For' : 'Against'}: {what} {line !== undefined ? <LineButton line={line} onLine={onLine} /> : null}
                  </li>
                ))}
              </ul>
            </details>
          ) : null}
        </section>
      ) : null}
    </div>
  );
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
