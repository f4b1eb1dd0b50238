/**
 * Sockets and descriptors of Linux for `@vsim/vfio-user`, by koffi.
 *
 * @module @vsim/vfio-user/node
 */
export { waitFor } from './libc.ts';
export * from './memory-fd.ts';
export * from './real-descriptor.ts';
export * from './socket-channel.ts';
export * from './unix-socket.ts';
