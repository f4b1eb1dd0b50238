/** What the bus `vfio-user` tells. */
import { eventKind, type EventKind } from '@vsim/vfio-core';

/** `vfio-user/connection-lost`: the server of a device is gone, or has said what cannot be. Told once. */
export const CONNECTION_LOST: EventKind<{ readonly device: string; readonly why: string }> = eventKind(
  'vfio-user/connection-lost',
  'warn',
  ({ device, why }) => `${device}: the connection to its server is over: ${why}; every access is EIO from now on`,
);
