/**
 * Which devices can be given to a VM, and why not.
 *
 * @module @vsim/doctor
 */
export * from './errors/index.ts';
export * from './examine.ts';
export * from './facts/acs-enabled.ts';
export * from './facts/completions.ts';
export * from './facts/device-knowledge.ts';
export * from './facts/fact.ts';
export * from './facts/groups.ts';
export * from './facts/iommu.ts';
export * from './facts/know.ts';
export * from './facts/places.ts';
export * from './kernel.ts';
export * from './machine.ts';
export type { OtherKernel } from './other-kernels.ts';
export type * from './read/paste.ts';
export { readPaste } from './read/read-paste.ts';
export { tarEntries, type TreeFile } from './read/tar.ts';
export { readTree } from './read/tree.ts';
export * from './report.ts';
export * from './text/answer.ts';
export { commandBlocks, type CommandBlock, type CommandLine } from './text/commands.ts';
export * from './text/error-lines.ts';
export * from './text/everything.ts';
export * from './text/head.ts';
export * from './text/summary.ts';
export * from './text/tree.ts';
export * from './trial.ts';
export * from './what-if.ts';
