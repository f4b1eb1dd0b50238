import { toBigint } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { encode, OPCODE, type VmappFields } from './commands.ts';

function words(build: (to: Uint32Array) => void): string {
  const to = new Uint32Array(8).fill(0xffff_ffff);
  build(to);
  return [0, 2, 4, 6].map((i) => toBigint(to[i]!, to[i + 1]!).toString(16)).join(' ');
}

const VPE: VmappFields = {
  vpeid: 5,
  valid: true,
  rdbase: 2,
  vptAddress: 0x8_8123_0000,
  vptSize: 15,
  alloc: true,
  ptz: false,
  vconfAddress: 0x8_8200_0000,
  defaultDoorbell: 8193,
};
const SGI = { enabled: true, group1: true, priority: 0xa0 };
const V40 = { alloc: false, vconfAddress: 0, defaultDoorbell: 0 };

describe('golden command words', () => {
  it.each<[string, (to: Uint32Array) => void, string]>([
    ['MAPD [gic 9.1/1]', (to) => encode.mapd(to, 2, 2, 0x4000_1200, true), '200000008 2 8000000040001200 0'],
    ['MAPD V=0 [gic 9.1/2]', (to) => encode.mapd(to, 2, 0, 0, false), '200000008 0 0 0'],
    ['MAPC [gic 9.1/3]', (to) => encode.mapc(to, 3, 3, true), '9 0 8000000000030003 0'],
    ['MAPTI [gic 9.1/4]', (to) => encode.mapti(to, 2, 20, 8195, 3), '20000000a 200300000014 3 0'],
    ['INT [gic 9.1/5]', (to) => encode.event(to, OPCODE.INT, 2, 20), '200000003 14 0 0'],
    ['INT by its name', (to) => encode.int(to, 2, 20), '200000003 14 0 0'],
    ['CLEAR by its name', (to) => encode.clear(to, 2, 20), '200000004 14 0 0'],
    ['INV by its name', (to) => encode.inv(to, 2, 20), '20000000c 14 0 0'],
    ['DISCARD by its name', (to) => encode.discard(to, 2, 20), '20000000f 14 0 0'],
    ['MOVI [gic 9.1/6]', (to) => encode.movi(to, 2, 20, 2), '200000001 14 2 0'],
    ['SYNC [gic 9.1/7]', (to) => encode.sync(to, 3), '5 0 30000 0'],
    ['MOVALL [gic 9.1/8]', (to) => encode.movall(to, 1, 2), 'e 0 10000 20000'],
    ['VMAPP v4.1 [gic 9.1/9]', (to) => encode.vmapp(to, VPE), '882000129 500002001 8000000000020000 88123000f'],
    ['VMAPP v4.1 with PTZ [gic 9.1/10]', (to) => encode.vmapp(to, { ...VPE, ptz: true }), '882000329 500002001 8000000000020000 88123000f'],
    ['VMAPP v4.1 V=0 [gic 9.1/11]', (to) => encode.vmapp(to, { ...VPE, ...V40, valid: false, alloc: true, rdbase: 0, vptAddress: 0, vptSize: 0 }), '129 500000000 0 0'],
    ['VMAPP v4.0 [gic 9.1/12]', (to) => encode.vmapp(to, { ...VPE, ...V40 }), '29 500000000 8000000000020000 88123000f'],
    ['VMAPTI [gic 9.1/13]', (to) => encode.vmapti(to, 0x10, 1, 5, 8195, 1023), '100000002a 500000001 3ff00002003 0'],
    ['VMOVI [gic 9.1/14]', (to) => encode.vmovi(to, 0x10, 1, 6, 1023), '1000000021 600000001 3ff00000001 0'],
    ['VMOVP v4.1 [gic 9.1/15]', (to) => encode.vmovp(to, 5, 4, 0, 0, 8193), '22 500000000 8000000000040000 2001'],
    ['VMOVP v4.0 [gic 9.1/16]', (to) => encode.vmovp(to, 5, 4, 7, 3, undefined), '700000022 500000003 40000 0'],
    ['VSYNC [gic 9.1/17]', (to) => encode.vpe(to, OPCODE.VSYNC, 5), '25 500000000 0 0'],
    ['VINVALL [gic 9.1/17]', (to) => encode.vpe(to, OPCODE.VINVALL, 5), '2d 500000000 0 0'],
    ['VSGI [gic 9.1/18]', (to) => encode.vsgi(to, 5, 7, SGI, false), '700a00523 500000000 0 0'],
    ['VSGI with Clear [gic 9.1/19]', (to) => encode.vsgi(to, 5, 7, SGI, true), '700a00723 500000000 0 0'],
    ['INVDB [gic 9.1/17]', (to) => encode.vpe(to, OPCODE.INVDB, 5), '2e 500000000 0 0'],
  ])('%s', (_name, build, expected) => {
    expect(words(build)).toBe(expected);
  });
});
