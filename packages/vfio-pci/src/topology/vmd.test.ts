import { expect, it } from 'vitest';
import type { PciFacts } from './facts.ts';
import { vmdsAbove } from './vmd.ts';

function fn(address: string, device: number, vmd?: string): PciFacts {
  return { address, vendor: 0x8086, device, subsystemVendor: 0, subsystem: 0, class: 0, multifunctionBit: false, secondaryBus: undefined, isBridge: false, expressType: undefined, acs: undefined, sriov: undefined, vmd };
}

it('names the VMDs that a function may be below: the told one, or all', () => {
  const two = [fn('0000:00:0e.0', 0x467f), fn('0000:80:0e.0', 0x28c0), fn('0000:00:02.0', 0x46a6)];
  expect(vmdsAbove(fn('10000:e1:00.0', 1), two)).toEqual(['0000:00:0e.0', '0000:80:0e.0']);
  expect(vmdsAbove(fn('10000:e1:00.0', 1, '0000:80:0e.0'), two)).toEqual(['0000:80:0e.0']);
  expect(vmdsAbove(fn('10000:e1:00.0', 1, '0000:00:02.0'), two)).toEqual([]);
  expect(vmdsAbove(fn('ffff:e1:00.0', 1), two)).toEqual([]);
});
