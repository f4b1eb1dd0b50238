/** @vsim/mdev: mediated devices, and the sample parents mtty and mdpy. */
export { MDEV_CREATED, MDEV_REMOVING, MdevBus } from './mdev-bus.ts';
export { MdevDevice } from './mdev-device.ts';
export { MdevDriver, VfioMdevDriver } from './mdev-driver.ts';
export { MdevParent } from './mdev-parent.ts';
export { MdevType, type MdevTypeInit } from './mdev-type.ts';
export { Mdpy, MdpyDevice } from './samples/mdpy.ts';
export { KERNEL_MEMORY_SHOWN, Mtty, MttyDevice, type MttyInit } from './samples/mtty.ts';
export { Uart, UART } from './samples/uart.ts';
