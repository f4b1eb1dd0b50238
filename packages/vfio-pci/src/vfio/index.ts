export * from './migrating-device.ts';
export * from './vfio-pci-device.ts';
export * from './vfio-pci-driver.ts';
export { REGION_SPAN, VGA_REGION_SIZE } from './info.ts';
export { INTX_WITHOUT_TRIGGER } from './irq-intx.ts';
export { BYPASS_REFUSED } from './irq-msi.ts';
export { VF_CAPTURED, VF_NATIVE_DRIVER } from './vf-capture.ts';
export {
  DEVICE_ALLOCATION,
  NOTIFIER_REGISTRATION,
  PROBE_STEP,
  PROBE_STEP_UNDONE,
  STEP_DONE,
  STEP_UNDONE,
  TOKEN_ALLOCATION,
  TOKEN_IN_USE,
  bindingOrder,
  type BindingOrder,
  type ProbeStep,
} from './binding.ts';
export { MANAGED_DMA_DRIVERS, leavesGroupViable, type ManagedDmaDriver } from './managed-dma.ts';
export { placeOpRegion } from './opregion.ts';
export { INVALID_ID_STRING, type VfioPciParameters } from './module-parameters.ts';
export { DENYLIST_DISABLED, PROBE_REFUSED } from './refusals.ts';
export { DEVICE_SET_ALLOCATION, registryOf, type DeviceSet, type VfioPciRegistry } from './registry.ts';
export { CONFIG_TABLE_OVERRUN } from './virtual-config.ts';
export { vgaDecodes } from './vga-client.ts';
export * from './device-region.ts';
export { VF_TOKEN_REFUSED } from './token-use.ts';
export * from './vfio-pci-reasons.ts';
