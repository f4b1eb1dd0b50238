export * from './errno.ts';
export * from './struct.ts';
export * from './vfio.ts';
export * from './vfio-names.ts';
export * from './requests/index.ts';
