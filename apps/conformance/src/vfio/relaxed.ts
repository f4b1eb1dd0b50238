/** The rules by which the recordings' README lets one compare less strictly, and where they hold. */
import {
  PCI_CAP_ID_MSI,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_64BIT,
  capabilities,
  extendedCapabilities,
  findCapability,
  read16,
} from '@vsim/vfio-pci';

export const REGISTERS_RULE = 'registers';
export const VENDOR_BYTES_RULE = 'vendor-bytes';
export const MSI_MESSAGE_RULE = 'run-dependent';
/** Bytes that the recorded kernel took from its own memory, by a bug: the model says where, and does not imitate it. */
export const KERNEL_MEMORY_RULE = 'kernel-memory';
/**
 * LOW_POWER_ENTRY_WITH_WAKEUP lets go of the device, and a worker of the kernel suspends it: an access that comes before the worker
 * wakes nobody. The same step of one device has both outcomes in the recordings of two kernels. The model suspends at once.
 */
export const SUSPEND_RACE_RULE = 'suspend-race';

/** Registers of edu that nothing resets: until a scenario writes them, they hold what was written before it. */
export const EDU_DMA_REGISTERS = { first: 0x80, last: 0x9f } as const;

/** Devices whose registers are compared: edu, pci-testdev, and the mdev samples. */
export const MODELLED: ReadonlySet<string> = new Set(['1234:11e8', '1b36:0005']);

/** Offsets of message address and data in the MSI capability: they depend on the run. */
export function messageBytes(config: Uint8Array): readonly number[] {
  const at = findCapability(config, PCI_CAP_ID_MSI);
  if (at === 0) return [];
  const length = (read16(config, at + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_64BIT) !== 0 ? 10 : 6;
  return Array.from({ length }, (_, i) => at + 4 + i);
}

/** Whether a byte is outside the header and every capability that is listed: the vendor's. */
export function isVendorByte(config: Uint8Array, lengthOf: (id: number, at: number, extended: boolean) => number, at: number): boolean {
  if (at < 0x40) return false;
  const inside = (start: number, length: number): boolean => at >= start && at < start + length;
  if (capabilities(config).some((capability) => inside(capability.at, lengthOf(capability.id, capability.at, false)))) return false;
  return !extendedCapabilities(config).some((capability) => inside(capability.at, Math.max(lengthOf(capability.id, capability.at, true), 4)));
}
