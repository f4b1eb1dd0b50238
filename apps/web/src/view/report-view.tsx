/** The report: the answer first, then what it rests on. */
import { summaryTable } from '@vsim/doctor';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Examined } from '../examined.ts';
import { chosenCount, type Chosen } from '../what-ifs.ts';
import { AnswerSheet } from './answer-sheet.tsx';
import { Errors } from './errors.tsx';
import { FindDevice } from './find-device.tsx';
import { Findings } from './findings.tsx';
import { Groups } from './groups.tsx';
import { Keep } from './keep.tsx';
import { LineSheet } from './line-sheet.tsx';
import { firstDevice } from './first-device.ts';
import { MachineTree } from './tree.tsx';
import { UnreadLines } from './unread.tsx';
import { Counts, Verdicts, headline } from './verdicts.tsx';
import { WhatIfPanel } from './what-if-panel.tsx';

/** A tree or a list of groups of more functions than these is shown when it is asked for. */
const MUCH = 150;

interface ReportViewProps {
  readonly examined: Examined;
  readonly chosen: Chosen;
  /** What is asked for, as a link or the command has it. */
  readonly device: string | undefined;
  /** What is to be taken for true next; mostly what is. */
  readonly wanted: Chosen;
  readonly onChoose: (chosen: Chosen) => void;
}

/** What is open over the page. */
type Open = { readonly device: string } | { readonly line: number } | undefined;

export function ReportView({ examined, chosen, device, wanted, onChoose }: ReportViewProps): JSX.Element {
  const { report, source, devices } = examined;
  const [open, setOpen] = useState<Open>(undefined);
  const heading = useRef<HTMLHeadingElement>(null);
  const first = firstDevice(report, device);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    if (first !== undefined) setOpen({ device: first });
  }, [first]);

  const parts = summaryTable(report);
  const onDevice = (address: string): void => setOpen({ device: address });
  const onLine = source.lines.length > 0 ? (line: number): void => setOpen({ line }) : undefined;
  const whatIfs = chosenCount(chosen);
  const { errors, input, groups, cannotTell, ungrouped } = report;
  return (
    <>
      <section class="head" aria-labelledby="headline">
        <p class="from">{source.question.name ?? (source.question.files === undefined ? 'The text that was pasted' : 'An archive')}{whatIfs > 0 ? `, with ${whatIfs === 1 ? 'one thing' : `${whatIfs} things`} taken for true` : ''}</p>
        <h1 id="headline" tabIndex={-1} ref={heading}>
          {input.devices === 0 ? 'No PCI function in this text' : headline(parts)}
        </h1>
        <p class="aside" role="status">
          {input.devices === 0 ? 'No PCI function in this text' : headline(parts)}
        </p>
        <Counts parts={parts} />
        <Findings report={report} onLine={onLine} />
      </section>
      {input.devices > 0 ? (
        <>
          <WhatIfPanel chosen={wanted} onChoose={onChoose} />
          <Part id="answers" title="What can be given">
            <FindDevice examined={examined} onDevice={onDevice} />
            {parts.length > 0 ? <Verdicts examined={examined} onDevice={onDevice} /> : null}
          </Part>
        </>
      ) : null}
      {errors.length > 0 ? (
        <Part id="errors" title={errors.length === 1 ? 'An error in the text' : `${errors.length} errors in the text`}>
          <Errors errors={errors} onLine={onLine} />
        </Part>
      ) : null}
      {devices.length > 0 ? (
        <Part id="tree" title="The machine" much={devices.length > MUCH ? `Show the tree of ${devices.length} functions` : undefined}>
          <MachineTree examined={examined} onDevice={onDevice} />
        </Part>
      ) : null}
      {groups.length + cannotTell.length + ungrouped.length > 0 ? (
        <Part id="groups" title={`${groups.length} IOMMU ${groups.length === 1 ? 'group' : 'groups'}`}>
          <Groups examined={examined} onDevice={onDevice} />
        </Part>
      ) : null}
      {input.unread.length > 0 ? (
        <Part id="unread" title={input.unread.length === 1 ? 'A line that was not used' : `${input.unread.length} lines that were not used`}>
          <UnreadLines unread={input.unread} onLine={onLine} />
        </Part>
      ) : null}
      <Part id="keep" title="To keep or to send">
        <Keep examined={examined} chosen={chosen} />
      </Part>
      {open !== undefined && 'device' in open ? <AnswerSheet key={open.device} examined={examined} chosen={chosen} address={open.device} onClose={() => setOpen(undefined)} /> : null}
      {open !== undefined && 'line' in open ? (
        <LineSheet key={open.line} line={open.line} lines={source.lines} why={whyUnread(examined, open.line)} onClose={() => setOpen(undefined)} />
      ) : null}
    </>
  );
}

interface PartProps {
  readonly id: string;
  readonly title: string;
  /** What the button says that shows it; undefined: it is shown. */
  readonly much?: string | undefined;
  readonly children: ComponentChildren;
}

function Part({ id, title, much, children }: PartProps): JSX.Element {
  const [isShown, setShown] = useState(false);
  return (
    <section class={`part part-${id}`} aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {much === undefined || isShown ? children : (
        <button type="button" class="more" onClick={() => setShown(true)}>
          {much}
        </button>
      )}
    </section>
  );
}

function whyUnread({ report }: Examined, line: number): string | undefined {
  const unread = report.input.unread.find((each) => each.line === line);
  return unread === undefined ? undefined : (unread.why ?? 'not understood');
}
