/** Sockets with descriptors, which Node has none of: loaded when a command needs them. */
import type * as Sockets from '@vsim/vfio-user/node';
import { UsageError } from '../io.ts';

/** @vsim/vfio-user/node. */
export type { Sockets };

/** @throws UsageError where the system or what is installed has none */
export async function loadSockets(): Promise<typeof Sockets> {
  if (process.platform !== 'linux') throw new UsageError(`needs Linux, and this is ${process.platform}`);
  try {
    return await import('@vsim/vfio-user/node');
  } catch (error) {
    const { message = '' } = error instanceof Error ? error : {};
    if (!message.includes('koffi')) throw error;
    throw new UsageError('needs the package koffi, which is not installed here: npm install koffi@3.3.4');
  }
}
