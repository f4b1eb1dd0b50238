/**
 * The 14 patches of "Embed struct vfio_device in all sub-structures" (March 2021, merged for 5.13), each of which a host of 5.13 can be made
 * without: what it mended is then there again, and shows as an event. Which of them nothing can show is said in docs/guides/series.md.
 *
 * linux-5.10 is 5.10.223, which is not the kernel before the series: patches 1, 2, 3, 5, 7, 8 and 11 came to it as backports.
 */
import { eventKind, type EventKind } from './trace.ts';

/** A patch of the series "Embed struct vfio_device in all sub-structures", by its number in it. */
export type SeriesPatch = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14;

/** The titles of the patches of "Embed struct vfio_device in all sub-structures" (March 2021, merged for 5.13). */
export const SERIES: Readonly<Record<SeriesPatch, string>> = {
  1: 'vfio: Remove extra put/gets around vfio_device->group',
  2: 'vfio: Simplify the lifetime logic for vfio_device',
  3: 'vfio: Split creation of a vfio_device into init and register ops',
  4: 'vfio/platform: Use vfio_init/register/unregister_group_dev',
  5: 'vfio/fsl-mc: Re-order vfio_fsl_mc_probe()',
  6: 'vfio/fsl-mc: Use vfio_init/register/unregister_group_dev',
  7: 'vfio/pci: Move VGA and VF initialization to functions',
  8: 'vfio/pci: Re-order vfio_pci_probe()',
  9: 'vfio/pci: Use vfio_init/register/unregister_group_dev',
  10: 'vfio/mdev: Use vfio_init/register/unregister_group_dev',
  11: 'vfio/mdev: Make to_mdev_device() into a static inline',
  12: 'vfio: Make vfio_device_ops pass a struct vfio_device * instead of void *',
  13: 'vfio/pci: Replace uses of vfio_device_data() with container_of',
  14: 'vfio: Remove device_data from the vfio bus driver API',
};

/** Patches that 5.10.223 does not have. */
export const NOT_IN_5_10: readonly SeriesPatch[] = [4, 6, 9, 10, 12, 13, 14];

/** What a patch that is left out would have kept from happening. */
export const BEFORE_SERIES: EventKind<{ readonly patch: SeriesPatch; readonly device: string; readonly what: string }> = eventKind(
  'vfio/before-series',
  'bug',
  ({ patch, device, what }) => `${device}: ${what} (patch ${patch}, "${SERIES[patch]}")`,
);
