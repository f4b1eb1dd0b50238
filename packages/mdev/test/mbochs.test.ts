import { describe, expect, it } from 'vitest';
import {
  get,
  getDeviceFd,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  MAP_PRIVATE,
  MAP_SHARED,
  set,
  setIrqs,
  VFIO_DEVICE_GET_GFX_DMABUF,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_QUERY_GFX_PLANE,
  VFIO_DEVICE_RESET,
  vfio_device_gfx_plane_info,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  vfio_region_info,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import { why } from '../../../testing/why.ts';
import { GFX_LINK, GFX_PLANE, PAST_FRAMEBUFFER, VBE, vfio_region_gfx_edid, XRGB8888 } from '../src/index.ts';
import { setUp, subjectOf, UUID, uuidOf, type MdevHost } from './set-up.ts';

const PAGE = 4096;
const BAR0 = 3 * PAGE;
const MMIO = PAGE;
const EDID = 2 * PAGE;
const PRIMARY = 1;

/** A display that is open, with its registers. */
function display(type = 'mbochs-small') {
  const made = setUp();
  made.create(type);
  const { root } = made;
  const { device, group } = made.open();
  const read = (at: number, length: number) => {
    const into = new Uint8Array(length);
    root.pread(device, into, at);
    return into;
  };
  const word = (at: number) => get(read(at, 4), [0, 'u32']);
  const store = (at: number, value: number) => {
    const bytes = new Uint8Array(4);
    set(bytes, [0, 'u32'], value);
    root.pwrite(device, bytes, at);
  };
  const vbe = (register: keyof typeof VBE, value?: number) => {
    const at = MMIO + 0x500 + 2 * VBE[register];
    if (value !== undefined) root.pwrite(device, Uint8Array.of(value & 0xff, value >> 8), at);
    return get(read(at, 2), [0, 'u16']);
  };
  const show = (width: number, height: number, extra: readonly (readonly [keyof typeof VBE, number])[] = []) => {
    const plain = [['XRES', width], ['YRES', height], ['BPP', 32], ['ENABLE', 1], ['X_OFFSET', 0], ['Y_OFFSET', 0], ['VIRT_WIDTH', 0]] as const;
    for (const [register, value] of [...plain, ...extra]) vbe(register, value);
  };
  const query = (flags: number = GFX_PLANE.DMABUF, type_: number = PRIMARY) => {
    const plane = new Uint8Array(vfio_device_gfx_plane_info.size);
    set(plane, vfio_device_gfx_plane_info.argsz, 60);
    set(plane, vfio_device_gfx_plane_info.flags, flags);
    set(plane, vfio_device_gfx_plane_info.drm_plane_type, type_);
    plane.fill(0xee, 12, 60);
    root.ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, plane);
    const { drm_format, width, height, stride, plane_size, x_hot, y_hot, region_index } = vfio_device_gfx_plane_info;
    return [drm_format, width, height, stride, plane_size, x_hot, y_hot, region_index].map((field) => get(plane, field));
  };
  const dmabuf = (id: number) => root.ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, new Uint8Array(new Uint32Array([id]).buffer));
  return { ...hostOf(made), device, group, read, word, store, vbe, show, query, dmabuf };
}

function hostOf({ root, host, events, create, remove, left }: MdevHost) {
  return { root, host, events, create, remove, left };
}

describe.each<ProfileName>(['linux-5.13', 'linux-6.1'])('an mbochs on %s', (profile) => {
  for (const { name, run } of vfioDeviceSuite(() => subjectOf('mbochs-medium', profile))) {
    it(name, run);
  }
});

describe('mbochs', () => {
  it('shares 256 MB among cards of 4, 16 and 64, and refuses beyond: ENOSPC, before 6.1 ENOMEM', () => {
    for (const [profile, errno] of [['linux-6.1', 'ENOSPC'], ['linux-5.13', 'ENOMEM']] as const) {
      const { create, left, remove, root } = setUp(profile);
      for (let n = 0; n < 3; n += 1) create('mbochs-large', uuidOf(n));
      create('mbochs-medium', uuidOf(3));
      expect(['small', 'medium', 'large'].map((type) => left(`mbochs-${type}`))).toEqual([12, 3, 0]);
      expect(outcomeOf(() => create('mbochs-large', uuidOf(4)))).toBe(errno);
      remove(uuidOf(0));
      create('mbochs-large', uuidOf(4));
      const type = '/sys/class/mdev_bus/mbochs/mdev_supported_types/mbochs-medium';
      expect([root.readFile(`${type}/name`), root.readFile(`${type}/description`), root.readFile(`/sys/bus/mdev/devices/${uuidOf(3)}/vendor/memory`)]).toEqual([
        'mbochs-medium\n', 'virtual display, 16 MB video memory\n', '16 MB\n',
      ]);
    }
  });

  it('has ten regions at offsets of its own, no interrupts, and an EDID region with a type', () => {
    const { root, device } = display();
    expect(getDeviceInfo(root, device)).toEqual({ flags: 2, numRegions: 10, numIrqs: 5 });
    const region = (index: number) => {
      const { offset, size, flags } = getRegionInfo(root, device, index);
      return [Number(offset), Number(size), flags];
    };
    expect([region(7), region(0), region(2), region(1)]).toEqual([[0, 0xff, 3], [BAR0, 0x40_0000, 7], [MMIO, PAGE, 3], [0, 0, 0]]);
    const edid = getRegionInfo(root, device, 9);
    expect([region(9), edid.capabilities.map(({ id, version, data }) => [id, version, [...data]])]).toEqual([[EDID, PAGE, 11], [[2, 1, [1, 0, 0, 0, 1, 0, 0, 0]]]]);
    expect(outcomeOf(() => getRegionInfo(root, device, 10))).toBe('EINVAL');
    // Up to 48 bytes, and what goes out is cut to what was asked for.
    const raw = (argsz: number, index: number) => {
      const bytes = new Uint8Array(64);
      set(bytes, vfio_region_info.argsz, argsz);
      set(bytes, vfio_region_info.index, index);
      const outcome = outcomeOf(() => root.ioctl(device, VFIO_DEVICE_GET_REGION_INFO, bytes));
      return [outcome, get(bytes, vfio_region_info.argsz), get(bytes, vfio_region_info.cap_offset), bytes[32]];
    };
    expect([raw(31, 9), raw(32, 9), raw(48, 9), raw(49, 9), raw(49, 0)]).toEqual([['EINVAL', 31, 0, 0], ['success', 48, 32, 0], ['success', 48, 32, 2], ['EINVAL', 49, 0, 0], ['EINVAL', 49, 0, 0]]);
    expect([getIrqInfo(root, device, 0), outcomeOf(() => getIrqInfo(root, device, 5)), outcomeOf(() => setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0))]).toEqual([{ flags: 0, count: 0 }, 'EINVAL', 'EINVAL']);
  });

  it('is a PCI display whose two BARs can be sized', () => {
    const { word, store } = display();
    expect([word(0), word(8), word(0x10), word(0x18)]).toEqual([0x1111_1234, 0x0380_0001, 8, 0]);
    store(0x10, 0xffff_ffff);
    store(0x18, 0xffff_ffff);
    store(0x14, 0xffff_ffff);
    expect([word(0x10), word(0x14), word(0x18)]).toEqual([0xffc0_0008, 0, 0xffff_f000]);
    store(0x10, 0xe000_0000);
    expect(word(0x10)).toBe(0xe000_0008);
  });

  it('has VBE registers of 16 bits, read and written whole', () => {
    const { vbe, read, root, device } = display('mbochs-large');
    expect([vbe('ID'), vbe('VIDEO_MEMORY_64K'), vbe('XRES')]).toEqual([0xb0c5, 1024, 0]);
    expect([vbe('XRES', 800), [...read(MMIO + 0x500, 4)], [...read(MMIO + 0x502, 1)], vbe('XRES')]).toEqual([800, [0, 0, 0, 0], [0], 800]);
    root.pwrite(device, Uint8Array.of(1), MMIO + 0x502);
    expect([vbe('XRES'), get(read(MMIO + 0x516, 2), [0, 'u16'])]).toEqual([800, 0]);
    root.ioctl(device, VFIO_DEVICE_RESET);
    expect([vbe('ID'), vbe('XRES'), vbe('VIDEO_MEMORY_64K')]).toEqual([0xb0c5, 0, 1024]);
    for (const at of [0xff, 0xfff, 0x1_0000_0000]) expect([at, outcomeOf(() => read(at, 1))]).toEqual([at, 'EFAULT']);
  });

  it('[vfio 2.3/8] shows the monitor that user space plugs in: link down, data and size, link up', () => {
    const { word, store, read, root, device } = display();
    const register = (field: readonly [number, 'u32'], value?: number) => {
      if (value !== undefined) store(EDID + field[0], value);
      return word(EDID + field[0]);
    };
    const { edid_offset, edid_max_size, edid_size, max_xres, max_yres, link_state } = vfio_region_gfx_edid;
    expect([edid_offset, edid_max_size, edid_size, max_xres, max_yres, link_state].map((field) => register(field))).toEqual([0x800, 0x400, 0, 800, 600, 0]);
    // Read-only ones stay, parts of words are nothing.
    register(max_xres, 4000);
    root.pwrite(device, Uint8Array.of(9), EDID + edid_size[0]);
    expect([register(max_xres), register(edid_size), [...read(EDID + 0x16, 2)]]).toEqual([800, 0, [0, 0]]);
    register(link_state, GFX_LINK.DOWN);
    const blob = Uint8Array.from({ length: 256 }, (_, i) => i ^ 0x5a);
    root.pwrite(device, blob, EDID + 0x800);
    register(edid_size, 128);
    expect([...read(MMIO, 4)]).toEqual([0, 0, 0, 0]);
    register(link_state, GFX_LINK.UP);
    expect([[...read(MMIO, 128)], [...read(MMIO + 128, 4)], [...read(EDID + 0x800, 256)]]).toEqual([[...blob.subarray(0, 128)], [0, 0, 0, 0], [...blob]]);
    root.pwrite(device, Uint8Array.of(1, 2, 3, 4), EDID + 0xc00); // behind the blob
    expect([...read(EDID + 0xc00, 4)]).toEqual([0, 0, 0, 0]);
    register(link_state, GFX_LINK.DOWN);
    expect([...read(MMIO, 4)]).toEqual([0, 0, 0, 0]);
  });

  it('[mdev 37] maps its framebuffer rightly, and by pread and pwrite misses it by two pages', () => {
    const { root, device, read, events, group } = display();
    for (const refused of [() => root.mmap(device, PAGE, 0), () => root.mmap(device, PAGE, BAR0 + PAGE), () => root.mmap(device, 0x40_1000, BAR0), () => root.mmap(device, PAGE, BAR0, 3, MAP_PRIVATE)]) expect(outcomeOf(refused)).toBe('EINVAL');
    const screen = root.mmap(device, 0x40_0000, BAR0);
    screen.write(2 * PAGE + 8, 4, 0x1234_5678);
    expect([screen.read(0, 4), get(read(BAR0 + 8, 4), [0, 'u32'])]).toEqual([0, 0x1234_5678]);
    root.pwrite(device, Uint8Array.of(7, 0, 0, 0), BAR0);
    expect(screen.read(2 * PAGE, 4)).toBe(7);
    expect(events.filter(({ id }) => id === PAST_FRAMEBUFFER.id)).toEqual([]);
    expect([[...read(BAR0 + 0x40_0000 - 2 * PAGE, 4)], events.filter(({ id }) => id === PAST_FRAMEBUFFER.id).length, outcomeOf(() => read(BAR0 + 0x40_0000, 1))]).toEqual([[0, 0, 0, 0], 1, 'EFAULT']);
    // The mapping keeps the device open; everything is dropped with the last close.
    root.close(device);
    expect(screen.read(2 * PAGE, 4)).toBe(7);
    screen.unmap();
    const again = getDeviceFd(root, group, UUID);
    expect(root.mmap(again, PAGE * 4, BAR0).read(2 * PAGE, 4)).toBe(0);
  });

  it('answers a query for its primary plane with a dmabuf; for a new mode at the second time of asking', () => {
    const { query, show, vbe } = display();
    const nothing = [0, 0, 0, 0, 0, 0, 0, 0];
    expect(query()).toEqual(nothing);
    show(640, 480);
    expect([outcomeOf(() => query()), query(), query(GFX_PLANE.DMABUF, 2)]).toEqual(['ENOMEM', [XRGB8888, 640, 480, 2560, 1_228_800, 0, 0, 1], nothing]);
    show(320, 200, [['VIRT_WIDTH', 400], ['X_OFFSET', 10], ['Y_OFFSET', 2]]);
    expect([outcomeOf(() => query()), query()]).toEqual(['ENOMEM', [XRGB8888, 320, 200, 1600, 320_000, 0, 0, 2]]);
    show(640, 480);
    expect(query().at(-1)).toBe(1);
    // Modes that are none: off, another depth, too small, too large for the memory.
    for (const [register, value] of [['ENABLE', 0], ['BPP', 24], ['XRES', 63], ['YRES', 63], ['YRES', 1639], ['Y_OFFSET', 1159]] as const) {
      show(640, 480);
      vbe(register, value);
      expect([register, value, query()]).toEqual([register, value, nothing]);
    }
    // Probing, and flags that are none.
    expect([outcomeOf(() => query(GFX_PLANE.PROBE | GFX_PLANE.DMABUF)), outcomeOf(() => query(GFX_PLANE.PROBE | GFX_PLANE.REGION)), outcomeOf(() => query(GFX_PLANE.PROBE)), outcomeOf(() => query(GFX_PLANE.REGION)), outcomeOf(() => query(0)), outcomeOf(() => query(7))]).toEqual(['success', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL']);
  });

  it('gives a dmabuf as an fd that outlives the device, and refuses ids that are none and framebuffers within a page', () => {
    const { root, device, host, query, show, dmabuf, group } = display();
    show(640, 480, [['Y_OFFSET', 8]]); // 8 lines of 2560 bytes: five pages
    outcomeOf(() => query());
    expect([outcomeOf(() => dmabuf(0)), outcomeOf(() => dmabuf(2)), outcomeOf(() => root.ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, 0))]).toEqual(['ENOENT', 'ENOENT', 'EFAULT']);
    const fd = dmabuf(1);
    show(320, 240, [['X_OFFSET', 4]]);
    outcomeOf(() => query());
    expect(outcomeOf(() => dmabuf(2))).toBe('EINVAL');
    root.close(device);
    const again = getDeviceFd(root, group, UUID);
    expect(outcomeOf(() => root.ioctl(again, VFIO_DEVICE_GET_GFX_DMABUF, new Uint8Array([1, 0, 0, 0])))).toBe('ENOENT');
    const before = host.pages.used;
    root.close(fd);
    expect(host.pages.used).toBe(before - 1024);
  });

  it('[mdev 31] gives a dmabuf that nobody can map: its fd is for reading, and it asks for a shared mapping of a writer', () => {
    const { root, query, show, dmabuf, events } = display();
    show(640, 480);
    outcomeOf(() => query());
    const fd = dmabuf(1);
    expect(why(events, () => root.mmap(fd, PAGE))).toBe('EACCES mdev/dma-buf: a dmabuf of mbochs has no mmap of this kind');
    const map = (prot: number, flags: number) => outcomeOf(() => root.mmap(fd, PAGE, 0, prot, flags));
    expect([map(3, MAP_SHARED), map(1, MAP_SHARED), map(3, MAP_PRIVATE), map(1, MAP_PRIVATE)]).toEqual(['EACCES', 'EINVAL', 'EINVAL', 'EINVAL']);
  });

  it('[mdev 32] gives a dmabuf that tells its size, takes a name and a SYNC, and is not read or written', () => {
    const { root, query, show, dmabuf } = display();
    show(100, 70); // 28,000 bytes, which is no whole page
    outcomeOf(() => query());
    const fd = dmabuf(1);
    expect([root.lseek(fd, 0, 2), root.lseek(fd, 0, 0)]).toEqual([28_000, 0]);
    expect([[0, 1], [4, 0], [-4, 2]].map(([offset, whence]) => outcomeOf(() => root.lseek(fd, offset!, whence!)))).toEqual(['EINVAL', 'EINVAL', 'EINVAL']);
    const byte = new Uint8Array(1);
    expect([() => root.read(fd, byte), () => root.write(fd, byte), () => root.pread(fd, byte, 0), () => root.pwrite(fd, byte, 0)].map(outcomeOf)).toEqual(['EINVAL', 'EBADF', 'ESPIPE', 'ESPIPE']);
    const sync = (flags: number) => outcomeOf(() => root.ioctl(fd, 0x4008_6200, new Uint8Array(new BigUint64Array([BigInt(flags)]).buffer)));
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(sync)).toEqual(['EINVAL', 'success', 'success', 'success', 'EINVAL', 'success', 'success', 'success', 'EINVAL', 'EINVAL']);
    const name = (request: number, text: string) => outcomeOf(() => root.ioctl(fd, request, new TextEncoder().encode(`${text}\0`)));
    expect([name(0x4004_6201, 'screen'), name(0x4008_6201, ''), name(0x4008_6201, 'x'.repeat(32)), outcomeOf(() => root.ioctl(fd, 0x6200, byte))]).toEqual(['success', 'success', 'EINVAL', 'ENOTTY']);
    expect(root.poll([{ fd, events: 5 }])).toEqual([5]);
  });

  it('[mdev 33] gives ids from 1, one for each mode, and none twice, also after a close', () => {
    const { root, device, group, show, query, vbe } = display();
    for (const width of [640, 320, 640, 64]) {
      show(width, 64);
      outcomeOf(() => query());
    }
    expect([query().at(-1), vbe('XRES', 640), query().at(-1)]).toEqual([3, 640, 1]);
    root.close(device);
    const again = getDeviceFd(root, group, UUID);
    const plane = new Uint8Array(vfio_device_gfx_plane_info.size);
    set(plane, vfio_device_gfx_plane_info.argsz, 60);
    set(plane, vfio_device_gfx_plane_info.flags, GFX_PLANE.DMABUF);
    set(plane, vfio_device_gfx_plane_info.drm_plane_type, PRIMARY);
    const ask = () => outcomeOf(() => root.ioctl(again, VFIO_DEVICE_QUERY_GFX_PLANE, plane));
    expect([ask(), ask(), get(plane, vfio_device_gfx_plane_info.region_index)]).toEqual(['ENOMEM', 'success', 4]);
  });

  it('[mdev 34] has a primary plane alone, that may fill its memory to the last byte; a virtual width counts if it is larger, a height never', () => {
    const { query, show } = display();
    const shown = (width: number, height: number, extra: readonly (readonly [keyof typeof VBE, number])[] = [], type = PRIMARY) => {
      show(width, height, extra);
      outcomeOf(() => query(GFX_PLANE.DMABUF, type)); // a new mode is ENOMEM first
      return query(GFX_PLANE.DMABUF, type).slice(1, 5);
    };
    expect([0, 2, 77].map((type) => shown(640, 480, [], type))).toEqual([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]);
    expect([shown(1024, 1024), shown(1024, 1025)]).toEqual([[1024, 1024, 4096, 0x40_0000], [0, 0, 0, 0]]);
    expect([shown(1024, 1023, [['Y_OFFSET', 1]]), shown(1024, 1023, [['X_OFFSET', 1], ['Y_OFFSET', 1]])]).toEqual([[1024, 1023, 4096, 0x3f_f000], [0, 0, 0, 0]]);
    expect([shown(640, 480, [['VIRT_WIDTH', 639]]), shown(640, 480, [['VIRT_WIDTH', 641]]), shown(640, 480, [['VIRT_HEIGHT', 4000]])].map((plane) => plane[2])).toEqual([2560, 2564, 2560]);
  });

  it('[mdev 36] takes any link state and size of an EDID, and gives the block only for link state 1; all of it survives RESET and close', () => {
    const { word, store, read, root, device, group } = display();
    const { edid_size, link_state } = vfio_region_gfx_edid;
    const [size, link] = [EDID + edid_size[0], EDID + link_state[0]];
    root.pwrite(device, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), EDID + 0x800);
    for (const value of [0xffff_ffff, 77]) {
      store(size, value);
      store(link, value);
      expect([word(size), word(link), word(MMIO)]).toEqual([value, value, 0]);
    }
    root.pwrite(device, Uint8Array.of(9, 9), size + 1);
    store(size, 5);
    store(link, 1);
    // What begins below the size is given whole.
    expect([word(size), [...read(MMIO + 4, 4)], [...read(MMIO + 8, 4)]]).toEqual([5, [5, 6, 7, 8], [0, 0, 0, 0]]);
    expect([[...read(EDID + 0xbfe, 4)], [...read(size + 2, 4)]]).toEqual([[0, 0, 0, 0], [0, 0, 0, 0]]);
    root.ioctl(device, VFIO_DEVICE_RESET);
    root.close(device);
    const again = getDeviceFd(root, group, UUID);
    const kept = new Uint8Array(8);
    root.pread(again, kept.subarray(0, 4), size);
    root.pread(again, kept.subarray(4), MMIO);
    expect([...kept]).toEqual([5, 0, 0, 0, 1, 2, 3, 4]);
  });

  it('[mdev 37] keeps its VBE registers over a close, and not its memory', () => {
    const { root, device, store, vbe, group } = display();
    vbe('XRES', 640);
    store(BAR0, 7);
    root.close(device);
    const again = getDeviceFd(root, group, UUID);
    const two = new Uint8Array(2);
    root.pread(again, two, MMIO + 0x500 + 2 * VBE.XRES);
    expect([get(two, [0, 'u16']), root.mmap(again, PAGE * 4, BAR0).read(2 * PAGE, 4)]).toEqual([640, 0]);
  });

  it('[mdev 35] writes as much of GET_REGION_INFO as was asked for, zeros behind the struct of each region', () => {
    const { root, device } = display();
    const behind = (index: number, argsz: number) => {
      const bytes = new Uint8Array(64).fill(0xee);
      set(bytes, vfio_region_info.argsz, argsz);
      set(bytes, vfio_region_info.index, index);
      root.ioctl(device, VFIO_DEVICE_GET_REGION_INFO, bytes);
      return [get(bytes, vfio_region_info.argsz), bytes.subarray(32).filter((byte) => byte === 0).length, bytes.indexOf(0xee, 32)];
    };
    expect([behind(0, 32), behind(0, 33), behind(2, 47), behind(7, 48)]).toEqual([[32, 0, 32], [33, 1, 33], [47, 15, 47], [48, 16, 48]]);
  });
});
