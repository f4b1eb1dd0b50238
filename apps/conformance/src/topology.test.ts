/** IOMMU groups and lspci's forms against recorded machines: what is computed of topology alone is what Linux made of it. */
import {
  computeIommuGroups,
  PciTopology,
  formatLspciDump,
  parseLspci,
  parsePciMachine,
  pciFacts,
  resetFactsOfConfig,
  resetFactsOfText,
  resetMethods,
  type PciFacts,
} from '@vsim/vfio-pci';
import { describe, expect, it } from 'vitest';
import { fromHex, type Fields } from './json.ts';
import { parseHost, recordedMachine } from './recorded-machine.ts';
import { readRecording, topologyMachine, topologyNames, topologyText } from './recorded-topology.ts';

/** Groups of more than one device, groups of one, devices that have none there. */
const MACHINES: Readonly<Record<string, readonly [larger: number, alone: number, ungrouped: number]>> = {
  'arm-smmuv3': [5, 1, 4],
  conventional: [6, 5, 0],
  'desktop-intel': [4, 11, 0],
  'gpu-audio': [6, 8, 0],
  i440fx: [0, 0, 13],
  'mf-endpoints': [5, 12, 0],
  'mix-off': [0, 0, 28],
  'mix-on': [5, 14, 0],
  rciep: [5, 9, 0],
  rootports: [4, 9, 0],
  'sriov-igb': [2, 19, 0],
  'switch-acsless': [5, 6, 0],
};

function factsOf(host: Fields): readonly PciFacts[] {
  const devices = host.object('devices');
  return devices.keys.map((address) => {
    const device = devices.object(address);
    return { ...pciFacts(address, device.bytes('config')), vendor: device.number('vendor'), device: device.number('device') };
  });
}

/** Each group as its devices in one line; devices that have no group there are left out of both. */
function recordedGroups(host: Fields): readonly string[] {
  const groups = new Map<string, string[]>();
  for (const [address, { iommu_group: group }] of Object.entries(parsePciMachine(JSON.stringify(host.value)).devices)) {
    if (typeof group === 'string') groups.set(group, [...(groups.get(group) ?? []), address]);
  }
  return [...groups.values()].map((devices) => devices.sort().join(' ')).sort();
}

function computedGroups(facts: readonly PciFacts[], host: Fields): readonly string[] {
  const { devices } = parsePciMachine(JSON.stringify(host.value));
  const grouped = (address: string): boolean => typeof devices[address]?.iommu_group === 'string';
  return computeIommuGroups(facts).map((group) => group.devices.filter(grouped).join(' ')).filter((line) => line !== '').sort();
}

/** The indented lines of each device of a text. */
function linesOf(text: string): ReadonlyMap<string, readonly string[]> {
  return new Map(text.split('\n\n').map((block) => block.split('\n')).filter(([heading]) => heading !== '').map(([heading = '', ...lines]) => [heading.slice(0, heading.indexOf(' ')), lines.filter((line) => line.startsWith('\t'))]));
}

describe('recorded machines', () => {
  it('are all there', () => {
    expect(topologyNames()).toEqual(Object.keys(MACHINES).sort());
  });

  it.each(Object.entries(MACHINES))('%s: groups from configuration bytes, from the text, and from decoded text alone', (name, [larger, alone, ungrouped]) => {
    const host = topologyMachine(name);
    const recorded = recordedGroups(host);
    expect(recorded.filter((group) => group.includes(' '))).toHaveLength(larger);
    expect(recorded.filter((group) => !group.includes(' '))).toHaveLength(alone);
    expect(Object.values(parsePciMachine(JSON.stringify(host.value)).devices).filter((device) => device.iommu_group === null)).toHaveLength(ungrouped);

    expect(computedGroups(factsOf(host), host)).toEqual(recorded);
    const text = topologyText(name);
    expect(computedGroups(parseLspci(text).map(({ facts }) => facts), host)).toEqual(recorded);
    const words = text.split('\n').filter((line) => !/^[0-9a-f]{2,3}: /.test(line)).join('\n');
    expect(computedGroups(parseLspci(words).map(({ facts }) => facts), host)).toEqual(recorded);
  });

  it.each(Object.keys(MACHINES))('%s: the text has the bytes, drivers and regions of the description', (name) => {
    const devices = topologyMachine(name).object('devices');
    const parsed = parseLspci(topologyText(name));
    expect(parsed.map(({ address }) => address).sort()).toEqual([...devices.keys].sort());
    for (const { address, config, driver, regions } of parsed) {
      const device = devices.object(address);
      expect(config).toEqual(device.bytes('config'));
      if (name === 'arm-smmuv3') continue; // made from the bytes alone
      expect(driver ?? null).toBe(device.raw('driver'));
      for (const region of regions) {
        // lspci shows the ROM's register, not the resource, and no size of an I/O port below four.
        if (region.index === 6 || region.size === 0) continue;
        const row = device.list('resource')[region.index];
        expect([region.address, region.size]).toEqual(Array.isArray(row) ? [Number(row[0]), Number(row[1]) - Number(row[0]) + 1] : []);
      }
    }
  });

  it.each(Object.keys(MACHINES).filter((name) => name !== 'arm-smmuv3'))('%s: the resets that sysfs lists, from bytes, and of endpoints from words', (name) => {
    const devices = topologyMachine(name).object('devices');
    const recorded = devices.keys.map((address) => {
      const listed = devices.object(address).raw('reset_method');
      return `${address} ${typeof listed === 'string' ? listed : ''}`;
    }).sort();
    const topology = new PciTopology(factsOf(topologyMachine(name)));
    const listed = topology.nodes.map((node) => `${node.facts.address} ${resetMethods(node, resetFactsOfConfig(devices.object(node.facts.address).bytes('config')), topology).listed.join(' ')}`).sort();
    expect(listed).toEqual(recorded);
    const text = linesOf(topologyText(name));
    expect([...text.keys()].sort()).toEqual([...devices.keys].sort());
    for (const [address, lines] of text) {
      const node = topology.node(address)!;
      if (node.facts.isBridge) continue;
      const bytes = resetFactsOfConfig(devices.object(address).bytes('config'));
      expect(resetFactsOfText(lines, bytes.revision)).toEqual(bytes);
    }
  });

  it('the machine of the VFIO recordings: groups, and the dump byte for byte', () => {
    const host = parseHost('host.json.gz', readRecording('vfio/host.json.gz'));
    expect(recordedGroups(host)).toHaveLength(34);
    expect(computedGroups(factsOf(host), host)).toEqual(recordedGroups(host));
    const devices = Object.entries(recordedMachine().devices).map(([address, { config }]) => ({ address, config: fromHex(config) ?? new Uint8Array() }));
    const dump = formatLspciDump(devices);
    expect(dump).toBe(readRecording('lspci/host.dump.txt.gz'));
    const read = parseLspci(dump);
    expect(formatLspciDump(read.map(({ address, config }) => ({ address, config: config ?? new Uint8Array() })))).toBe(dump);
    expect(computedGroups(read.map(({ facts }) => facts), host)).toEqual(recordedGroups(host));
  });
});
