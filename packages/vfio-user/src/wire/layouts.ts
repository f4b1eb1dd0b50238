/** The payloads' layouts: `size` is the bytes of the fixed part, offsets count from the end of the header. Little-endian. Those that are the kernel's structs are these. */
export { vfio_device_feature as FEATURE_LAYOUT, vfio_irq_info as IRQ_INFO_LAYOUT, vfio_irq_set as SET_IRQS_LAYOUT } from '@vsim/vfio-core';

/** What every message begins with; here offsets count from its first byte. */
export const HEADER_LAYOUT = { size: 16, id: [0, 'u16'], command: [2, 'u16'], length: [4, 'u32'], flags: [8, 'u32'], error: [12, 'u32'] } as const;
/** VERSION, both ways; a JSON text with a NUL may follow. */
export const VERSION_LAYOUT = { size: 4, major: [0, 'u16'], minor: [2, 'u16'] } as const;
/** DMA_MAP's command. */
export const DMA_MAP_LAYOUT = { size: 32, argsz: [0, 'u32'], flags: [4, 'u32'], offset: [8, 'u64'], iova: [16, 'u64'], length: [24, 'u64'] } as const;
/** DMA_UNMAP, both ways. */
export const DMA_UNMAP_LAYOUT = { size: 24, argsz: [0, 'u32'], flags: [4, 'u32'], iova: [8, 'u64'], length: [16, 'u64'] } as const;
/** DEVICE_GET_INFO, both ways. */
export const DEVICE_INFO_LAYOUT = { size: 16, argsz: [0, 'u32'], flags: [4, 'u32'], regions: [8, 'u32'], irqs: [12, 'u32'] } as const;
/** DEVICE_GET_REGION_INFO, both ways; capabilities may follow in a reply. */
export const REGION_INFO_LAYOUT = {
  size: 32,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  index: [8, 'u32'],
  capOffset: [12, 'u32'],
  length: [16, 'u64'],
  offset: [24, 'u64'],
} as const;
/** DEVICE_GET_REGION_IO_FDS, both ways; sub-regions follow in a reply. */
export const REGION_IO_FDS_LAYOUT = { size: 16, argsz: [0, 'u32'], flags: [4, 'u32'], index: [8, 'u32'], count: [12, 'u32'] } as const;
/** A sub-region of DEVICE_GET_REGION_IO_FDS. */
export const IO_FD_LAYOUT = {
  size: 40,
  offset: [0, 'u64'],
  length: [8, 'u64'],
  fdIndex: [16, 'u32'],
  type: [20, 'u32'],
  flags: [24, 'u32'],
  padding: [28, 'u32'],
  data: [32, 'u64'],
} as const;
/** REGION_READ and REGION_WRITE, both ways; the data follow where they are. */
export const REGION_ACCESS_LAYOUT = { size: 16, offset: [0, 'u64'], region: [8, 'u32'], count: [12, 'u32'] } as const;
/** DMA_READ and DMA_WRITE, both ways; the data follow where they are. */
export const DMA_ACCESS_LAYOUT = { size: 16, iova: [0, 'u64'], count: [8, 'u64'] } as const;
/** DMA_WRITE's reply as the specification's table has it, with a count of 4 bytes. QEMU sends one of 8. */
export const SHORT_DMA_REPLY_LAYOUT = { size: 12, iova: [0, 'u64'], count: [8, 'u32'] } as const;
/** REGION_WRITE_MULTI, both ways; the writes follow in a command. */
export const WRITE_MULTI_LAYOUT = { size: 8, count: [0, 'u64'] } as const;
/** A write of REGION_WRITE_MULTI; its data have room for 8 bytes. */
export const SINGLE_WRITE_LAYOUT = { size: 24, offset: [0, 'u64'], region: [8, 'u32'], count: [12, 'u32'] } as const;
/** MIG_DATA_READ, both ways, and MIG_DATA_WRITE's command; the data follow where they are. */
export const MIG_DATA_LAYOUT = { size: 8, argsz: [0, 'u32'], length: [4, 'u32'] } as const;
