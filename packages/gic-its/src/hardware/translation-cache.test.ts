import { describe, expect, it } from 'vitest';
import { INTID_MASK, PHYSICAL, TranslationCache } from './translation-cache.ts';

function intid(cache: TranslationCache, device: number, event: number): number | undefined {
  const at = cache.find(device, event);
  return at < 0 ? undefined : cache.words[at]! & INTID_MASK;
}

describe('translations that are kept', () => {
  it('are found until they are forgotten, one or a device at a time', () => {
    const cache = new TranslationCache();
    for (const event of [0, 5, 2047]) cache.add(7, event, 8192 + event, PHYSICAL, 0, 1023);
    cache.add(8, 0, 9000, PHYSICAL, 0, 1023);
    expect([0, 5, 2047].map((event) => intid(cache, 7, event))).toEqual([8192, 8197, 10239]);
    cache.forget(7, 5);
    expect([intid(cache, 7, 5), intid(cache, 7, 0)]).toEqual([undefined, 8192]);
    cache.forgetDevice(7);
    expect([intid(cache, 7, 0), intid(cache, 8, 0)]).toEqual([undefined, 9000]);
  });

  it('are found of any device, whichever came first', () => {
    const cache = new TranslationCache();
    const devices = [0x4008, 0xffff, 0x10, 0x4009, 0, 0x2_00, 0x8000];
    devices.forEach((device, n) => { cache.add(device, 1, 9000 + n, PHYSICAL, 0, 1023); });
    expect(devices.map((device) => intid(cache, device, 1))).toEqual(devices.map((_, n) => 9000 + n));
    expect([intid(cache, 1, 1), intid(cache, 0x400a, 1), intid(cache, 0xfffe, 1)]).toEqual([undefined, undefined, undefined]);
    cache.forgetDevice(0x10);
    expect([intid(cache, 0x10, 1), intid(cache, 0, 1)]).toEqual([undefined, 9004]);
  });

  it('are not kept past the events of a PCI function, nor past 16 bits', () => {
    const cache = new TranslationCache();
    cache.add(7, 2048, 8192, PHYSICAL, 0, 1023);
    cache.add(0x1_0000, 0, 8192, PHYSICAL, 0, 1023);
    expect([cache.find(7, 2048), cache.find(0x1_0000, 0), cache.find(0xffff_ffff, 0xffff_ffff)]).toEqual([-1, -1, -1]);
  });

  it('take bounded space: when it is used up all of them go', () => {
    const cache = new TranslationCache();
    for (let device = 0; device < 600; device += 1) cache.add(device, 2047, 8192, PHYSICAL, 0, 1023);
    expect(cache.words.length).toBeLessThanOrEqual(0x20_0000);
    expect([intid(cache, 0, 2047), intid(cache, 599, 2047)]).toEqual([undefined, 8192]);
  });
});
