/**
 * The vfio-user protocol: messages, servers and clients.
 *
 * @module @vsim/vfio-user
 */
export * from './bus/events.ts';
export { VfioUserBus, VfioUserDevice, VfioUserDriver } from './bus/vfio-user-bus.ts';
export * from './client/client-session.ts';
export * from './client/remote-device.ts';
export * from './negotiation/capabilities.ts';
export * from './negotiation/negotiate.ts';
export * from './process/mappable.ts';
export * from './process/process-device.ts';
export * from './process/unconfigured.ts';
export * from './process/wrapped.ts';
export * from './server/served-device.ts';
export * from './server/server-session.ts';
export * from './wire/capabilities.ts';
export * from './wire/channel.ts';
export * from './wire/commands.ts';
export * from './wire/decode.ts';
export * from './wire/descriptor.ts';
export * from './wire/encode.ts';
export * from './wire/framer.ts';
export * from './wire/header.ts';
export * from './wire/joined.ts';
export * from './wire/limits.ts';
export * from './wire/memory-files.ts';
export * from './wire/messages.ts';
