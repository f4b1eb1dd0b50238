/** What a reader of incomplete facts asks of the tables of quirks. Their rules: iommu-groups.test.ts. */
import { describe, expect, it } from 'vitest';
import { hasWideAcs, quirkDeviceIds, quirkVendors } from './acs-quirks.ts';
import { aliasDeviceIds, aliasVendors } from './dma-aliases.ts';
import type { PciFacts } from './facts.ts';

const INTEL = 0x8086;
const [ENDPOINT, ROOT_PORT, DOWNSTREAM] = [0, 4, 6];

describe('the tables of quirks', () => {
  it('tell the ids of a vendor, of all kinds or of one', () => {
    expect(quirkDeviceIds(INTEL)).toContain(0x10c9);
    expect(quirkDeviceIds(INTEL)).toContain(0x1c10);
    expect(quirkDeviceIds(INTEL, ENDPOINT)).toContain(0x10c9);
    expect(quirkDeviceIds(INTEL, ENDPOINT)).not.toContain(0x1c10);
    expect(quirkDeviceIds(INTEL, ROOT_PORT)).toContain(0xa110);
    expect(quirkDeviceIds(0x1d17, DOWNSTREAM)).toContain(0x0710);
    expect(quirkDeviceIds(0x1d17, ENDPOINT)).toEqual([0x3038, 0x3104, 0x9083]);
    expect(quirkDeviceIds(0x1b36)).toEqual([]);
    expect(quirkVendors()).toContain(0x1c36);
    for (const vendor of quirkVendors()) expect(quirkDeviceIds(vendor)).not.toEqual([]);
  });

  it('tell the ids with another requester id', () => {
    expect(aliasDeviceIds(0x10b5)).toEqual([0x87b0, 0x87b1]);
    expect(aliasDeviceIds(INTEL)).toEqual([0x2260, 0x2264, 0x2954, 0x2955, 0x2956, 0x2958, 0x2959, 0x295a]);
    expect(aliasDeviceIds(0x1b36)).toEqual([]);
    for (const vendor of aliasVendors()) expect(aliasDeviceIds(vendor)).not.toEqual([]);
  });

  it('tell root ports whose ACS registers are dwords', () => {
    const facts = (vendor: number, device: number, expressType: number | undefined): PciFacts => ({ address: '0000:00:1c.0', vendor, device, subsystemVendor: 0, subsystem: 0, class: 0x06_0400, multifunctionBit: true, secondaryBus: 1, isBridge: true, expressType, acs: undefined, sriov: undefined });
    expect(hasWideAcs(facts(INTEL, 0x9d1b, ROOT_PORT))).toBe(true);
    expect(hasWideAcs(facts(INTEL, 0x9d1c, ROOT_PORT))).toBe(false);
    expect(hasWideAcs(facts(INTEL, 0x9d1b, DOWNSTREAM))).toBe(false);
    expect(hasWideAcs(facts(0x1022, 0x9d1b, ROOT_PORT))).toBe(false);
  });
});
