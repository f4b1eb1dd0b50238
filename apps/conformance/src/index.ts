/** Recordings of real systems, and the replayer that holds the packages to them. */
export * from './recorded-machine.ts';
