/** The tree of bridges, with an outline around the members of each group. */
import { groupNote, groupTitle } from '@vsim/doctor';
import type { JSX } from 'preact';
import { useMemo, useRef, useState } from 'preact/hooks';
import type { Examined } from '../examined.ts';
import { treeRows, type TreeRow } from '../tree-rows.ts';
import { GroupWords } from './groups.tsx';

interface MachineTreeProps {
  readonly examined: Examined;
  readonly onDevice: (address: string) => void;
}

export function MachineTree({ examined: { report, devices, short }, onDevice }: MachineTreeProps): JSX.Element {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [selected, setSelected] = useState<string | undefined>(undefined);
  const list = useRef<HTMLUListElement>(null);
  const rows = useMemo(() => treeRows(devices, report.groups, closed), [devices, report, closed]);
  const current = rows.find(({ device }) => device.address === selected);
  const lost = devices.filter(({ parent }) => parent === undefined).length;
  const focusable = current?.device.address ?? rows[0]?.device.address;

  const select = (row: TreeRow | undefined): void => {
    if (row === undefined) return;
    setSelected(row.device.address);
    const items = list.current?.children;
    const item = items?.[rows.indexOf(row)];
    if (item instanceof HTMLElement) item.focus();
  };
  const toggle = ({ device: { address } }: TreeRow): void => {
    const next = new Set(closed);
    if (!next.delete(address)) next.add(address);
    setClosed(next);
  };
  const onKey = (event: KeyboardEvent, row: TreeRow): void => {
    const at = rows.indexOf(row);
    const isClosed = closed.has(row.device.address);
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === 'ArrowDown') select(rows[at + 1]);
    else if (event.key === 'ArrowUp') select(rows[at - 1]);
    else if (event.key === 'Home') select(rows[0]);
    else if (event.key === 'End') select(rows.at(-1));
    else if (event.key === 'ArrowRight' && row.hasChildren && isClosed) toggle(row);
    else if (event.key === 'ArrowRight' && row.hasChildren) select(rows[at + 1]);
    else if (event.key === 'ArrowLeft' && row.hasChildren && !isClosed) toggle(row);
    else if (event.key === 'ArrowLeft') select(rows.find(({ device }) => device.address === row.above));
    else if (event.key === 'Enter') onDevice(row.device.address);
    else if (event.key === ' ') select(row);
    else return;
    event.preventDefault();
  };

  return (
    <div class="machine">
      <ul class="tree" role="tree" aria-label="Functions below their bridges" ref={list}>
        {rows.map((row) => {
          const { device, level, place, places, hasChildren, group, outline } = row;
          const { address } = device;
          const isClosed = closed.has(address);
          const words = group === undefined ? 'cannot tell' : group.id === null ? (outline === undefined ? 'alone' : short(group.devices[0]!)) : `${group.id}`;
          return (
            <li
              key={address}
              role="treeitem"
              aria-level={level}
              aria-posinset={place}
              aria-setsize={places}
              aria-expanded={hasChildren ? !isClosed : undefined}
              aria-selected={address === selected}
              tabIndex={address === focusable ? 0 : -1}
              class={rowClass(row)}
              style={{ '--level': level, '--outline': outline?.level ?? level }}
              onClick={() => select(row)}
              onKeyDown={(event) => onKey(event, row)}
            >
              <span
                class={hasChildren ? 'twist' : 'twist none'}
                aria-hidden="true"
                onClick={(event) => {
                  if (!hasChildren) return;
                  event.stopPropagation();
                  toggle(row);
                }}
              >
                {hasChildren ? (isClosed ? '▸' : '▾') : ''}
              </span>
              <code>{short(address)}</code>
              <span class="name">{device.description}</span>
              <span class={group === undefined ? 'tag untold' : 'tag'}>
                <span class="aside"> group </span>
                {group === undefined ? <><span aria-hidden="true">?</span><span class="aside">{words}</span></> : words}
              </span>
            </li>
          );
        })}
      </ul>
      <div class="why" aria-live="polite">
        {current === undefined ? (
          <>
            <p class="hint">Functions in one outline are one IOMMU group. Choose a row to see why; Enter gives the whole answer.</p>
            {lost > 0 ? <p class="hint">The text does not tell below which bridge {lost === 1 ? '1 function is' : `${lost} functions are`}.</p> : null}
          </>
        ) : (
          <>
            <h3>
              {current.group === undefined ? 'Its group cannot be told' : groupTitle(current.group)} {current.group !== undefined ? <span class="note">{groupNote(current.group)}</span> : null}
            </h3>
            {current.group !== undefined ? (
              <>
                <p class="addresses">
                  {current.group.devices.map((address) => (
                    <code key={address}>{short(address)} </code>
                  ))}
                </p>
                <GroupWords group={current.group} />
              </>
            ) : null}
            <button type="button" aria-haspopup="dialog" onClick={() => onDevice(current.device.address)}>
              The whole answer for {short(current.device.address)}
            </button>
          </>
        )}
      </div>
    </div>
  );
}

function rowClass({ device: { isBridge }, outline }: TreeRow): string {
  const names = ['row'];
  if (isBridge) names.push('bridge');
  if (outline !== undefined) names.push('outlined', `tint-${outline.tint}`);
  if (outline?.begins === true) names.push('begins');
  if (outline?.ends === true) names.push('ends');
  return names.join(' ');
}
