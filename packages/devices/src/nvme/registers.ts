/** Registers of the controller, in BAR 0. Reference: NVM Express Base 1.4, 3.1. */

/** Offsets, in bytes. CAP, ASQ and ACQ have 64 bits, the others 32. */
export const NVME_REGISTER = {
  /** Controller Capabilities. */
  CAP: 0x00,
  /** Version. */
  VS: 0x08,
  /** Interrupt Mask Set. */
  INTMS: 0x0c,
  /** Interrupt Mask Clear. */
  INTMC: 0x10,
  /** Controller Configuration. */
  CC: 0x14,
  /** Controller Status. */
  CSTS: 0x1c,
  /** NVM Subsystem Reset: not announced, reads 0. */
  NSSR: 0x20,
  /** Admin Queue Attributes. */
  AQA: 0x24,
  /** Admin Submission Queue Base Address. */
  ASQ: 0x28,
  /** Admin Completion Queue Base Address. */
  ACQ: 0x30,
  /** The first doorbell: tail of the admin submission queue. */
  DOORBELLS: 0x1000,
} as const;

/** What VS reads: 1.4. */
export const NVME_VERSION = 0x0001_0400;

/** CC, bit 0: Enable. */
export const NVME_CC_EN = 1;
/** CC, bits 6:4: I/O Command Set Selected; 0 is the NVM command set. */
export const NVME_CC_CSS = 0x70;
/** CC, bits 10:7: Memory Page Size, 2^(12 + MPS) bytes. */
export const NVME_CC_MPS = 0x780;
/** CC, bits 13:11: Arbitration Mechanism Selected; 0 is round robin. */
export const NVME_CC_AMS = 0x3800;
/** CC, bits 15:14: Shutdown Notification; 1 is normal, 2 abrupt. */
export const NVME_CC_SHN = 0xc000;
/** CC, bits 19:16: I/O Submission Queue Entry Size, as a power of two. */
export const NVME_CC_IOSQES = 0xf_0000;
/** CC, bits 23:20: I/O Completion Queue Entry Size, as a power of two. */
export const NVME_CC_IOCQES = 0xf0_0000;
/** Bits of CC that software may write; others read 0. */
export const NVME_CC_WRITABLE = 0xff_fff1;

/** CSTS, bit 0: Ready. */
export const NVME_CSTS_RDY = 1;
/** CSTS, bit 1: Controller Fatal Status. */
export const NVME_CSTS_CFS = 2;
/** CSTS, bits 3:2: Shutdown Status. */
export const NVME_CSTS_SHST = 0xc;
/** Shutdown Status: complete. */
export const NVME_CSTS_SHST_COMPLETE = 0x8;

/** AQA: entries less one of the submission queue in bits 11:0, of the completion queue in 27:16. */
export const NVME_AQA_WRITABLE = 0x0fff_0fff;

/** Bytes of a submission queue entry. */
export const NVME_SQ_ENTRY = 64;
/** Bytes of a completion queue entry. */
export const NVME_CQ_ENTRY = 16;
/** The smallest memory page, in bytes: CAP.MPSMIN is 0. */
export const NVME_PAGE = 4096;
/** CAP.MPSMAX: pages of up to 2^(12 + this) bytes. */
export const NVME_MPSMAX = 4;
/** CAP.TO: the longest wait for RDY, in units of 500 ms. RDY follows EN at once; this is what drivers are told. */
export const NVME_TIMEOUT = 15;

/**
 * CAP, bits 31:0: MQES, CQR, AMS and TO.
 *
 * @param maxEntries of an I/O queue, 2 to 65536
 */
export function capLow(maxEntries: number): number {
  return ((NVME_TIMEOUT << 24) | (1 << 16) | (maxEntries - 1)) >>> 0;
}

/** CAP, bits 63:32: DSTRD, CSS, MPSMIN and MPSMAX. @param stride doorbells are 4 << this bytes apart */
export function capHigh(stride: number): number {
  return (NVME_MPSMAX << 20) | (1 << 5) | stride;
}
