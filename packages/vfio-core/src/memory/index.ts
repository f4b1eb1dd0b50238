export * from './address-space.ts';
export * from './cpu-cache.ts';
export * from './memory.ts';
export * from './page-allocator.ts';
export * from './physical-memory.ts';
export * from './u64.ts';
