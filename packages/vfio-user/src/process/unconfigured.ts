/** A PCI function as its client's firmware finds it, without that of the host. */
import { VFIO_DEVICE_RESET, VFIO_PCI_CONFIG_REGION_INDEX } from '@vsim/vfio-core';
import type { ServedDevice } from '../server/served-device.ts';
import { wrapped } from './wrapped.ts';

/** Command and BARs: offsets in configuration space, and bytes. */
const CONFIGURED = [[0x04, 2], [0x10, 24]] as const;

/**
 * A PCI function that nobody has configured yet: Command and BARs are zero now, and after each reset.
 *
 * vfio-pci shows where the host's firmware has put a function, and that its memory is on; after a reset Linux restores Command, of which a client had cleared
 * all but SERR# Enable. A server of this protocol has no kernel below, and a client expects none. Both are put right by a write, so that all else on the wire is
 * vfio-pci's own.
 */
export function unconfigured(device: ServedDevice): ServedDevice {
  const clear = (): void => { for (const [offset, length] of CONFIGURED) device.write(VFIO_PCI_CONFIG_REGION_INDEX, offset, new Uint8Array(length)); };
  clear();
  return wrapped(device, {
    ioctl: (request, argument) => {
      const result = device.ioctl(request, argument);
      if (request === VFIO_DEVICE_RESET && result >= 0) clear();
      return result;
    },
  });
}
