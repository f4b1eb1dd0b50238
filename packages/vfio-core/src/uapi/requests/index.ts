/**
 * The typed layer over the requests of linux/vfio.h: each function builds the struct, makes the call and reads the answer.
 *
 * They need only something that has ioctl(), and some mmap(): a Process of the model, or a binding to a real kernel.
 */
export type { InfoCapability, IoctlCaller, MemoryCaller, UserBuffer } from './caller.ts';
export * from './device.ts';
export * from './dma.ts';
export * from './features.ts';
export * from './irqs.ts';
export * from './resets.ts';
