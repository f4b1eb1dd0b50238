export * from './vfio-pci-device.ts';
export * from './vfio-pci-driver.ts';
export { REGION_SPAN, VGA_REGION_SIZE } from './info.ts';
export { BYPASS_REFUSED } from './irq-msi.ts';
export { VF_CAPTURED, VF_NATIVE_DRIVER } from './vf-capture.ts';
