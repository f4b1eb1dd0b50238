/** @vsim/conformance: recordings of real systems, and the replayer that holds the packages to them. */
export { REPLAY_USAGE, replayCommand, type CommandIo } from './cli-replay.ts';
export { MalformedRecording } from './json.ts';
export { recordedMachine } from './recorded-machine.ts';
export { RECORDINGS, UnreadableFile, findRecordings, replayCases, replayFile, type FileReport, type ReplayFileOptions } from './replay.ts';
export { UnreadableText, readBytes, readText, reading } from './read-text.ts';
export type { CaseReport, Divergence } from './report.ts';
export { fromHex, toHex, type Fields } from './json.ts';
export { deviceOf, parseHost, textOrNull } from './recorded-machine.ts';
export { readRecording, topologyMachine, topologyNames, topologyText } from './recorded-topology.ts';
