/** A socket at the path that a person has named. */
import { SyscallError } from '@vsim/vfio-core';
import { UsageError } from '../io.ts';
import type { Sockets } from './sockets.ts';

/** @param shown the path as the person wrote it @throws UsageError where the path is not to be had */
export function listenAt({ ListeningSocket }: typeof Sockets, path: string, shown: string): Sockets.ListeningSocket {
  try {
    return new ListeningSocket(path);
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EADDRINUSE') throw new UsageError(`${shown} is in use: another server listens there, or it is no socket`);
    if (error instanceof SyscallError) throw new UsageError(`${shown}: ${error.code === 'ENOENT' ? 'no such folder' : error.code}`);
    if (error instanceof RangeError) throw new UsageError(`${shown}: the path of a socket has at most 107 bytes, and this one has ${Buffer.byteLength(path)}`);
    throw error;
  }
}
