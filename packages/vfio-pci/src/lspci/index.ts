export { configOfFacts, type ResetCapabilities } from './config-of-facts.ts';
export { DecodedLines } from './decoded-lines.ts';
export type { LspciRegion } from './decoded.ts';
export * from './dump.ts';
export * from './machine.ts';
export * from './parse.ts';
export * from './text-error.ts';
