/** Why type1 refuses a mapping: the rules of VFIO_IOMMU_MAP_DMA. Kernel: vfio_dma_do_map(); catalogue: vfio 2.13. */
import { reason, type Reason } from '../host/reason.ts';
import { hex } from '../memory/u64.ts';
import { E2BIG, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, ENOSPC, EOVERFLOW } from '../uapi/errno.ts';

const MAP = 'VFIO_IOMMU_MAP_DMA';
const DO_MAP = 'vfio_dma_do_map()';

/** A request: addresses and size in bytes. */
export interface MapRequest {
  readonly iova: bigint;
  readonly vaddr: bigint;
  readonly size: bigint;
}

const range = (first: bigint, size: bigint): string => `${hex(first)} to ${hex(first + size - 1n)}`;

export const MAP_FLAGS: Reason<{ readonly flags: number; readonly argsz: number }> = reason({
  id: 'type1/map-flags',
  errno: EINVAL,
  call: MAP,
  rule: 'argsz holds the struct, and flags are READ and WRITE, or VADDR alone',
  kernel: DO_MAP,
  wayOut: 'set argsz to 32 and at least one of READ and WRITE, or VADDR alone',
  text: ({ flags, argsz }) => `flags ${hex(flags)} with argsz ${argsz}`,
});

export const MAP_ALIGNMENT: Reason<MapRequest & { readonly pageSize: bigint; readonly wrong: 'iova' | 'vaddr' | 'size' }> = reason({
  id: 'type1/map-alignment',
  errno: EINVAL,
  call: MAP,
  rule: 'iova, vaddr and size are multiples of the smallest page size of the container, and size is not 0',
  kernel: DO_MAP,
  wayOut: 'align all three to the smallest bit of iova_pgsizes in VFIO_IOMMU_GET_INFO',
  text: ({ wrong, pageSize, ...request }) => `${wrong} ${hex(request[wrong])} is not a multiple of the page size ${hex(pageSize)}, or nothing`,
});

export const MAP_OVERFLOW: Reason<MapRequest> = reason({
  id: 'type1/map-overflow',
  errno: [EINVAL, EOVERFLOW],
  call: MAP,
  rule: 'neither iova + size nor vaddr + size passes 2^64',
  kernel: DO_MAP,
  wayOut: 'map less, or lower',
  text: ({ iova, vaddr, size }) => `iova ${hex(iova)} or vaddr ${hex(vaddr)} with size ${hex(size)} passes 2^64`,
});

export const MAP_OVERLAP: Reason<MapRequest & { readonly mapping: { readonly iova: bigint; readonly size: bigint } }> = reason({
  id: 'type1/map-overlap',
  errno: EEXIST,
  call: MAP,
  rule: 'no byte of the range is mapped already',
  kernel: DO_MAP,
  wayOut: 'unmap what is there first',
  text: ({ iova, size, mapping }) => `${range(iova, size)} overlaps the mapping ${range(mapping.iova, mapping.size)}`,
});

export const MAP_LIMIT: Reason<{ readonly limit: number }> = reason({
  id: 'type1/map-limit',
  errno: ENOSPC,
  call: MAP,
  rule: 'a container has at most dma_entry_limit mappings',
  kernel: DO_MAP,
  wayOut: 'make fewer and larger mappings, or raise /sys/module/vfio_iommu_type1/parameters/dma_entry_limit before VFIO_SET_IOMMU',
  text: ({ limit }) => `the container has its ${limit} mappings`,
});

export const MAP_RESERVED: Reason<MapRequest & { readonly available: readonly { readonly first: bigint; readonly last: bigint }[] }> = reason({
  id: 'type1/map-reserved',
  errno: EINVAL,
  call: MAP,
  rule: 'the range lies in one of the windows that the IOMMU leaves free: reserved regions and what is past the aperture are not',
  kernel: 'vfio_iommu_iova_dma_valid()',
  wayOut: 'choose iovas out of the ranges in the capability IOVA_RANGE of VFIO_IOMMU_GET_INFO',
  text: ({ iova, size, available }) =>
    `${range(iova, size)} leaves the free windows ${available.map(({ first, last }) => `${hex(first)} to ${hex(last)}`).join(', ')}`,
});

export const MAP_MEMORY: Reason<{ readonly vaddr: bigint; readonly write: boolean }> = reason({
  id: 'type1/map-memory',
  errno: EFAULT,
  call: MAP,
  rule: 'every page behind vaddr is there, and is writable where the device may write',
  kernel: 'vaddr_get_pfns()',
  wayOut: 'map the memory first, with the protection that the mapping asks for',
  text: ({ vaddr, write }) => `no ${write ? 'writable ' : ''}page at vaddr ${hex(vaddr)}`,
});

export const MAP_MEMLOCK: Reason<{ readonly task: string; readonly locked: number; readonly wanted: number; readonly limit: number }> = reason({
  id: 'type1/map-memlock',
  errno: ENOMEM,
  call: MAP,
  rule: 'locked pages stay within RLIMIT_MEMLOCK, unless the process has CAP_IPC_LOCK',
  kernel: 'vfio_lock_acct()',
  wayOut: 'raise RLIMIT_MEMLOCK (ulimit -l) by what is missing',
  text: ({ task, locked, wanted, limit }) =>
    `${task} has ${locked * 4} KiB locked and wants ${wanted * 4} KiB more: ${(locked + wanted - limit) * 4} KiB over the limit of ${limit * 4} KiB`,
});

export const MAP_NO_VADDR: Reason<MapRequest> = reason({
  id: 'type1/map-no-vaddr',
  errno: ENOENT,
  call: MAP,
  rule: 'with VADDR there is a mapping at iova',
  kernel: DO_MAP,
  wayOut: 'give the iova and size of a mapping whose vaddr was invalidated',
  text: ({ iova, size }) => `nothing is mapped in ${range(iova, size)}`,
});

export const MAP_VADDR_VALID: Reason<MapRequest & { readonly mapping: { readonly iova: bigint; readonly size: bigint }; readonly valid: boolean }> = reason({
  id: 'type1/map-vaddr-valid',
  errno: EINVAL,
  call: MAP,
  rule: 'with VADDR the range is exactly that of a mapping whose vaddr was invalidated',
  kernel: DO_MAP,
  wayOut: 'invalidate it by VFIO_IOMMU_UNMAP_DMA with VADDR first, and give the same range',
  text: ({ iova, size, mapping, valid }) =>
    `${range(iova, size)} meets the mapping ${range(mapping.iova, mapping.size)}, whose vaddr is ${valid ? 'valid' : 'invalid'}`,
});

/** Anything that user space hands to the kernel and that cannot be read or written. */
export const ARGUMENT_FAULT: Reason<{ readonly request: string }> = reason({
  id: 'uapi/argument-fault',
  errno: [EFAULT, E2BIG],
  call: 'any request',
  rule: 'the argument points to readable and writable memory of the whole struct',
  kernel: 'copy_from_user(), copy_to_user()',
  wayOut: 'pass a pointer to memory of the process that holds all of argsz',
  text: ({ request }) => `the argument of ${request} cannot be read or written`,
});
