export * from './coordinator.ts';
export * from './data-file.ts';
export * from './migration-driver.ts';
export * from './region-v1.ts';
export { SectionReader, StreamError, decodeStream, encodeStream, type Section } from './stream.ts';
export * from './stop-copy.ts';
