/**
 * Where QEMU's devices let software write less, or more, than the specifications say of their structures: dwords by offset, for
 * functions of a recorded machine. Taken from the recorded permission maps.
 */

/** Write masks by `vendor:device` in hex. */
export const RECORDED_WRITE_MASKS: ReadonlyMap<string, Readonly<Record<number, number>>> = new Map([
  // e100: the power state cannot be changed.
  ['8086:1209', { 0xe0: 0 }],
  // igb: no error reporting in DEVCTL.
  ['8086:10c9', { 0x44: 0x0000_1f03, 0xa8: 0x8000 }],
  // e1000e: the same.
  ['8086:10d3', { 0xcc: 0x0000_1f03, 0xe8: 0 }],
  // nvme: no data selection in PMCSR.
  ['1b36:0010', { 0x64: 0x0000_0003, 0x88: 0x800f }],
  // xhci: no error reporting.
  ['1b36:000d', { 0xa8: 0 }],
  // virtio-net, modern: FLR and no data selection; the window of its configuration access capability.
  ['1af4:1041', { 0x80: 0x0000_0003, 0x48: 0x800f, 0xcc: 0x0000_00ff, 0xd0: 0xffff_ffff, 0xd4: 0xffff_ffff, 0xd8: 0xffff_ffff }],
  ['1af4:1005', { 0x88: 0x0000_00ff, 0x8c: 0xffff_ffff, 0x90: 0xffff_ffff, 0x94: 0xffff_ffff }],
  ['1af4:1000', { 0x88: 0x0000_00ff, 0x8c: 0xffff_ffff, 0x90: 0xffff_ffff, 0x94: 0xffff_ffff }],
  ['1af4:1009', { 0x88: 0x0000_00ff, 0x8c: 0xffff_ffff, 0x90: 0xffff_ffff, 0x94: 0xffff_ffff }],
]);
