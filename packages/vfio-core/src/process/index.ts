export * from './process-reasons.ts';
export * from './event-fd-file.ts';
export * from './file.ts';
export * from './memfd-file.ts';
export * from './mm.ts';
export * from './process.ts';
export * from './user-argument.ts';
