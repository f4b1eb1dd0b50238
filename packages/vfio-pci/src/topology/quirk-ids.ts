import type { Era } from './kernel-version.ts';

/** Device ids: single ones, and ranges with both ends. */
export type QuirkIds = readonly (number | readonly [first: number, last: number])[];

/** One line of a table: ids of one vendor that Linux treats alike. */
export interface QuirkRow extends Era {
  /** Vendor ID, 16 bits. */
  readonly vendor: number;
  /** Its devices. */
  readonly ids: QuirkIds;
}

/** Whether a row names a device. */
export function names({ vendor, ids }: QuirkRow, facts: { readonly vendor: number; readonly device: number }): boolean {
  const { device } = facts;
  return vendor === facts.vendor && ids.some((id) => (typeof id === 'number' ? id === device : id[0] <= device && device <= id[1]));
}

/** All device ids of some rows, in ascending order. */
export function idsOf(rows: readonly QuirkRow[]): readonly number[] {
  const ids = rows.flatMap((row) => row.ids).flatMap((id) => (typeof id === 'number' ? [id] : Array.from({ length: id[1] - id[0] + 1 }, (_, i) => id[0] + i)));
  return [...new Set(ids)].sort((a, b) => a - b);
}
