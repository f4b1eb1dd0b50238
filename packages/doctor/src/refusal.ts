/** Errors in a text after which a device cannot be given to a VM as things are. */
import type { ErrorReport } from './report.ts';

/** What stands in the way of a device, by an error that names it. */
export interface Refusal {
  /** A sentence without its full stop, with the line of the error. */
  readonly because: string;
  /** What to do first, without its full stop. */
  readonly otherwise: string | undefined;
  /** Whether it passes: what holds the device can be sent away, or a power cycle wakes it. */
  readonly forNow: boolean;
}

interface Row {
  readonly because: string;
  readonly forNow: boolean;
}

const REFUSALS: ReadonlyMap<string, Row> = new Map([
  ['one-to-one-mapping', { because: 'its firmware demands a 1:1 mapping of memory for it, and the kernel attaches it to nobody', forNow: false }],
  ['rmrr-locked', { because: 'its firmware demands a 1:1 mapping of memory for it (RMRR), and the kernel attaches it to nobody', forNow: false }],
  ['bar-reserved', { because: 'somebody else on the host has addresses of its BARs', forNow: true }],
  ['stuck-in-d3', { because: 'it does not come back from D3', forNow: true }],
  ['device-inaccessible', { because: 'it does not answer', forNow: true }],
  ['registers-read-as-ones', { because: 'it does not answer: its registers read as ones', forNow: true }],
  ['not-ready-after-reset', { because: 'it did not come back from a reset', forNow: true }],
]);

/** Finds the first error that names a function and stands in its way. @param address with its domain */
export function refusalOf(address: string, errors: readonly ErrorReport[]): Refusal | undefined {
  const error = errors.find(({ id, devices }) => devices.includes(address) && REFUSALS.has(id));
  const row = error === undefined ? undefined : REFUSALS.get(error.id);
  if (error === undefined || row === undefined) return undefined;
  // Where the text shows who has the addresses, nobody has to look for it.
  const holders = error.id === 'bar-reserved' ? error.here.find((each) => each.startsWith('/proc/iomem')) : undefined;
  const remedy = error.remedies[holders === undefined ? 0 : 1];
  return { because: `${row.because}${holders === undefined ? '' : `: ${holders}`} (line ${error.line})`, otherwise: remedy?.replace(/\.$/, ''), forNow: row.forNow };
}
