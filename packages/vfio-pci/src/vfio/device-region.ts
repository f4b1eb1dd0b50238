import {
  MIGRATION_V1,
  VFIO_REGION_INFO_FLAG_READ,
  VFIO_REGION_INFO_FLAG_WRITE,
  VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED,
  VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
  type Host,
  type InfoCaps,
  type MigrationRegionV1,
} from '@vsim/vfio-core';
import { READ_ONLY_REGION } from './vfio-pci-reasons.ts';

/**
 * A region that a driver adds behind those of every PCI device: index 9 and up. Users find it by the capability chain of its info: its
 * index says nothing. Kernel: struct vfio_pci_region, vfio_pci_regops.
 */
export interface DeviceRegion {
  /** VFIO_REGION_TYPE_*; with VFIO_REGION_TYPE_PCI_VENDOR_TYPE a vendor id in the low 16 bits. */
  readonly type: number;
  /** VFIO_REGION_SUBTYPE_*, 32 bits. */
  readonly subtype: number;
  /** In bytes. */
  readonly size: number;
  /** VFIO_REGION_INFO_FLAG_READ, _WRITE; CAPS is added. */
  readonly flags: number;
  /**
   * A read inside of the region: `into` is cut at its end.
   *
   * @param offset bytes from its start
   * @returns the count of bytes, or a negative errno
   */
  read(into: Uint8Array, offset: number): number;
  /**
   * A write inside of the region: `from` is cut at its end.
   *
   * @param offset bytes from its start
   * @returns the count of bytes, or a negative errno
   */
  write(from: Uint8Array, offset: number): number;
  /** Capabilities besides the type's. */
  addCapabilities?(caps: InfoCaps): void;
}

/**
 * A region that can only be read: writes are -EINVAL.
 *
 * @param type VFIO_REGION_TYPE_*, 32 bits
 * @param subtype VFIO_REGION_SUBTYPE_*, 32 bits
 * @param size bytes
 * @param fill has `into` cut to what lies inside
 */
export function readOnlyRegion(host: Host, type: number, subtype: number, size: number, fill: (into: Uint8Array, offset: number) => void): DeviceRegion {
  return {
    type,
    subtype,
    size,
    flags: VFIO_REGION_INFO_FLAG_READ,
    read: (into, offset) => {
      fill(into, offset);
      return into.length;
    },
    write: () => host.refusals.refuse(READ_ONLY_REGION, { region: `region of type ${type}, subtype ${subtype}` }),
  };
}

/** Migration, version 1, as a region of its device. */
export function migrationRegion(host: Host, region: MigrationRegionV1): DeviceRegion {
  const told = (result: number, offset: number, length: number): number =>
    result < 0 ? host.refusals.refuse(MIGRATION_V1, { state: region.state, offset, length }, -result) : result;
  return {
    type: VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
    subtype: VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED,
    size: region.size,
    flags: VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
    read: (into, offset) => told(region.read(into, offset), offset, into.length),
    write: (from, offset) => told(region.write(from, offset), offset, from.length),
  };
}
