/** The IOVAs that user space may map: the apertures of all units, less their reserved regions. Frames, ends inclusive. */
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import type { IommuUnit } from './iommu.ts';

/** Ascending. Empty without units, and when nothing is left. */
export function iovaRanges(units: readonly IommuUnit[]): readonly FrameRange[] {
  if (units.length === 0) return [];
  const first = Math.max(...units.map(({ aperture }) => aperture.first));
  const last = Math.min(...units.map(({ aperture }) => aperture.last));
  let ranges: FrameRange[] = first <= last ? [{ first, last }] : [];
  for (const { reservedRegions } of units) {
    for (const region of reservedRegions) {
      if (region.type === 'direct-relaxable') continue;
      const from = Math.floor(region.first / PAGE_SIZE);
      const to = Math.floor(region.last / PAGE_SIZE);
      ranges = ranges.flatMap((range) =>
        to < range.first || from > range.last
          ? [range]
          : [
              { first: range.first, last: from - 1 },
              { first: to + 1, last: range.last },
            ].filter((part) => part.first <= part.last),
      );
    }
  }
  return ranges;
}
