/** @vsim/cli: the `vsim` command as a function. */
export { EXIT, type Io } from './io.ts';
export type { Recordings } from './context.ts';
export { main, needsRecordings } from './main.ts';
