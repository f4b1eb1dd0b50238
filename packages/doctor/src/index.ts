/**
 * Which devices can be given to a VM, and why not.
 *
 * @module @vsim/doctor
 */
export * from './doctor.ts';
export * from './errors/index.ts';
export * from './machine.ts';
export type * from './read/paste.ts';
export { readPaste } from './read/read-paste.ts';
export { tarEntries, type TreeFile } from './read/tar.ts';
export { readTree } from './read/tree.ts';
export * from './report-lines.ts';
export * from './trial.ts';
