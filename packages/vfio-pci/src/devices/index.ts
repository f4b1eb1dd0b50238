export * from './edu.ts';
export * from './recorded-function.ts';
