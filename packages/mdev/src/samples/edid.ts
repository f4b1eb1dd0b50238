/**
 * The EDID region of a mediated display: user space says which monitor is plugged in. Kernel: struct vfio_region_gfx_edid. The monitor is changed in three steps: link down, blob and size, link up.
 */
import { get, set } from '@vsim/vfio-core';

/**
 * Layout of the registers of an EDID region: where the blob is, its greatest and its present bytes, the greatest resolution in pixels, and
 * the link's state. Kernel: struct vfio_region_gfx_edid.
 */
export const vfio_region_gfx_edid = {
  size: 24,
  edid_offset: [0, 'u32'],
  edid_max_size: [4, 'u32'],
  edid_size: [8, 'u32'],
  max_xres: [12, 'u32'],
  max_yres: [16, 'u32'],
  link_state: [20, 'u32'],
} as const;

/** Values of vfio_region_gfx_edid.link_state: whether the monitor is plugged in (VFIO_DEVICE_GFX_LINK_STATE_*). */
export const GFX_LINK = { UP: 1, DOWN: 2 } as const;

const BLOB_OFFSET = 0x800;
const BLOB_BYTES = 0x400;

export class EdidRegion {
  readonly #registers = new Uint8Array(vfio_region_gfx_edid.size);
  readonly #blob = new Uint8Array(BLOB_BYTES);

  /**
   * A region without a monitor.
   *
   * @param maxWidth of the largest resolution, in pixels; 0 is no limit
   * @param maxHeight of the largest resolution, in pixels; 0 is no limit
   */
  constructor(maxWidth: number, maxHeight: number) {
    set(this.#registers, vfio_region_gfx_edid.edid_offset, BLOB_OFFSET);
    set(this.#registers, vfio_region_gfx_edid.edid_max_size, BLOB_BYTES);
    set(this.#registers, vfio_region_gfx_edid.max_xres, maxWidth);
    set(this.#registers, vfio_region_gfx_edid.max_yres, maxHeight);
  }

  /**
   * An access to the region. Registers are words, two of them writable; what is no register reads as zero.
   *
   * @param at offset in the region
   */
  access(bytes: Uint8Array, at: number, write: boolean): void {
    const [from, start] = at < BLOB_OFFSET ? [this.#registers, at] : [this.#blob, at - BLOB_OFFSET];
    const whole = at >= BLOB_OFFSET || (bytes.length === 4 && at % 4 === 0);
    if (!whole || start + bytes.length > from.length) {
      if (!write) bytes.fill(0);
      return;
    }
    if (!write) bytes.set(from.subarray(start, start + bytes.length));
    else if (at >= BLOB_OFFSET || at === vfio_region_gfx_edid.edid_size[0] || at === vfio_region_gfx_edid.link_state[0]) from.set(bytes, start);
  }

  /** The guest reads the monitor's data: zeros while none is plugged in, and behind its end. @param at offset in the blob */
  read(bytes: Uint8Array, at: number): void {
    const plugged = get(this.#registers, vfio_region_gfx_edid.link_state) === GFX_LINK.UP;
    if (!plugged || at >= get(this.#registers, vfio_region_gfx_edid.edid_size)) bytes.fill(0);
    else bytes.set(this.#blob.subarray(at, at + bytes.length));
  }
}
