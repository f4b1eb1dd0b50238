/** All groups with their reasons, what cannot be told, and what is in none. */
import { groupNote, groupTitle, missingWords, perhapsWords, trialWords, type DoctorReport, type GroupReport } from '@vsim/doctor';
import type { ComponentChildren, JSX } from 'preact';
import type { Examined } from '../examined.ts';
import { tints } from '../tree-rows.ts';
import { Folded } from './folded.tsx';

const SHOWN = 24;

interface GroupsProps {
  readonly examined: Examined;
  readonly onDevice: (address: string) => void;
}

export function Groups({ examined, onDevice }: GroupsProps): JSX.Element {
  const { report, short } = examined;
  const tintOf = tints(report.groups);
  return (
    <>
      <ul class="cards groups">
        <Folded
          items={report.groups}
          shown={SHOWN}
          around={(button) => <li>{button}</li>}
          render={(group) => (
            <li key={group.devices[0]} class={cardClass(tintOf.get(group))}>
              <details open={group.members.length > 1 || group.difference !== undefined}>
                <summary>
                  <h3>{groupTitle(group)}</h3> <span class="note">{group.members.length > 1 ? groupNote(group) : group.members[0]?.description}</span>
                </summary>
                <ul class="members">
                  {group.members.map(({ address, description, driver }) => (
                    <Member key={address} address={short(address)} onOpen={() => onDevice(address)}>
                      {description} {driver === undefined || driver === null ? null : <span class="driver">{driver}</span>}
                    </Member>
                  ))}
                </ul>
                {group.members.length > 1 ? null : <p class="note">{groupNote(group)}</p>}
                <GroupWords group={group} />
                <Trials trials={group.trials} />
              </details>
            </li>
          )}
        />
      </ul>
      <CannotTell examined={examined} onDevice={onDevice} />
      <Ungrouped report={report} short={short} />
    </>
  );
}

function Trials({ trials }: { readonly trials: GroupReport['trials'] }): JSX.Element | null {
  if (trials.length === 0) return null;
  return (
    <details>
      <summary>What VFIO answers</summary>
      <ul class="trials">
        {trials.map((trial) => (
          <li key={`${trial.device} ${trial.kind}`} class={trial.result === 'ok' ? 'ok' : 'refused'}>
            <code>{trialWords(trial)}</code>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Why a group is one, what is odd about it, and what is in the way. */
export function GroupWords({ group: { reason, difference, blockers } }: { readonly group: GroupReport }): JSX.Element {
  return (
    <dl class="words">
      <dt>Why</dt>
      <dd>{reason}</dd>
      {difference !== undefined ? (
        <>
          <dt class="but">But</dt>
          <dd>{difference}</dd>
        </>
      ) : null}
      {blockers.map((blocker) => (
        <>
          <dt class="blocker">In the way</dt>
          <dd>{blocker.what}</dd>
        </>
      ))}
    </dl>
  );
}

function CannotTell({ examined: { report, short }, onDevice }: GroupsProps): JSX.Element | null {
  if (report.cannotTell.length === 0) return null;
  return (
    <>
      <h3>Cannot tell</h3>
      <ul class="cards groups">
        <Folded
          items={report.cannotTell}
          shown={SHOWN}
          around={(button) => <li>{button}</li>}
          render={(open) => (
            <li key={open.device} class="card open">
              <ul class="members">
                <Member address={short(open.device)} onOpen={() => onDevice(open.device)}>
                  {open.about.description}
                </Member>
              </ul>
              <dl class="words">
                <dt>Group</dt>
                <dd>{perhapsWords(open)}</dd>
                <dt>Missing</dt>
                <dd>{missingWords(open)}</dd>
              </dl>
            </li>
          )}
        />
      </ul>
    </>
  );
}

function Ungrouped({ report, short }: { readonly report: DoctorReport; readonly short: (address: string) => string }): JSX.Element | null {
  if (report.ungrouped.length === 0) return null;
  return (
    <>
      <h3>In no group</h3>
      <ul class="ungrouped">
        <Folded
          items={report.ungrouped}
          shown={SHOWN}
          around={(button) => <li>{button}</li>}
          render={({ device, why }) => (
            <li key={device}>
              <code>{short(device)}</code> {why}
            </li>
          )}
        />
      </ul>
    </>
  );
}

interface MemberProps {
  readonly address: string;
  readonly onOpen: () => void;
  readonly children: ComponentChildren;
}

function Member({ address, onOpen, children }: MemberProps): JSX.Element {
  return (
    <li>
      <button type="button" class="address" aria-haspopup="dialog" aria-label={`${address}: the whole answer`} onClick={onOpen}>
        {address}
      </button>{' '}
      <span>{children}</span>
    </li>
  );
}

function cardClass(tint: number | undefined): string {
  return tint === undefined ? 'card' : `card tinted tint-${tint}`;
}
