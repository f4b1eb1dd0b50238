/** @vsim/cli: the `vsim` command as a function. */
export { EXIT, type Io } from './io.ts';
export { main, needsRecordings, type Recordings } from './main.ts';
