/**
 * Platform and AMBA devices, device trees, and the drivers vfio-platform and vfio-amba.
 *
 * @module @vsim/vfio-platform
 */
export { AmbaBus } from './bus/amba-bus.ts';
export { INTERRUPT_STORM, IrqLine } from './bus/irq-line.ts';
export { deviceFromTree, PlatformDevice, type Firmware, type PlatformDeviceInit, type PlatformInterrupt, type PlatformResource } from './bus/platform-device.ts';
export { RuntimePm, type RuntimeStatus } from './bus/runtime-pm.ts';
export { describeDevices, type DeviceDescription, type DeviceRange } from './fdt/devices.ts';
export { FdtError, FdtNode, parseFdt } from '@vsim/vfio-core';
export type { DeviceInterrupt, Trigger } from './fdt/interrupts.ts';
export { Pl011, PL011 } from './models/pl011.ts';
export { Pl031, PL031 } from './models/pl031.ts';
export { Pl061, PL061 } from './models/pl061.ts';
export { XGBE_TIMEOUT } from './resets/amdxgbe.ts';
export { RESET_OVERRUN, RESET_WITHOUT_REGION } from './resets/registers.ts';
export { CHIP_RESETS } from './resets/chip-resets.ts';
export { DEVICE_ALLOCATION, NAME_ALLOCATION, NO_IDENTITY, PM_UNBALANCED, VfioAmbaDriver, VfioPlatformDriver, type VfioPlatformInit } from './vfio/drivers.ts';
export { ResetModules, type ResetFunction } from './vfio/reset-modules.ts';
export * from './vfio/vfio-platform-reasons.ts';
export { MODULE_LEAKED, NULL_TRIGGER, REGION_OVERRUN, RESET_FAILED, UNINITIALISED_MUTEX, VfioPlatformDevice, type Reset } from './vfio/vfio-platform-device.ts';
