/**
 * The vfio-user protocol: messages, servers and clients.
 *
 * @module @vsim/vfio-user
 */
export * from './server/served-device.ts';
export * from './wire/channel.ts';
export * from './wire/descriptor.ts';
