import type { File } from './file.ts';
import type { UserArgument } from './user-argument.ts';

const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;
const FIONBIO = 0x5421;

/**
 * Requests that every file answers, before its own operation is asked. Kernel: do_vfs_ioctl(). Only those that change nothing else but the
 * fd.
 *
 * @param request the number, of 32 bits
 * @returns 0, -EFAULT, or undefined where the file itself is asked
 */
export function vfsIoctl(file: File, request: number, argument: UserArgument): number | undefined {
  if (request === FIOCLEX || request === FIONCLEX) return 0;
  if (request !== FIONBIO) return undefined;
  const on = argument.copyIn(4);
  if (on === undefined) return argument.fault();
  file.setNonblocking(on.some((byte) => byte !== 0));
  return 0;
}
