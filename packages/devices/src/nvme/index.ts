export * from './controller.ts';
export * from './create-nvme.ts';
export * from './events.ts';
export type { NvmeInit } from './limits.ts';
export type { NvmeNamespaceInit } from './namespace.ts';
export * from './opcodes.ts';
export * from './registers.ts';
export { NVME_DNR, NVME_STATUS, NVME_STATUS_CODE } from './status.ts';
export * from './vfio-nvme.ts';
