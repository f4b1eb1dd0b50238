import { FdtError, FdtNode } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { describeDevices } from './devices.ts';

type Value = readonly number[] | string;

function node(parent: FdtNode | undefined, name: string, properties: Readonly<Record<string, Value>>): FdtNode {
  const made = new FdtNode(name, parent);
  parent?.children.push(made);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === 'string') {
      made.properties.set(key, new TextEncoder().encode(`${value}\0`));
      continue;
    }
    const bytes = new Uint8Array(4 * value.length);
    value.forEach((cell, i) => { new DataView(bytes.buffer).setUint32(4 * i, cell); });
    made.properties.set(key, bytes);
  }
  return made;
}

/** A tree with a GIC, phandle 1, whose children are looked at by `device`. */
function tree() {
  const root = node(undefined, '', { '#address-cells': [1], '#size-cells': [1], 'interrupt-parent': [1] });
  node(root, 'intc@8000000', { phandle: [1], 'interrupt-controller': [], '#interrupt-cells': [3], '#address-cells': [2] });
  const interrupts = (path: string) => describeDevices(root).find((device) => device.path === path)?.interrupts;
  return { root, interrupts };
}

describe('interrupts of a device tree', () => {
  it('go up to the nearest parent that has cells for them', () => {
    const { root, interrupts } = tree();
    const bus = node(root, 'soc', { compatible: 'simple-bus', '#address-cells': [1], '#size-cells': [1], ranges: [] });
    node(bus, 'uart@1000', { compatible: 'a', reg: [0x1000, 4], interrupts: [0, 5, 4, 1, 3, 8] });
    expect(interrupts('/soc/uart@1000')).toEqual([{ intid: 37, trigger: 'level-high' }, { intid: 19, trigger: 'level-low' }]);
  });

  it('have four ranges of INTIDs', () => {
    const { root, interrupts } = tree();
    node(root, 'dev', { compatible: 'a', interrupts: [0, 1, 1, 1, 1, 2, 2, 1, 4, 3, 1, 8] });
    expect(interrupts('/dev')?.map(({ intid }) => intid)).toEqual([33, 17, 4097, 1057]);
    // No other: the list ends there.
    node(root, 'odd', { compatible: 'a', interrupts: [0, 1, 1, 7, 1, 1, 0, 2, 1] });
    expect(interrupts('/odd')?.map(({ intid }) => intid)).toEqual([33]);
  });

  it('pass a nexus by its map, whose mask leaves out what does not count', () => {
    const { root, interrupts } = tree();
    const bus = node(root, 'bus', {
      compatible: 'simple-bus',
      '#address-cells': [2],
      '#size-cells': [1],
      '#interrupt-cells': [1],
      ranges: [],
      'interrupt-map-mask': [0, 0, 63],
      // Unit address, specifier; phandle; the GIC's unit address and specifier.
      'interrupt-map': [0, 0, 0, 1, 0, 0, 0, 0, 4, 0, 0, 15, 1, 0, 0, 0, 15, 1],
    });
    node(bus, 'ethernet@200000000', { compatible: 'smsc', reg: [2, 0, 0x1000], interrupts: [15] });
    node(bus, 'nowhere', { compatible: 'a', interrupts: [7] });
    expect(interrupts('/bus/ethernet@200000000')).toEqual([{ intid: 47, trigger: 'edge-rising' }]);
    expect(interrupts('/bus/nowhere')).toEqual([]);
  });

  it('may name a controller each; the list ends where one is no GIC, or is not there', () => {
    const { root, interrupts } = tree();
    node(root, 'gpio', { phandle: [2], 'interrupt-controller': [], '#interrupt-cells': [2] });
    node(root, 'dev', { compatible: 'a', 'interrupts-extended': [1, 0, 9, 4, 2, 3, 1, 1, 0, 10, 4], interrupts: [0, 99, 4] });
    node(root, 'lost', { compatible: 'a', 'interrupts-extended': [9, 1] });
    expect(interrupts('/dev')).toEqual([{ intid: 41, trigger: 'level-high' }]);
    expect(interrupts('/lost')).toEqual([]);
  });

  it('refuses circles, cut entries and counts that nothing has', () => {
    const wrong: readonly ((root: FdtNode) => void)[] = [
      (root) => {
        const a = node(root, 'a', { compatible: 'a', phandle: [5], 'interrupt-parent': [6], interrupts: [1, 2, 3] });
        node(root, 'b', { phandle: [6], 'interrupt-parent': [5] });
        a.properties.delete('#interrupt-cells');
      },
      (root) => {
        node(root, 'x', { phandle: [5], '#interrupt-cells': [1], '#address-cells': [0], 'interrupt-map-mask': [0], 'interrupt-map': [0, 5, 0] });
        node(root, 'a', { compatible: 'a', 'interrupt-parent': [5], interrupts: [1] });
      },
      (root) => node(root, 'a', { compatible: 'a', interrupts: [0, 1] }),
      (root) => node(root, 'a', { compatible: 'a', 'interrupts-extended': [1, 0, 1] }),
      (root) => {
        node(root, 'x', { phandle: [5], '#interrupt-cells': [0xffff_ffff] });
        node(root, 'a', { compatible: 'a', 'interrupt-parent': [5], interrupts: [1] });
      },
      (root) => {
        node(root, 'x', { phandle: [5], '#interrupt-cells': [1], '#address-cells': [0xffff_ffff], 'interrupt-map': [1] });
        node(root, 'a', { compatible: 'a', 'interrupt-parent': [5], interrupts: [1] });
      },
    ];
    for (const build of wrong) {
      const { root } = tree();
      build(root);
      expect(() => describeDevices(root)).toThrow(FdtError);
    }
  });
});
