/** The answers for what people give away, by what it is for. */
import { summaryTable, type SummaryPart, type Verdict } from '@vsim/doctor';
import type { JSX } from 'preact';
import type { Examined } from '../examined.ts';
import { Folded } from './folded.tsx';
import { Mark } from './marks.tsx';

const KINDS: readonly (readonly [kind: Verdict['kind'], words: string])[] = [
  ['alone', 'alone'],
  ['with', 'with others'],
  ['no', 'not'],
  ['cannot-tell', 'cannot tell'],
];
const SHOWN = 12;

/** How many of what people give away can be given, in a sentence. */
export function headline(parts: readonly SummaryPart[]): string {
  const rows = parts.flatMap((part) => part.rows);
  const can = rows.filter(({ verdict }) => verdict.kind === 'alone' || verdict.kind === 'with').length;
  if (rows.length === 0) return 'Nothing here that people give to a VM';
  if (rows.every(({ verdict }) => verdict.kind === 'cannot-tell')) return 'The text does not tell what can be given to a VM';
  return can === 0 ? `None of ${rows.length} ${rows.length === 1 ? 'device' : 'devices'} can be given to a VM` : `${can} of ${rows.length} ${rows.length === 1 ? 'device' : 'devices'} can be given to a VM`;
}

/** The same, counted by answer. */
export function Counts({ parts }: { readonly parts: readonly SummaryPart[] }): JSX.Element {
  const rows = parts.flatMap((part) => part.rows);
  return (
    <ul class="counts" aria-label="Answers, counted">
      {KINDS.map(([kind, words]) => {
        const count = rows.filter(({ verdict }) => verdict.kind === kind).length;
        return count === 0 ? null : (
          <li key={kind}>
            <Mark kind={kind} words={`${count} ${words}`} />
          </li>
        );
      })}
    </ul>
  );
}

interface VerdictsProps {
  readonly examined: Examined;
  readonly onDevice: (address: string) => void;
}

export function Verdicts({ examined: { report, short }, onDevice }: VerdictsProps): JSX.Element {
  // Without display: table, which a phone has not the room for, the roles have to be said.
  return (
    <table class="verdicts" role="table">
      <caption class="aside">What people give away, and whether it can be given</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Address</th>
          <th role="columnheader" scope="col">Device</th>
          <th role="columnheader" scope="col">Can be given</th>
          <th role="columnheader" scope="col">Group</th>
        </tr>
      </thead>
      {summaryTable(report).map(({ heading, rows }) => (
        <tbody key={heading} role="rowgroup">
          <tr role="row" class="purpose">
            <th role="rowheader" scope="rowgroup" colSpan={4}>
              {heading}
            </th>
          </tr>
          <Folded
            items={rows}
            shown={SHOWN}
            around={(button) => (
              <tr role="row">
                <td role="cell" colSpan={4}>
                  {button}
                </td>
              </tr>
            )}
            render={({ device: { address, description }, verdict, words, group }) => (
              <tr role="row" key={address} class="device" onClick={() => onDevice(address)}>
                <td role="cell" class="address">
                  <button type="button" aria-haspopup="dialog" aria-label={`${short(address)}: the whole answer`} onClick={(event) => { event.stopPropagation(); onDevice(address); }}>
                    {short(address)}
                  </button>
                </td>
                <td role="cell" class="name">{description}</td>
                <td role="cell" class="answer">
                  <Mark kind={verdict.kind} words={words} />
                </td>
                <td role="cell" class="group">{group === null ? '' : <><span class="only-narrow">group </span>{group}</>}</td>
              </tr>
            )}
          />
        </tbody>
      ))}
    </table>
  );
}
