import { EFAULT, EINVAL } from '@vsim/vfio-core';
import type { McRegionKind } from '../mc/mc-object.ts';
import type { FslMcRegion } from './fslmc-device.ts';
import type { McIo, ObjectDescriptor } from './mc-io.ts';

/** A line of the firmware's `ranges`: where offsets of a kind of region lie, for an MC that does not say. */
export interface McRange {
  /** mc-portal, for containers and dpmcps; any other is for dpios. */
  readonly kind: McRegionKind;
  /** First offset that it maps, in bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** Physical address of that first offset. */
  readonly start: number;
}

/** Portals lie within so much: where a container's offset is its address, the kernel adds the start of the space that the root's portal is in. */
const PORTAL_SPACE = 2 ** 26;

/**
 * Where the regions of an object lie: what the MC says of them, and how the kernel makes addresses of that. Kernel:
 * fsl_mc_device_get_mmio_regions().
 */
export class ObjectRegions {
  readonly #rootPortal: number;
  readonly #ranges: readonly McRange[];
  #api: readonly [number, number] | undefined;

  /** @param rootPortal its physical address @param ranges of the firmware's node; none: an offset is an address */
  constructor(rootPortal: number, ranges: readonly McRange[]) {
    this.#rootPortal = rootPortal;
    this.#ranges = ranges;
  }

  /** All regions of an object. @returns -EINVAL for a type that has none, -EFAULT for one in no range, or what the MC answers */
  read(dprc: { readonly io: McIo; readonly handle: number }, descriptor: ObjectDescriptor): readonly FslMcRegion[] | number {
    const { type, regionCount } = descriptor;
    if (regionCount > 0 && type !== 'dprc' && type !== 'dpmcp' && type !== 'dpio') return -EINVAL;
    const out: FslMcRegion[] = [];
    for (let i = 0; i < regionCount; i += 1) {
      const version = this.#regionVersion(dprc);
      const region = version < 0 ? version : dprc.io.region(dprc.handle, version, descriptor, i);
      if (typeof region === 'number') return region;
      const start = region.base === 0 ? this.#translate(descriptor.type, region.offset) : region.base + region.offset;
      if (start < 0) return start;
      out.push({ start, size: region.size, flags: region.flags });
    }
    return out;
  }

  /** dprc_get_obj_region(): the version of DPRC_GET_OBJ_REG, by an API version that is asked for once in the kernel's life. */
  #regionVersion({ io }: { readonly io: McIo }): number {
    const api = this.#api ?? io.apiVersion();
    if (typeof api === 'number') return api;
    this.#api = api;
    const [major, minor] = api;
    const atLeast = (least: number): boolean => major > 6 || (major === 6 && minor >= least);
    return atLeast(6) ? 3 : atLeast(3) ? 2 : 1;
  }

  /** Of a region without base: a container's portal that is not translated counts from the root's. */
  #translate(type: string, offset: number): number {
    const start = this.#translated(type, offset);
    return type === 'dprc' && start === offset ? start + Math.floor(this.#rootPortal / PORTAL_SPACE) * PORTAL_SPACE : start;
  }

  /** translate_mc_addr(): where the firmware's ranges have a region, by the type of its object. */
  #translated(type: string, offset: number): number {
    if (this.#ranges.length === 0) return offset;
    const queues = type === 'dpio';
    const range = this.#ranges.find((line) => (line.kind !== 'mc-portal') === queues && offset >= line.offset && offset < line.offset + line.size);
    return range === undefined ? -EFAULT : range.start + (offset - range.offset);
  }
}
