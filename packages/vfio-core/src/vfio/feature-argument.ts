import type { UserArgument } from '../process/user-argument.ts';

/** The data of VFIO_DEVICE_FEATURE: what lies behind its header of 8 bytes. */
export interface FeatureArgument {
  /** Where a feature refuses. */
  readonly argument: UserArgument;
  /** As the caller gave them. */
  readonly flags: number;
  /** Bytes behind the header, as argsz says. */
  readonly length: number;
  /** Bytes of the data, from `offset` in it on, 0 by default; undefined is a fault. @param length in bytes */
  copyIn(length: number, offset?: number): Uint8Array | undefined;
  /** Puts bytes at the start of the data; false is a fault. */
  copyOut(bytes: Uint8Array): boolean;
}
