/** What every feature of VFIO_DEVICE_FEATURE answers alike. */
import { VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_SET } from '../uapi/vfio.ts';
import { FEATURE_FLAGS, FEATURE_SIZE, FEATURE_UNKNOWN } from './feature-reasons.ts';
import type { FeatureArgument } from './feature-argument.ts';

/**
 * vfio_check_feature(): what a feature answers before it acts. An operation that it lacks or a short argument is -EINVAL, a probe 0; 1
 * means go on. `flags` has GET, SET and PROBE of the call, `supported` has the GET and SET bits that it knows, `minimum` is the size of its
 * data in bytes.
 */
export function checkFeature(data: FeatureArgument, flags: number, supported: number, minimum: number): number {
  const both = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
  if ((flags & both & ~supported) !== 0) return data.argument.refuse(FEATURE_FLAGS, { flags: data.flags });
  if ((flags & VFIO_DEVICE_FEATURE_PROBE) !== 0) return 0;
  if ((flags & both) === 0) return data.argument.refuse(FEATURE_FLAGS, { flags: data.flags });
  return data.length < minimum ? data.argument.refuse(FEATURE_SIZE, { length: data.length, least: minimum }) : 1;
}

/**
 * A device does not have a feature.
 *
 * @param feature its number, the low 16 bits of the flags
 * @param errno positive; ENOTTY by default
 * @returns the negative errno
 */
export function noFeature(device: { readonly name: string }, feature: number, { argument }: FeatureArgument, errno?: number): number {
  return argument.refuse(FEATURE_UNKNOWN, { device: device.name, feature }, errno);
}
