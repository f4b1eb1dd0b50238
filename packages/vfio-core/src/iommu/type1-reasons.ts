/** Why type1 refuses: mappings, unmaps, dirty bitmaps, groups. Kernel: vfio_iommu_type1.c. */
import { reason, type Reason } from '../host/reason.ts';
import { hex } from '../memory/u64.ts';
import { EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, EOVERFLOW, EPERM } from '../uapi/errno.ts';

const MAP = 'VFIO_IOMMU_MAP_DMA';
const DO_MAP = 'vfio_dma_do_map()';

/** What MAP_DMA was asked, in the reasons that refuse it. */
export interface MapRequest {
  /** The first IOVA, in bytes. */
  readonly iova: bigint;
  /** The address in the process, in bytes. */
  readonly vaddr: bigint;
  /** In bytes. */
  readonly size: bigint;
}

const range = (first: bigint, size: bigint): string => `${hex(first)} to ${hex(first + size - 1n)}`;

/**
 * Refusal of VFIO_IOMMU_MAP_DMA (EINVAL). The rule: argsz holds the struct, and flags are READ and WRITE, or VADDR alone. Kernel:
 * vfio_dma_do_map().
 */
export const MAP_FLAGS: Reason<{ readonly flags: number; readonly argsz: number }> = reason({
  id: 'type1/map-flags',
  errno: EINVAL,
  call: MAP,
  rule: 'argsz holds the struct, and flags are READ and WRITE, or VADDR alone',
  kernel: DO_MAP,
  wayOut: 'set argsz to 32 and at least one of READ and WRITE, or VADDR alone',
  text: ({ flags, argsz }) => `flags ${hex(flags)} with argsz ${argsz}`,
});

/**
 * Refusal of VFIO_IOMMU_MAP_DMA (EINVAL). The rule: iova, vaddr and size are multiples of the smallest page size of the container, and size
 * is not 0. Kernel: vfio_dma_do_map().
 */
export const MAP_ALIGNMENT: Reason<MapRequest & { readonly pageSize: bigint; readonly wrong: 'iova' | 'vaddr' | 'size' }> = reason({
  id: 'type1/map-alignment',
  errno: EINVAL,
  call: MAP,
  rule: 'iova, vaddr and size are multiples of the smallest page size of the container, and size is not 0',
  kernel: DO_MAP,
  wayOut: 'align all three to the smallest bit of iova_pgsizes in VFIO_IOMMU_GET_INFO',
  text: ({ wrong, pageSize, ...request }) => `${wrong} ${hex(request[wrong])} is not a multiple of the page size ${hex(pageSize)}, or nothing`,
});

/**
 * Refusal of VFIO_IOMMU_MAP_DMA (EINVAL or EOVERFLOW). The rule: neither iova + size nor vaddr + size passes 2^64. Kernel:
 * vfio_dma_do_map().
 */
export const MAP_OVERFLOW: Reason<MapRequest> = reason({
  id: 'type1/map-overflow',
  errno: [EINVAL, EOVERFLOW],
  call: MAP,
  rule: 'neither iova + size nor vaddr + size passes 2^64',
  kernel: DO_MAP,
  wayOut: 'map less, or lower',
  text: ({ iova, vaddr, size }) => `iova ${hex(iova)} or vaddr ${hex(vaddr)} with size ${hex(size)} passes 2^64`,
});

/** Refusal of VFIO_IOMMU_MAP_DMA (EEXIST). The rule: no byte of the range is mapped already. Kernel: vfio_dma_do_map(). */
export const MAP_OVERLAP: Reason<MapRequest & { readonly mapping: { readonly iova: bigint; readonly size: bigint } }> = reason({
  id: 'type1/map-overlap',
  errno: EEXIST,
  call: MAP,
  rule: 'no byte of the range is mapped already',
  kernel: DO_MAP,
  wayOut: 'unmap what is there first',
  text: ({ iova, size, mapping }) => `${range(iova, size)} overlaps the mapping ${range(mapping.iova, mapping.size)}`,
});

/** Refusal of VFIO_IOMMU_MAP_DMA (ENOSPC). The rule: a container has at most dma_entry_limit mappings. Kernel: vfio_dma_do_map(). */
export const MAP_LIMIT: Reason<{ readonly limit: number }> = reason({
  id: 'type1/map-limit',
  errno: ENOSPC,
  call: MAP,
  rule: 'a container has at most dma_entry_limit mappings',
  kernel: DO_MAP,
  wayOut: 'make fewer and larger mappings, or raise /sys/module/vfio_iommu_type1/parameters/dma_entry_limit before VFIO_SET_IOMMU',
  text: ({ limit }) => `the container has its ${limit} mappings`,
});

/**
 * Refusal of VFIO_IOMMU_MAP_DMA (EINVAL). The rule: the range lies in one of the windows that the IOMMU leaves free: reserved regions and
 * what is past the aperture are not. Kernel: vfio_iommu_iova_dma_valid().
 */
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

/**
 * Refusal of VFIO_IOMMU_MAP_DMA (EFAULT). The rule: every page behind vaddr is there, and is writable where the device may write. Kernel:
 * vaddr_get_pfns().
 */
export const MAP_MEMORY: Reason<{ readonly vaddr: bigint; readonly write: boolean }> = reason({
  id: 'type1/map-memory',
  errno: EFAULT,
  call: MAP,
  rule: 'every page behind vaddr is there, and is writable where the device may write',
  kernel: 'vaddr_get_pfns()',
  wayOut: 'map the memory first, with the protection that the mapping asks for',
  text: ({ vaddr, write }) => `no ${write ? 'writable ' : ''}page at vaddr ${hex(vaddr)}`,
});

/**
 * Refusal of VFIO_IOMMU_MAP_DMA (ENOMEM). The rule: locked pages stay within RLIMIT_MEMLOCK, unless the process has CAP_IPC_LOCK. Kernel:
 * vfio_lock_acct().
 */
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

/** Refusal of VFIO_IOMMU_MAP_DMA (ENOENT). The rule: with VADDR there is a mapping at iova. Kernel: vfio_dma_do_map(). */
export const MAP_NO_VADDR: Reason<MapRequest> = reason({
  id: 'type1/map-no-vaddr',
  errno: ENOENT,
  call: MAP,
  rule: 'with VADDR there is a mapping at iova',
  kernel: DO_MAP,
  wayOut: 'give the iova and size of a mapping whose vaddr was invalidated',
  text: ({ iova, size }) => `nothing is mapped in ${range(iova, size)}`,
});

/**
 * Refusal of VFIO_IOMMU_MAP_DMA (EINVAL). The rule: with VADDR the range is exactly that of a mapping whose vaddr was invalidated. Kernel:
 * vfio_dma_do_map().
 */
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

const UNMAP = 'VFIO_IOMMU_UNMAP_DMA';
const DO_UNMAP = 'vfio_dma_do_unmap()';

interface Range {
  readonly iova: bigint;
  readonly size: bigint;
}

/**
 * Refusal of VFIO_IOMMU_UNMAP_DMA (EINVAL). The rule: flags are known to this kernel, and GET_DIRTY_BITMAP goes with neither ALL nor VADDR.
 * Kernel: vfio_dma_do_unmap().
 */
export const UNMAP_FLAGS: Reason<{ readonly flags: number }> = reason({
  id: 'type1/unmap-flags',
  errno: EINVAL,
  call: UNMAP,
  rule: 'flags are known to this kernel, and GET_DIRTY_BITMAP goes with neither ALL nor VADDR',
  kernel: DO_UNMAP,
  wayOut: 'ask VFIO_CHECK_EXTENSION for VFIO_UNMAP_ALL and VFIO_UPDATE_VADDR first',
  text: ({ flags }) => `flags ${hex(flags)}`,
});

/**
 * Refusal of VFIO_IOMMU_UNMAP_DMA (EINVAL or EOVERFLOW). The rule: iova and size are multiples of the smallest page size, size is not 0,
 * and the end does not pass 2^64; with ALL both are 0. Kernel: vfio_dma_do_unmap().
 */
export const UNMAP_RANGE: Reason<Range & { readonly pageSize: bigint; readonly all: boolean }> = reason({
  id: 'type1/unmap-range',
  errno: [EINVAL, EOVERFLOW],
  call: UNMAP,
  rule: 'iova and size are multiples of the smallest page size, size is not 0, and the end does not pass 2^64; with ALL both are 0',
  kernel: DO_UNMAP,
  wayOut: 'align both to the smallest bit of iova_pgsizes in VFIO_IOMMU_GET_INFO',
  text: ({ iova, size, pageSize, all }) => `iova ${hex(iova)} and size ${hex(size)}${all ? ' with ALL' : ''}, where the page size is ${hex(pageSize)}`,
});

/**
 * Refusal of VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_DIRTY_PAGES GET_BITMAP (EINVAL). The rule: the range (type 1 v2) begins and ends inside no
 * mapping. Kernel: vfio_dma_do_unmap().
 */
export const UNMAP_CUTS: Reason<Range & { readonly mapping: Range | undefined }> = reason({
  id: 'type1/unmap-cuts',
  errno: EINVAL,
  call: `${UNMAP}, VFIO_IOMMU_DIRTY_PAGES GET_BITMAP`,
  rule: 'the range (type 1 v2) begins and ends inside no mapping',
  kernel: DO_UNMAP,
  wayOut: 'take whole mappings, or make smaller ones',
  text: ({ iova, size, mapping }) => `${range(iova, size)} would cut ${mapping === undefined ? 'a mapping' : `the mapping ${range(mapping.iova, mapping.size)}`}`,
});

/**
 * Refusal of VFIO_IOMMU_UNMAP_DMA with VADDR (EINVAL). The rule: the vaddr of each mapping in the range is valid. Kernel:
 * vfio_dma_do_unmap().
 */
export const VADDR_INVALID: Reason<Range> = reason({
  id: 'type1/vaddr-invalid',
  errno: EINVAL,
  call: `${UNMAP} with VADDR`,
  rule: 'the vaddr of each mapping in the range is valid',
  kernel: DO_UNMAP,
  wayOut: 'give it a new one by VFIO_IOMMU_MAP_DMA with VADDR first',
  text: ({ iova, size }) => `the mapping ${range(iova, size)} has no valid vaddr already`,
});

/**
 * Refusal of VFIO_IOMMU_UNMAP_DMA with VADDR, VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU (EBUSY). The rule: no emulated device (mdev) is in a
 * container in which a vaddr is invalid, as it could wait for ever for a page. Kernel: vfio_dma_do_unmap(),
 * vfio_iommu_type1_attach_group().
 */
export const VADDR_EMULATED: Reason<{ readonly groups: readonly number[] }> = reason({
  id: 'type1/vaddr-emulated',
  errno: EBUSY,
  call: `${UNMAP} with VADDR, VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU`,
  rule: 'no emulated device (mdev) is in a container in which a vaddr is invalid, as it could wait for ever for a page',
  kernel: `${DO_UNMAP}, vfio_iommu_type1_attach_group()`,
  wayOut: 'make the vaddrs valid, or take the emulated devices out of the container, first',
  text: ({ groups }) => (groups.length === 0 ? 'a vaddr of the container is invalid' : `group ${groups.join(', ')} is emulated`),
});

/**
 * Refusal of VFIO_IOMMU_DIRTY_PAGES GET_BITMAP, VFIO_IOMMU_UNMAP_DMA with GET_DIRTY_BITMAP (EINVAL). The rule: pgsize of the bitmap is the
 * smallest of the container, and its size has a bit for each page, in whole u64s, up to 256 MiB. Kernel: verify_bitmap_size().
 */
export const BITMAP: Reason<{ readonly bytes: bigint; readonly pageSize: bigint; readonly range: bigint; readonly containerPage: bigint }> = reason({
  id: 'type1/bitmap',
  errno: EINVAL,
  call: 'VFIO_IOMMU_DIRTY_PAGES GET_BITMAP, VFIO_IOMMU_UNMAP_DMA with GET_DIRTY_BITMAP',
  rule: 'pgsize of the bitmap is the smallest of the container, and its size has a bit for each page, in whole u64s, up to 256 MiB',
  kernel: 'verify_bitmap_size()',
  wayOut: 'take pgsize and the limit from the capability MIGRATION of VFIO_IOMMU_GET_INFO',
  text: ({ bytes, pageSize, range: size, containerPage }) =>
    `${bytes} bytes with pgsize ${hex(pageSize)} for ${hex(size)} bytes of iova, where the page size is ${hex(containerPage)}`,
});

/**
 * Refusal of VFIO_IOMMU_DIRTY_PAGES (EINVAL). The rule: flags are exactly one of START, STOP and GET_BITMAP. Kernel:
 * vfio_iommu_type1_dirty_pages().
 */
export const DIRTY_FLAGS: Reason<{ readonly flags: number }> = reason({
  id: 'type1/dirty-flags',
  errno: EINVAL,
  call: 'VFIO_IOMMU_DIRTY_PAGES',
  rule: 'flags are exactly one of START, STOP and GET_BITMAP',
  kernel: 'vfio_iommu_type1_dirty_pages()',
  wayOut: 'make one call for each',
  text: ({ flags }) => `flags ${hex(flags)}`,
});

/**
 * Refusal of VFIO_IOMMU_DIRTY_PAGES GET_BITMAP (EINVAL or EOVERFLOW). The rule: iova and size are multiples of the smallest page size, size
 * is not 0, and the end does not pass 2^64. Kernel: vfio_iommu_type1_dirty_pages().
 */
export const DIRTY_RANGE: Reason<Range & { readonly pageSize: bigint }> = reason({
  id: 'type1/dirty-range',
  errno: [EINVAL, EOVERFLOW],
  call: 'VFIO_IOMMU_DIRTY_PAGES GET_BITMAP',
  rule: 'iova and size are multiples of the smallest page size, size is not 0, and the end does not pass 2^64',
  kernel: 'vfio_iommu_type1_dirty_pages()',
  wayOut: 'align both to the smallest bit of iova_pgsizes in VFIO_IOMMU_GET_INFO',
  text: ({ iova, size, pageSize }) => `iova ${hex(iova)} and size ${hex(size)}, where the page size is ${hex(pageSize)}`,
});

/**
 * Refusal of VFIO_IOMMU_DIRTY_PAGES GET_BITMAP, VFIO_IOMMU_UNMAP_DMA with GET_DIRTY_BITMAP (EINVAL). The rule: dirty tracking is on.
 * Kernel: vfio_iommu_type1_dirty_pages().
 */
export const DIRTY_OFF: Reason<{ readonly request: string; readonly iova: bigint; readonly size: bigint }> = reason({
  id: 'type1/dirty-off',
  errno: EINVAL,
  call: 'VFIO_IOMMU_DIRTY_PAGES GET_BITMAP, VFIO_IOMMU_UNMAP_DMA with GET_DIRTY_BITMAP',
  rule: 'dirty tracking is on',
  kernel: 'vfio_iommu_type1_dirty_pages()',
  wayOut: 'VFIO_IOMMU_DIRTY_PAGES with START first',
  text: ({ request, iova, size }) => `${request} asks for a bitmap of ${hex(size)} bytes at ${hex(iova)}, and dirty tracking is off`,
});

/**
 * Refusal of VFIO_IOMMU_DIRTY_PAGES START, VFIO_IOMMU_MAP_DMA (EINVAL or ENOMEM). The rule: bitmaps of dirty pages take at most 256 MiB (of
 * this model: all of them; of a kernel: each). Kernel: vfio_dma_bitmap_alloc().
 */
export const DIRTY_LIMIT: Reason<{ readonly bytes: number; readonly limit: number }> = reason({
  id: 'type1/dirty-limit',
  errno: [EINVAL, ENOMEM],
  call: 'VFIO_IOMMU_DIRTY_PAGES START, VFIO_IOMMU_MAP_DMA',
  rule: 'bitmaps of dirty pages take at most 256 MiB (of this model: all of them; of a kernel: each)',
  kernel: 'vfio_dma_bitmap_alloc()',
  wayOut: 'make smaller mappings',
  text: ({ bytes, limit }) => `bitmaps of ${bytes} bytes, and ${limit} is the most`,
});

/**
 * Refusal of VFIO_IOMMU_DIRTY_PAGES, pages pinned by emulated devices (EACCES). The rule: the container is of type 1 v2. Kernel:
 * vfio_iommu_type1_dirty_pages(), vfio_iommu_type1_pin_pages().
 */
export const DIRTY_V1: Reason<{ readonly request: string }> = reason({
  id: 'type1/v1',
  errno: EACCES,
  call: 'VFIO_IOMMU_DIRTY_PAGES, pages pinned by emulated devices',
  rule: 'the container is of type 1 v2',
  kernel: 'vfio_iommu_type1_dirty_pages(), vfio_iommu_type1_pin_pages()',
  wayOut: 'VFIO_SET_IOMMU with VFIO_TYPE1v2_IOMMU (3)',
  text: ({ request }) => `${request} is not for a container of type 1 v1`,
});

const ATTACH = 'VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU';
const DO_ATTACH = 'vfio_iommu_type1_attach_group()';

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU (EINVAL). The rule: the group is new to the container, and its devices are of one
 * bus. Kernel: vfio_iommu_type1_attach_group().
 */
export const ATTACH_BUSES: Reason<{ readonly group: number; readonly buses: readonly string[] }> = reason({
  id: 'type1/attach-buses',
  errno: EINVAL,
  call: ATTACH,
  rule: 'the group is new to the container, and its devices are of one bus',
  kernel: DO_ATTACH,
  wayOut: 'there is none for a group of several buses',
  text: ({ group, buses }) => `group ${group} has devices of ${buses.join(', ') || 'no bus'}`,
});

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU (EBUSY). The rule: nobody else has attached a domain to the group. Kernel:
 * iommu_attach_group().
 */
export const ATTACH_DOMAIN: Reason<{ readonly group: number }> = reason({
  id: 'type1/attach-domain',
  errno: EBUSY,
  call: ATTACH,
  rule: 'nobody else has attached a domain to the group',
  kernel: 'iommu_attach_group()',
  wayOut: 'end the other user of the group',
  text: ({ group }) => `group ${group} has a domain of somebody else`,
});

/**
 * Refusal of VFIO_SET_IOMMU with VFIO_TYPE1_NESTING_IOMMU (ENODEV, EINVAL or EPERM). The rule: the IOMMU of each group can nest. Kernel:
 * vfio_iommu_type1_attach_group().
 */
export const ATTACH_NESTING: Reason<{ readonly group: number }> = reason({
  id: 'type1/attach-nesting',
  errno: [ENODEV, EINVAL, EPERM],
  call: 'VFIO_SET_IOMMU with VFIO_TYPE1_NESTING_IOMMU',
  rule: 'the IOMMU of each group can nest',
  kernel: DO_ATTACH,
  wayOut: 'take VFIO_TYPE1v2_IOMMU (3)',
  text: ({ group }) => `the IOMMU of group ${group} cannot nest`,
});

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU (EINVAL). The rule: what is mapped lies where the IOMMU of the new group can map:
 * inside its aperture, outside its reserved regions. Kernel: vfio_iommu_aper_conflict(), vfio_iommu_resv_conflict().
 */
export const ATTACH_WINDOWS: Reason<{ readonly group: number; readonly mapping: Range | undefined }> = reason({
  id: 'type1/attach-windows',
  errno: EINVAL,
  call: ATTACH,
  rule: 'what is mapped lies where the IOMMU of the new group can map: inside its aperture, outside its reserved regions',
  kernel: 'vfio_iommu_aper_conflict(), vfio_iommu_resv_conflict()',
  wayOut: 'attach all groups before mapping, or unmap what is in the way',
  text: ({ group, mapping }) =>
    mapping === undefined ? `group ${group} leaves no iova for the container` : `the mapping ${range(mapping.iova, mapping.size)} is where group ${group} cannot map`,
});

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU (EPERM). The rule: interrupts are remapped or isolated, as else a device could raise
 * any interrupt of the host. Kernel: vfio_iommu_type1_attach_group().
 */
export const UNSAFE_INTERRUPTS: Reason<{ readonly group: number }> = reason({
  id: 'type1/unsafe-interrupts',
  errno: EPERM,
  call: ATTACH,
  rule: 'interrupts are remapped or isolated, as else a device could raise any interrupt of the host',
  kernel: DO_ATTACH,
  wayOut: 'switch interrupt remapping on in the firmware, or load vfio_iommu_type1 with allow_unsafe_interrupts=1',
  text: ({ group }) => `the interrupts of group ${group} are not isolated`,
});

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU, pages pinned by emulated devices (5.13) (EFAULT). The rule: an invalid vaddr becomes
 * valid before the container is closed or the thread is killed. Kernel: vfio_wait().
 */
export const VADDR_WAIT: Reason<{ readonly invalid: number }> = reason({
  id: 'type1/vaddr-wait',
  errno: EFAULT,
  call: `${ATTACH}, pages pinned by emulated devices (5.13)`,
  rule: 'an invalid vaddr becomes valid before the container is closed or the thread is killed',
  kernel: 'vfio_wait()',
  wayOut: 'give the mapping its new vaddr',
  text: ({ invalid }) => `the vaddr of ${invalid} mappings of the container stayed invalid`,
});

/**
 * Refusal of what an emulated device does: pin pages, copy from and to them (EINVAL, EPERM, EFAULT, EBUSY or EOVERFLOW). The rule: the
 * pages are mapped, valid, with the rights that the device wants, and the device can be told of an unmap. Kernel:
 * vfio_iommu_type1_pin_pages(), vfio_iommu_type1_dma_rw().
 */
export const PIN_REFUSED: Reason<{ readonly iova: number; readonly what: string }> = reason({
  id: 'type1/pin',
  errno: [EINVAL, EPERM, EFAULT, EBUSY, EOVERFLOW],
  call: 'what an emulated device does: pin pages, copy from and to them',
  rule: 'the pages are mapped, valid, with the rights that the device wants, and the device can be told of an unmap',
  kernel: 'vfio_iommu_type1_pin_pages(), vfio_iommu_type1_dma_rw()',
  wayOut: 'map what the device is told to access, with READ and WRITE',
  text: ({ iova, what }) => `iova ${hex(iova)}: ${what}`,
});
