import { quirkDeviceIds, quirkVendors } from './acs-quirks.ts';
import { aliasDeviceIds, aliasVendors } from './dma-aliases.ts';
import { GRAPHICS_OFF, HOST_BRIDGE_VENDORS } from './uncovered.ts';
import { VMD_DEVICES } from './vmd.ts';

const INTEL = 0x8086;
/** Every kernel: it has all rows that there are. */
const LAST = { major: Number.MAX_SAFE_INTEGER, minor: 0 };

/** All device ids that a rule of the grouping names, by vendor; a vendor whose class alone counts has none. scripts/generate-device-names.mjs names them. */
export function tabledIds(): ReadonlyMap<number, ReadonlySet<number>> {
  const out = new Map<number, Set<number>>();
  const add = (vendor: number, ids: readonly number[]): void => {
    const there = out.get(vendor) ?? new Set();
    for (const id of ids) there.add(id);
    out.set(vendor, there);
  };
  for (const vendor of quirkVendors()) add(vendor, quirkDeviceIds(vendor, undefined, LAST));
  for (const vendor of aliasVendors()) add(vendor, aliasDeviceIds(vendor, LAST));
  for (const { ids } of GRAPHICS_OFF) add(INTEL, ids);
  for (const vendor of HOST_BRIDGE_VENDORS) add(vendor, []);
  add(INTEL, VMD_DEVICES);
  return out;
}
