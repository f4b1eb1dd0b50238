export * from './find-errors.ts';
export type { ErrorCause, ErrorSource, KnownError, Printer } from './known-error.ts';
