/** GET_INFO, GET_REGION_INFO and GET_IRQ_INFO of vfio-pci. */
import {
  InfoCaps,
  VFIO_DEVICE_FLAGS_PCI,
  VFIO_DEVICE_FLAGS_RESET,
  VFIO_IRQ_INFO_AUTOMASKED,
  VFIO_IRQ_INFO_EVENTFD,
  VFIO_IRQ_INFO_MASKABLE,
  VFIO_IRQ_INFO_NORESIZE,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_ERR_IRQ_INDEX,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_NUM_IRQS,
  VFIO_PCI_NUM_REGIONS,
  VFIO_PCI_ROM_REGION_INDEX,
  VFIO_PCI_VGA_REGION_INDEX,
  VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
  VFIO_REGION_INFO_CAP_TYPE,
  VFIO_REGION_INFO_FLAG_MMAP,
  VFIO_REGION_INFO_FLAG_READ,
  VFIO_REGION_INFO_FLAG_WRITE,
  get,
  irqInfo as answerIrqInfo,
  regionInfo as answerRegionInfo,
  set,
  vfio_device_info,
  vfio_info_cap_header,
  vfio_region_info,
  vfio_region_info_cap_type,
  type RegionAnswer,
  type UserArgument,
} from '@vsim/vfio-core';
import { canAddVectors } from '../bus/irq-vectors.ts';
import type { PciDevice } from '../bus/pci-device.ts';
import type { DeviceRegion } from './device-region.ts';
import type { Irqs } from './irqs.ts';
import type { Regions } from './regions.ts';

/** A region's file offset is its index times this: 2^40 bytes. */
export const REGION_SPAN = 0x100_0000_0000;
/** Bytes of the VGA region: legacy ranges at their own addresses, up to 0xbffff. */
export const VGA_REGION_SIZE = 0xc_0000;
/** Struct bytes that GET_INFO takes from the user; what lies behind is only written. */
const INFO_MINIMUM = 16;
const READ_WRITE: number = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

/** What the answers are made of. */
export interface InfoOwner {
  readonly device: PciDevice;
  readonly irqs: Irqs;
  /** A function reset worked when the device was opened. */
  readonly resetWorks: boolean;
  readonly hasVga: boolean;
  readonly regions: Regions;
}

export function deviceInfo(owner: InfoOwner, argument: UserArgument): number {
  const head = argument.copyIn(INFO_MINIMUM);
  if (head === undefined) return argument.fault();
  const argsz = get(head, vfio_device_info.argsz);
  if (argsz < INFO_MINIMUM) return argument.tooShort(argsz, INFO_MINIMUM);
  const size = owner.device.host.profile.deviceInfoSize;
  const info = new Uint8Array(size);
  info.set(head);
  set(info, vfio_device_info.flags, VFIO_DEVICE_FLAGS_PCI | (owner.resetWorks ? VFIO_DEVICE_FLAGS_RESET : 0));
  set(info, vfio_device_info.num_regions, owner.regions.count);
  set(info, vfio_device_info.num_irqs, VFIO_PCI_NUM_IRQS);
  // Where the struct is not padded, its last field goes out whole or not at all.
  const known = size === vfio_device_info.size ? (argsz >= size ? size : INFO_MINIMUM) : Math.min(argsz, size);
  return argument.copyOut(info.subarray(0, known)) ? 0 : argument.fault();
}

export function regionInfo(owner: InfoOwner, argument: UserArgument): number {
  return answerRegionInfo(argument, (index) => describe(owner, index));
}

function describe(owner: InfoOwner, index: number): RegionAnswer | undefined {
  const region = find(owner, index);
  if (region === undefined) return undefined;
  const caps = new InfoCaps(vfio_region_info.size, owner.device.host.profile.capabilityAlignment);
  if (region.msixMappable === true) caps.add(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, vfio_info_cap_header.size);
  if (region.own !== undefined) addOwnCapabilities(caps, region.own);
  return { flags: region.flags, size: region.size, offset: index * REGION_SPAN, caps: caps.length === 0 ? undefined : caps };
}

function addOwnCapabilities(caps: InfoCaps, own: DeviceRegion): void {
  const bytes = caps.add(VFIO_REGION_INFO_CAP_TYPE, 1, vfio_region_info_cap_type.size);
  set(bytes, vfio_region_info_cap_type.type, own.type);
  set(bytes, vfio_region_info_cap_type.subtype, own.subtype);
  own.addCapabilities?.(caps);
}

interface Region {
  readonly size: number;
  readonly flags: number;
  readonly msixMappable?: boolean;
  /** A region of the driver's own. */
  readonly own?: DeviceRegion;
}

const ABSENT: Region = { size: 0, flags: 0 };

function find(owner: InfoOwner, index: number): Region | undefined {
  const fn = owner.device.function;
  const bar = fn.bar(index);
  switch (index) {
    case VFIO_PCI_CONFIG_REGION_INDEX:
      return { size: fn.config.size, flags: READ_WRITE };
    case VFIO_PCI_VGA_REGION_INDEX:
      return owner.hasVga ? { size: VGA_REGION_SIZE, flags: READ_WRITE } : undefined;
    case VFIO_PCI_ROM_REGION_INDEX:
      if (owner.device.firmwareRomSize > 0) return { size: owner.device.firmwareRomSize, flags: VFIO_REGION_INFO_FLAG_READ };
      return fn.romSize === 0 || bar === undefined ? ABSENT : { size: bar.size, flags: VFIO_REGION_INFO_FLAG_READ };
    default: {
      const own = owner.regions.own(index);
      if (own !== undefined) return { size: own.size, flags: own.flags, own };
      if (index >= VFIO_PCI_NUM_REGIONS) return undefined;
      if (bar === undefined) return ABSENT;
      const mappable = owner.regions.canMmap(index);
      const flags = READ_WRITE | (mappable ? VFIO_REGION_INFO_FLAG_MMAP : 0);
      return { size: bar.size, flags, msixMappable: mappable && fn.msix?.tableBar === index };
    }
  }
}

export function irqInfo(owner: InfoOwner, argument: UserArgument): number {
  return answerIrqInfo(argument, (index) => {
    if (index >= VFIO_PCI_NUM_IRQS) return undefined;
    const count = owner.irqs.count(index);
    if (index === VFIO_PCI_ERR_IRQ_INDEX && count === 0) return undefined;
    let flags: number = VFIO_IRQ_INFO_EVENTFD;
    if (index === VFIO_PCI_INTX_IRQ_INDEX) flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    else if (index !== VFIO_PCI_MSIX_IRQ_INDEX || count === 0 || !canAddVectors(owner.device)) flags |= VFIO_IRQ_INFO_NORESIZE;
    return { flags, count };
  });
}
