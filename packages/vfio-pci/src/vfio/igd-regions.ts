import {
  EINVAL,
  ENODEV,
  VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG,
  VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG,
  VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION,
  VFIO_REGION_TYPE_PCI_VENDOR_TYPE,
} from '@vsim/vfio-core';
import { isVga } from '../bus/vga-arbiter.ts';
import type { PciDevice } from '../bus/pci-device.ts';
import { classOf } from '../bus/class-of.ts';
import { read32 } from '../pci/capabilities.ts';
import { readOnlyRegion, type DeviceRegion } from './device-region.ts';
import { ASLS, OPREGION_SIGNATURE, OPREGION_SIZE_AT } from './opregion.ts';
import type { VirtualConfig } from './virtual-config.ts';

const INTEL = 0x8086;
const KIB = 1024;
const HOST_BRIDGE = 0x0600;
const ISA_BRIDGE = 0x0601;
const TYPE: number = VFIO_REGION_TYPE_PCI_VENDOR_TYPE + INTEL;

/** Whether a device is looked at for these regions. */
export function isIntelGraphics(device: PciDevice): boolean {
  return device.vendor === INTEL && isVga(device);
}

/**
 * Intel graphics for users: the OpRegion that firmware left in memory, and the configuration of host bridge and LPC bridge, which its
 * driver looks at. Kernel: vfio_pci_igd.c.
 *
 * Not modelled: a video BIOS table apart from the OpRegion (version 2.0 and up).
 *
 * Adds the regions of a graphics device to `regions`, and lets its user write the address of the OpRegion.
 *
 * @returns 0; -ENODEV where something is not there, which is no harm; -EINVAL where it is wrong: the device cannot be opened
 */
export function addIgdRegions(device: PciDevice, config: VirtualConfig, regions: DeviceRegion[]): number {
  const { memory } = device.host;
  const at = read32(device.function.config.bytes, ASLS);
  if (at === 0 || at === 0xffff_ffff) return -ENODEV;
  const signature = new Uint8Array(OPREGION_SIGNATURE.length);
  memory.readBytes(at, signature);
  const size = memory.read32(at + OPREGION_SIZE_AT) * KIB;
  if (String.fromCharCode(...signature) !== OPREGION_SIGNATURE || size === 0) return -EINVAL;
  regions.push(readOnlyRegion(device.host, TYPE, VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION, size, (into, offset) => memory.readBytes(at + offset, into)));
  config.makeVirtual(ASLS, 4);
  const host = addConfig(device, '00.0', HOST_BRIDGE, VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG, regions);
  return host < 0 ? host : addConfig(device, '1f.0', ISA_BRIDGE, VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG, regions);
}

/** The configuration space of a bridge of the chipset: on bus 0 of domain 0, wherever the graphics is. */
function addConfig(device: PciDevice, place: string, wanted: number, subtype: number, regions: DeviceRegion[]): number {
  const bridge = device.bus.device(`0000:00:${place}`);
  if (bridge === undefined) return -ENODEV;
  if (bridge.vendor !== INTEL || classOf(bridge) >>> 8 !== wanted) return -EINVAL;
  const fill = (into: Uint8Array, offset: number): void => {
    for (let i = 0; i < into.length; i += 1) into[i] = bridge.function.configRead(offset + i, 1);
  };
  regions.push(readOnlyRegion(device.host, TYPE, subtype, bridge.configSize, fill));
  return 0;
}
