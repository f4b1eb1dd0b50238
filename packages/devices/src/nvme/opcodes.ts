/** Numbers that commands bear. Reference: NVM Express Base 1.4, figures 139, 346 and those of the commands. */

/** Admin commands, 5. */
export const NVME_ADMIN = {
  DELETE_SQ: 0x00,
  CREATE_SQ: 0x01,
  GET_LOG_PAGE: 0x02,
  DELETE_CQ: 0x04,
  CREATE_CQ: 0x05,
  IDENTIFY: 0x06,
  ABORT: 0x08,
  SET_FEATURES: 0x09,
  GET_FEATURES: 0x0a,
  ASYNC_EVENT_REQUEST: 0x0c,
  KEEP_ALIVE: 0x18,
  FORMAT_NVM: 0x80,
} as const;

/** Commands of the NVM command set, 6. */
export const NVME_IO = {
  FLUSH: 0x00,
  WRITE: 0x01,
  READ: 0x02,
  WRITE_UNCORRECTABLE: 0x04,
  COMPARE: 0x05,
  WRITE_ZEROES: 0x08,
  DATASET_MANAGEMENT: 0x09,
} as const;

/** What Identify is asked for (CNS), 5.15.1. */
export const NVME_CNS = { NAMESPACE: 0x00, CONTROLLER: 0x01, ACTIVE_LIST: 0x02, DESCRIPTORS: 0x03 } as const;

/** Feature identifiers, 5.21.1. */
export const NVME_FEATURE = {
  ARBITRATION: 0x01,
  POWER_MANAGEMENT: 0x02,
  TEMPERATURE_THRESHOLD: 0x04,
  ERROR_RECOVERY: 0x05,
  VOLATILE_WRITE_CACHE: 0x06,
  NUMBER_OF_QUEUES: 0x07,
  INTERRUPT_COALESCING: 0x08,
  INTERRUPT_VECTOR: 0x09,
  WRITE_ATOMICITY: 0x0a,
  ASYNC_EVENT: 0x0b,
} as const;

/** Which value of a feature Get Features gives, 5.14.1. */
export const NVME_SELECT = { CURRENT: 0, DEFAULT: 1, SAVED: 2, CAPABILITIES: 3 } as const;

/** Log page identifiers, 5.14.1. */
export const NVME_LOG = { ERROR: 0x01, SMART: 0x02, FIRMWARE: 0x03, CHANGED_NAMESPACES: 0x04 } as const;

/** The namespace identifier that means all. */
export const NVME_ALL_NAMESPACES = 0xffff_ffff;
