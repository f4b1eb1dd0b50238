/** The capabilities behind a region's info, which are those of vfio_region_info. */
import { get, set, VFIO_REGION_INFO_CAP_SPARSE_MMAP, vfio_info_cap_header, vfio_region_info_cap_sparse_mmap, vfio_region_sparse_mmap_area } from '@vsim/vfio-core';
import { REGION_INFO_LAYOUT } from './layouts.ts';
import type { RegionInfoMessage } from './messages.ts';

/** A capability of a region. */
export interface RegionCapability {
  /** VFIO_REGION_INFO_CAP_*. */
  readonly id: number;
  /** Of the capability's layout. */
  readonly version: number;
  /** What follows its header, up to the next capability or the end of the message. */
  readonly body: Uint8Array;
}

/** A part of a region that may be mapped. */
export interface MappableArea {
  /** Within the region, in bytes, of 64 bits. */
  readonly offset: bigint;
  /** In bytes, of 64 bits. */
  readonly length: bigint;
}

const HEAD = vfio_info_cap_header.size;

/** The capabilities of a region in the order of their chain. @returns undefined where the chain leads out of the message, into a header, or backwards */
export function regionCapabilities(info: Pick<RegionInfoMessage, 'capOffset' | 'capabilities'>): RegionCapability[] | undefined {
  const found: RegionCapability[] = [];
  if (info.capabilities.length === 0) return found;
  let at = info.capOffset;
  let before = 0;
  while (at !== 0) {
    const start = at - REGION_INFO_LAYOUT.size;
    // Forward alone, so that a circle ends.
    if (start < 0 || at <= before || start + HEAD > info.capabilities.length) return undefined;
    const bytes = info.capabilities.subarray(start);
    const next = get(bytes, vfio_info_cap_header.next);
    const end = next > at ? next - at : bytes.length;
    if (next > at && end < HEAD) return undefined;
    found.push({ id: get(bytes, vfio_info_cap_header.id), version: get(bytes, vfio_info_cap_header.version), body: bytes.subarray(HEAD, end) });
    before = at;
    at = next;
  }
  return found;
}

/** Capabilities as a chain that begins behind a region's info. */
export function encodeCapabilities(capabilities: readonly RegionCapability[]): Uint8Array {
  const sizes = capabilities.map(({ body }) => HEAD + 8 * Math.ceil(body.length / 8));
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  capabilities.forEach(({ id, version, body }, index) => {
    const size = sizes[index] ?? 0;
    const one = bytes.subarray(at, at + size);
    set(one, vfio_info_cap_header.id, id);
    set(one, vfio_info_cap_header.version, version);
    set(one, vfio_info_cap_header.next, index === capabilities.length - 1 ? 0 : REGION_INFO_LAYOUT.size + at + size);
    one.set(body, HEAD);
    at += size;
  });
  return bytes;
}

/** The areas of a region that may be mapped, where it says that not all of it may. @returns undefined where it says nothing, or says it wrongly */
export function sparseAreas(capabilities: readonly RegionCapability[]): MappableArea[] | undefined {
  const sparse = capabilities.find(({ id }) => id === VFIO_REGION_INFO_CAP_SPARSE_MMAP);
  if (sparse === undefined) return undefined;
  // The layout's offsets count from the capability's header, which body is without.
  const whole = new Uint8Array(HEAD + sparse.body.length);
  whole.set(sparse.body, HEAD);
  const first = vfio_region_info_cap_sparse_mmap.size;
  if (whole.length < first) return undefined;
  const count = get(whole, vfio_region_info_cap_sparse_mmap.nr_areas);
  const area = vfio_region_sparse_mmap_area;
  if (first + count * area.size > whole.length) return undefined;
  return Array.from({ length: count }, (_, index) => {
    const one = whole.subarray(first + index * area.size);
    return { offset: get(one, area.offset), length: get(one, area.area_size) };
  });
}

/** Areas that may be mapped, as a capability. */
export function sparseCapability(areas: readonly MappableArea[]): RegionCapability {
  const area = vfio_region_sparse_mmap_area;
  const body = new Uint8Array(vfio_region_info_cap_sparse_mmap.size - HEAD + areas.length * area.size);
  set(body, [0, 'u32'], areas.length);
  areas.forEach(({ offset, length }, index) => {
    const one = body.subarray(vfio_region_info_cap_sparse_mmap.size - HEAD + index * area.size);
    set(one, area.offset, offset);
    set(one, area.area_size, length);
  });
  return { id: VFIO_REGION_INFO_CAP_SPARSE_MMAP, version: 1, body };
}
