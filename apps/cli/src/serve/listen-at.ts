/** A socket at the path that a person has named, or one that was passed, as fd:N. */
import { SyscallError } from '@vsim/vfio-core';
import { UsageError } from '../io.ts';
import type { Sockets } from './sockets.ts';

/** @param shown the path as the person wrote it @throws UsageError where the path is not to be had */
export function listenAt({ ListeningSocket }: typeof Sockets, path: string, shown: string): Sockets.ListeningSocket {
  const passed = /^fd:([0-9]+)$/.exec(shown)?.[1];
  try {
    return new ListeningSocket(passed === undefined ? path : Number(passed));
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EADDRINUSE') throw new UsageError(`${shown} is in use: another server listens there, or it is no socket`);
    if (error instanceof SyscallError) throw new UsageError(`${shown}: ${error.code === 'ENOENT' ? 'no such folder' : error.code}`);
    if (error instanceof RangeError && passed !== undefined) throw new UsageError(`${shown}: no socket was passed under this number`);
    if (error instanceof RangeError) throw new UsageError(`${shown}: the path of a socket has at most 107 bytes, and this one has ${Buffer.byteLength(path)}`);
    throw error;
  }
}
