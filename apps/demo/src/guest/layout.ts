/** Where the guest of the demo keeps its things, in guest physical addresses. The rings of 256 devices end at 0x4050_0000. */
export const GUEST_RAM = { base: 0x4000_0000, size: 0x0060_0000 } as const;

/** The machine that the VMM shows to the guest. */
export const GUEST_GICD = 0x0800_0000;
export const GUEST_GICR = 0x080a_0000;
export const GUEST_ITS = 0x0808_0000;
export const GUEST_TRANSLATER: number = GUEST_ITS + 0x1_0040;
/** Bytes of one redistributor: RD_base and SGI_base. */
export const GUEST_GICR_STRIDE = 0x2_0000;

/** The guest's tables and buffers. */
export const AT = {
  commandQueue: 0x4001_0000,
  propertyTable: 0x4002_0000,
  collectionTable: 0x4003_0000,
  /** One for each vCPU, 64 KiB apart. */
  pendingTables: 0x4008_0000,
  deviceTable: 0x4010_0000,
  /** An interrupt translation table for each device, 4 KiB apart. */
  itts: 0x4020_0000,
  /** How often each LPI was taken: a word for each LPI from 8192 on. */
  counters: 0x4030_0000,
  /** A ring for each device, 4 KiB apart. */
  rings: 0x4040_0000,
} as const;
