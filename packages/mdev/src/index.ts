/**
 * Mediated devices, and the sample parents mtty, mdpy and mbochs.
 *
 * @module @vsim/mdev
 */
export * from './mdev-reasons.ts';
export { MDEV_ALLOCATION, MDEV_CREATED, MDEV_REMOVING, MdevBus } from './mdev-bus.ts';
export { MdevDevice, mdevFromDevice } from './mdev-device.ts';
export { MdevDriver, VFIO_DEVICE_ALLOCATION, VfioMdevDriver } from './mdev-driver.ts';
export { MDEV_STATE, MdevParent, NO_REQUEST } from './mdev-parent.ts';
export { MdevType, type MdevTypeInit } from './mdev-type.ts';
export { GFX_LINK, vfio_region_gfx_edid } from './samples/edid.ts';
export { GFX_PLANE, XRGB8888 } from './samples/gfx-plane.ts';
export { Mbochs, MbochsDevice, PAST_FRAMEBUFFER } from './samples/mbochs.ts';
export { Mdpy, MdpyDevice } from './samples/mdpy.ts';
export { KERNEL_MEMORY_SHOWN, Mtty, MttyDevice, type MttyInit } from './samples/mtty.ts';
export { EVENTFD_LOST } from './samples/mtty-irqs.ts';
export { Uart, UART } from './samples/uart.ts';
export { VBE } from './samples/vbe.ts';
export { NOT_ASKED } from './vfio-mdev-device.ts';
