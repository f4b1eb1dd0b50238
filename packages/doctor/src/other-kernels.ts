/** Kernels that make other groups of the same machine, as far as quirks for missing ACS go. */
import type { AcsQuirk, IommuGrouping } from '@vsim/vfio-pci';

/** Kernels that make other groups. */
export interface OtherKernel {
  /** Which: `5.9 to 5.9.8`, `before 6.13`. */
  readonly versions: string;
  /** Addresses of the functions that do not isolate there. */
  readonly devices: readonly string[];
  /** What is other, as a sentence without its full stop. */
  readonly what: string;
}

/** Finds them by the quirks that functions of a machine have. */
export function otherKernelsOf({ topology, acs }: IommuGrouping): readonly OtherKernel[] {
  const found = new Map<string, string[]>();
  for (const node of topology.nodes) {
    const quirk = acs.quirkOf(node);
    const versions = quirk?.isolates === true ? versionsWithout(quirk) : undefined;
    if (versions !== undefined) found.set(versions, [...(found.get(versions) ?? []), node.facts.address]);
  }
  return [...found].map(([versions, devices]) => ({
    versions,
    devices,
    what: `${devices.join(' ')} ${devices.length === 1 ? 'isolates' : 'isolate'} by a quirk that Linux ${versions} does not apply: there, what is below and beside shares one group`,
  }));
}

/** Releases that do not have what all others have; updates of old series count as theirs. */
function versionsWithout({ since, stable, gap }: AcsQuirk): string | undefined {
  if (gap !== undefined) return `${gap[0]}.${gap[1]} to ${gap.join('.')}`;
  return since === undefined || stable !== undefined ? undefined : `before ${since.join('.')}`;
}
