/** Messages with their fields: a union by `name`. A command and its reply have the same fields, but where DONE answers. */

/** VERSION: what a side speaks and can. */
export interface VersionMessage {
  /** Tells it from other messages. */
  readonly name: 'VERSION';
  /** Of 16 bits. */
  readonly major: number;
  /** Of 16 bits. */
  readonly minor: number;
  /** The JSON text without its NUL; undefined: none was sent, which stands for defaults. */
  readonly text: string | undefined;
}

/** DMA_MAP: memory that the device may reach. A descriptor beside it means that the server maps it. */
export interface DmaMapMessage {
  /** Tells it from other messages. */
  readonly name: 'DMA_MAP';
  /** In bytes: 32. */
  readonly argsz: number;
  /** Bits VFIO_DMA_MAP_FLAG_READ and VFIO_DMA_MAP_FLAG_WRITE. */
  readonly flags: number;
  /** Where it begins in the descriptor's file, in bytes, of 64 bits. */
  readonly offset: bigint;
  /** The device's first address, in bytes, of 64 bits. */
  readonly iova: bigint;
  /** In bytes, of 64 bits. */
  readonly length: bigint;
}

/** DMA_UNMAP: memory that the device may reach no more. */
export interface DmaUnmapMessage {
  /** Tells it from other messages. */
  readonly name: 'DMA_UNMAP';
  /** In bytes: room for the reply's payload, and its size in the reply. */
  readonly argsz: number;
  /** 0, or VFIO_DMA_UNMAP_FLAG_ALL. */
  readonly flags: number;
  /** In bytes, of 64 bits. */
  readonly iova: bigint;
  /** In bytes, of 64 bits. */
  readonly length: bigint;
}

/** DEVICE_GET_INFO. */
export interface DeviceInfoMessage {
  /** Tells it from other messages. */
  readonly name: 'DEVICE_GET_INFO';
  /** In bytes: room for the reply's payload, and its size in the reply. */
  readonly argsz: number;
  /** Bits VFIO_DEVICE_FLAGS_*. */
  readonly flags: number;
  /** How many regions there are. */
  readonly regions: number;
  /** How many kinds of interrupts there are. */
  readonly irqs: number;
}

/** DEVICE_GET_REGION_INFO. */
export interface RegionInfoMessage {
  /** Tells it from other messages. */
  readonly name: 'DEVICE_GET_REGION_INFO';
  /** In bytes: room for the reply's payload; in the reply what the whole of it takes, more than has come where there was no room. */
  readonly argsz: number;
  /** Bits VFIO_REGION_INFO_FLAG_*. */
  readonly flags: number;
  /** Of the region. */
  readonly index: number;
  /** Where capabilities begin, in bytes from the beginning of the payload. */
  readonly capOffset: number;
  /** Of the region, in bytes, of 64 bits. */
  readonly length: bigint;
  /** Where the region begins in the descriptor beside the reply, in bytes, of 64 bits. */
  readonly offset: bigint;
  /** What follows the 32 bytes: capabilities, in a reply. `regionCapabilities()` reads them. */
  readonly capabilities: Uint8Array;
}

/** A part of a region whose accesses go to a descriptor. */
export interface IoFd {
  /** Within the region, in bytes, of 64 bits. */
  readonly offset: bigint;
  /** In bytes, of 64 bits; 0: of any. */
  readonly length: bigint;
  /** Which of the descriptors beside the message. */
  readonly fdIndex: number;
  /** 0 an ioeventfd, 1 an ioregionfd. */
  readonly type: number;
  /** KVM's, of the type. */
  readonly flags: number;
  /** The value to match, or what the ioregionfd is to be told, of 64 bits. */
  readonly data: bigint;
}

/** DEVICE_GET_REGION_IO_FDS. */
export interface RegionIoFdsMessage {
  /** Tells it from other messages. */
  readonly name: 'DEVICE_GET_REGION_IO_FDS';
  /** In bytes: room for the reply's payload, and what the whole of it takes in the reply. */
  readonly argsz: number;
  /** 0. */
  readonly flags: number;
  /** Of the region. */
  readonly index: number;
  /** How many parts the region has: more than are in the reply where there was no room. */
  readonly count: number;
  /** In a reply. */
  readonly ioFds: readonly IoFd[];
}

/** DEVICE_GET_IRQ_INFO. */
export interface IrqInfoMessage {
  /** Tells it from other messages. */
  readonly name: 'DEVICE_GET_IRQ_INFO';
  /** In bytes: room for the reply's payload, and its size in the reply. */
  readonly argsz: number;
  /** Bits VFIO_IRQ_INFO_*. */
  readonly flags: number;
  /** Of the kind of interrupts. */
  readonly index: number;
  /** How many interrupts of the kind there are. */
  readonly count: number;
}

/** DEVICE_SET_IRQS. Eventfds are beside it. */
export interface SetIrqsMessage {
  /** Tells it from other messages. */
  readonly name: 'DEVICE_SET_IRQS';
  /** In bytes: the payload's size. */
  readonly argsz: number;
  /** One bit VFIO_IRQ_SET_DATA_* and one bit VFIO_IRQ_SET_ACTION_*. */
  readonly flags: number;
  /** Of the kind of interrupts. */
  readonly index: number;
  /** The first interrupt. */
  readonly start: number;
  /** How many interrupts. */
  readonly count: number;
  /** With VFIO_IRQ_SET_DATA_BOOL `count` bytes, else none. */
  readonly data: Uint8Array;
}

/** REGION_READ and REGION_WRITE. */
export interface RegionAccessMessage {
  /** Tells it from other messages. */
  readonly name: 'REGION_READ' | 'REGION_WRITE';
  /** Within the region, in bytes, of 64 bits. */
  readonly offset: bigint;
  /** The region's index. */
  readonly region: number;
  /** In bytes, of 32 bits. */
  readonly count: number;
  /** `count` bytes in REGION_READ's reply and REGION_WRITE's command, else none. */
  readonly data: Uint8Array;
}

/** DMA_READ and DMA_WRITE: the server's commands. */
export interface DmaAccessMessage {
  /** Tells it from other messages. */
  readonly name: 'DMA_READ' | 'DMA_WRITE';
  /** In bytes, of 64 bits. */
  readonly iova: bigint;
  /** In bytes, of 64 bits. */
  readonly count: bigint;
  /** `count` bytes in DMA_READ's reply and DMA_WRITE's command, else none. */
  readonly data: Uint8Array;
}

/** DEVICE_RESET. */
export interface ResetMessage {
  /** Tells it from other messages. */
  readonly name: 'DEVICE_RESET';
}

/** A write of REGION_WRITE_MULTI. */
export interface SingleWrite {
  /** Within the region, in bytes, of 64 bits. */
  readonly offset: bigint;
  /** The region's index. */
  readonly region: number;
  /** At most 8 bytes. */
  readonly data: Uint8Array;
}

/** REGION_WRITE_MULTI. */
export interface WriteMultiMessage {
  /** Tells it from other messages. */
  readonly name: 'REGION_WRITE_MULTI';
  /** How many writes there are, or were done in the reply, of 64 bits. */
  readonly count: bigint;
  /** In a command `count` writes, else none. */
  readonly writes: readonly SingleWrite[];
}

/** DEVICE_FEATURE. */
export interface FeatureMessage {
  /** Tells it from other messages. */
  readonly name: 'DEVICE_FEATURE';
  /** In bytes: room for the reply's payload, and what the whole of it takes in the reply. */
  readonly argsz: number;
  /** The number of the feature, with bits VFIO_DEVICE_FEATURE_GET, _SET and _PROBE. */
  readonly flags: number;
  /** The feature's. */
  readonly data: Uint8Array;
}

/** MIG_DATA_READ and MIG_DATA_WRITE. */
export interface MigDataMessage {
  /** Tells it from other messages. */
  readonly name: 'MIG_DATA_READ' | 'MIG_DATA_WRITE';
  /** In bytes: room for the reply's payload, and its size in the reply. */
  readonly argsz: number;
  /** In bytes: what is asked for, or is there. */
  readonly length: number;
  /** `length` bytes in MIG_DATA_READ's reply and MIG_DATA_WRITE's command, else none. */
  readonly data: Uint8Array;
}

/** A reply without a payload: the command is done. */
export interface DoneMessage {
  /** Tells it from other messages. */
  readonly name: 'DONE';
}

/** What a side asks of the other. */
export type Command =
  | VersionMessage
  | DmaMapMessage
  | DmaUnmapMessage
  | DeviceInfoMessage
  | RegionInfoMessage
  | RegionIoFdsMessage
  | IrqInfoMessage
  | SetIrqsMessage
  | RegionAccessMessage
  | DmaAccessMessage
  | ResetMessage
  | WriteMultiMessage
  | FeatureMessage
  | MigDataMessage;

/** What a side answers; DONE to DMA_MAP, DEVICE_SET_IRQS, DEVICE_RESET and MIG_DATA_WRITE. */
export type Reply = Exclude<Command, DmaMapMessage | SetIrqsMessage | ResetMessage> | DoneMessage;

/** What was no message, or none that can be done. */
export interface Refused {
  /** Tells it from other messages. */
  readonly name: 'REFUSED';
  /** Positive. */
  readonly errno: number;
  /** Why, in words. */
  readonly reason: string;
}

/** Says no. @param errno positive @param reason in words */
export function refused(errno: number, reason: string): Refused {
  return { name: 'REFUSED', errno, reason };
}
