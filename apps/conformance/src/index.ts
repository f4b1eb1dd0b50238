/** @vsim/conformance: recordings of real systems, and the replayer that holds the packages to them. */
export { replay, ReplayError, type ReplayChoices, type ReplayIo } from './replay-report.ts';
export type { MakeServed, WatchHosts } from './format.ts';
export { MalformedRecording } from './json.ts';
export { recordedMachine } from './recorded-machine.ts';
export { RECORDINGS, UnreadableFile, findRecordings, replayCases, replayFile, type FileReport, type ReplayFileOptions } from './replay.ts';
export type { CaseReport, Divergence } from './report.ts';
export type { Fields } from './json.ts';
export { readRecording, topologyMachine, topologyNames, topologyText } from './recorded-topology.ts';
