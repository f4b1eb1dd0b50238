/** The profiles of recorded kernels, by the beginning of their versions. */
import type { ProfileName } from '@vsim/vfio-core';

const KERNELS: readonly (readonly [prefix: string, profile: ProfileName])[] = [
  ['5.10.', 'linux-5.10'],
  ['5.13.', 'linux-5.13'],
  ['6.1.', 'linux-6.1'],
  ['6.12.', 'linux-6.12'],
  ['7.3.', 'linux-7.3'],
];

/** The profile of a version; undefined for a kernel that none is of. */
export function profileOfKernel(version: string): ProfileName | undefined {
  return KERNELS.find(([prefix]) => version.startsWith(prefix))?.[1];
}
