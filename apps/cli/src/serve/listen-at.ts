/** A socket for clients: at a path that a person has named, or one that was passed, as fd:N. */
import { resolve } from 'node:path';
import { SyscallError } from '@vsim/vfio-core';
import { UsageError } from '../io.ts';
import type { Sockets } from './sockets.ts';

/** What a person has named. @returns a whole path, or the number of a socket */
export function socketAt(cwd: string, text: string): string | number {
  const passed = /^fd:([0-9]+)$/.exec(text)?.[1];
  return passed === undefined ? resolve(cwd, text) : Number(passed);
}

/** @param at as socketAt() gives it @param shown as the person wrote it @throws UsageError where it is not to be had */
export function listenAt({ ListeningSocket }: typeof Sockets, at: string | number, shown: string): Sockets.ListeningSocket {
  try {
    return new ListeningSocket(at);
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'EADDRINUSE') throw new UsageError(`${shown} is in use: another server listens there, or it is no socket`);
    if (error instanceof SyscallError) throw new UsageError(`${shown}: ${error.code === 'ENOENT' ? 'no such folder' : error.code}`);
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`${shown}: ${typeof at === 'number' ? 'no socket was passed under this number' : `the path of a socket has at most 107 bytes, and this one has ${Buffer.byteLength(at)}`}`);
  }
}
