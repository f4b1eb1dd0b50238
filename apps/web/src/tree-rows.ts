/** The tree of bridges as rows, with what is drawn around the members of a group. */
import type { DeviceReport, GroupReport } from '@vsim/doctor';

/** Outlines have so many colours. */
export const TINTS = 8;

/** One function in the tree. */
export interface TreeRow {
  readonly device: DeviceReport;
  /** From 1. */
  readonly level: number;
  /** Its place among those below the same bridge, from 1. */
  readonly place: number;
  /** How many are below that bridge. */
  readonly places: number;
  /** Address of the bridge above; undefined: none is shown. */
  readonly above: string | undefined;
  readonly hasChildren: boolean;
  readonly group: GroupReport | undefined;
  /** Outline of its group; undefined: nobody else is in it, or nobody knows. */
  readonly outline: Outline | undefined;
}

/** A piece of the outline of a group: rows of it that follow each other are in one. */
export interface Outline {
  /** Which colour, from 0. */
  readonly tint: number;
  readonly begins: boolean;
  readonly ends: boolean;
  /** The least level of its rows, where the outline stands. */
  readonly level: number;
}

/** Rows in the order of the tree; what is below a closed bridge is left out. Functions whose place is unknown follow at the first level. */
export function treeRows(devices: readonly DeviceReport[], groups: readonly GroupReport[], closed: ReadonlySet<string>): readonly TreeRow[] {
  const groupOf = new Map(groups.flatMap((group) => group.devices.map((address) => [address, group] as const)));
  const here = new Set(devices.map(({ address }) => address));
  const below = new Map<string, DeviceReport[]>();
  for (const device of devices) {
    const above = aboveOf(device, here) ?? '';
    const there = below.get(above);
    if (there === undefined) below.set(above, [device]);
    else there.push(device);
  }
  const rows: Omit<TreeRow, 'outline'>[] = [];
  const visit = (above: string, level: number): void => {
    const list = below.get(above) ?? [];
    for (const [index, device] of list.entries()) {
      const hasChildren = below.has(device.address);
      rows.push({ device, level, place: index + 1, places: list.length, above: above === '' ? undefined : above, hasChildren, group: groupOf.get(device.address) });
      if (hasChildren && !closed.has(device.address)) visit(device.address, level + 1);
    }
  };
  visit('', 1);
  return outlined(rows, tints(groups));
}

/** The colour of each group that has several members: neighbours differ. */
export function tints(groups: readonly GroupReport[]): ReadonlyMap<GroupReport, number> {
  return new Map(groups.filter(({ devices }) => devices.length > 1).map((group, index) => [group, index % TINTS]));
}

function aboveOf({ address, parent }: DeviceReport, here: ReadonlySet<string>): string | undefined {
  return parent === null || parent === undefined || parent === address || !here.has(parent) ? undefined : parent;
}

function outlined(rows: readonly Omit<TreeRow, 'outline'>[], tintOf: ReadonlyMap<GroupReport, number>): readonly TreeRow[] {
  const out: TreeRow[] = [];
  for (let first = 0; first < rows.length; ) {
    const { group } = rows[first]!;
    const tint = group === undefined ? undefined : tintOf.get(group);
    let next = first + 1;
    while (tint !== undefined && rows[next]?.group === group) next += 1;
    const run = rows.slice(first, next);
    const level = Math.min(...run.map((row) => row.level));
    for (const [index, row] of run.entries()) {
      out.push({ ...row, outline: tint === undefined ? undefined : { tint, begins: index === 0, ends: index === run.length - 1, level } });
    }
    first = next;
  }
  return out;
}
