export * from './edu.ts';
export * from './recorded-function.ts';
export * from './virtual-function-config.ts';
