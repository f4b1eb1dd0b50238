/**
 * A Management Complex, the fsl-mc bus, and the driver vfio-fsl-mc.
 *
 * @module @vsim/vfio-fslmc
 */
export { ACCEPTED_COMMANDS, type AcceptedCommand } from './bus/accepted-commands.ts';
export { OBJECT_IN_USE } from './bus/allocator-driver.ts';
export { FSL_MC_SEND_MC_COMMAND } from './bus/command-device.ts';
export { Dprc, NO_MSI, OBJECT_SKIPPED, SCAN, TOO_MANY_IRQS } from './bus/dprc.ts';
export { DprcDriver, IRQ_NOT_TOLD, IRQ_THREAD } from './bus/dprc-driver.ts';
export { FIRMWARE_NOT_READY, NO_CONTROL_REGISTERS } from './bus/firmware-check.ts';
export { FslMcBus, type FslMcBusInit } from './bus/fslmc-bus.ts';
export { FslMcDevice, REGION_CACHEABLE, REGION_SHAREABLE, type FslMcRegion } from './bus/fslmc-device.ts';
export * from './bus/fslmc-reasons.ts';
export { DOMAIN_LEFT, IRQ_POOL_MAX, IrqPool, type FslMcIrq, type IrqSpace } from './bus/irq-pool.ts';
export { MC_TIMEOUT, McIo, type Connection, type ObjectDescriptor, type RegionDescriptor } from './bus/mc-io.ts';
export type { McRange } from './bus/object-regions.ts';
export { ALLOCATABLE, ResourcePool } from './bus/resource-pool.ts';
export { DplError } from './dpl/dts-text.ts';
export type { WriteDplOptions } from './dpl/write.ts';
export { mcChoices, type McChoices, type McPreset } from './mc/choices.ts';
export * from './mc/command.ts';
export { ControlRegisters, GCR1, GCR1_STOPPED, GSR, GSR_BOOT_DONE } from './mc/control-registers.ts';
export { commandName, Firmware, parseRelease, type McRelease, type McVersion } from './mc/firmware.ts';
export { ManagementComplex, type ManagementComplexInit } from './mc/management-complex.ts';
export {
  DPRC_CFG_OPT_AIOP,
  DPRC_CFG_OPT_ALLOC_ALLOWED,
  DPRC_CFG_OPT_IRQ_CFG_ALLOWED,
  DPRC_CFG_OPT_OBJ_CREATE_ALLOWED,
  DPRC_CFG_OPT_PL_ALLOWED,
  DPRC_CFG_OPT_SPAWN_ALLOWED,
  DPRC_CFG_OPT_TOPOLOGY_CHANGES_ALLOWED,
  DPRC_IRQ_EVENT_CONTAINER_DESTROYED,
  DPRC_IRQ_EVENT_OBJ_ADDED,
  DPRC_IRQ_EVENT_OBJ_CREATED,
  DPRC_IRQ_EVENT_OBJ_DESTROYED,
  DPRC_IRQ_EVENT_OBJ_REMOVED,
  McContainer,
  type McContainerInit,
  type ObjectPlacer,
} from './mc/mc-container.ts';
export { McLinks, type McEndpoint } from './mc/links.ts';
export { McObject, type McObjectInit, type McRegion, type McRegionKind } from './mc/mc-object.ts';
export { describeCommand } from './mc/mc-text.ts';
export type { McFault, McSubmission, McWatcher } from './mc/mc-watch.ts';
export { McPortal, PORTAL_SIZE } from './mc/mc-portal.ts';
export { type ConfigInit, type ObjectConfig } from './mc/object-config.ts';
export { POOL_TYPES, ResourcePools, type ResourceRange } from './mc/resource-pools.ts';
export { CONTAINER_LOCK_ALLOCATION, DEVICE_ALLOCATION, FOREIGN_DRIVER, NOTIFIER_REGISTRATION, VfioFslMcDriver } from './vfio/driver.ts';
export { NULL_IRQ, RESET_FAILED, VfioFslMcDevice } from './vfio/vfio-fslmc-device.ts';
