import { rangeEnd } from '@vsim/vfio-core';
import type { PciMachineDescription, RecordedDevice } from '../bus/machine.ts';
import { read32 } from '../pci/capabilities.ts';
import {
  PCI_BASE_ADDRESS_0,
  PCI_BASE_ADDRESS_MEM_PREFETCH,
  PCI_BASE_ADDRESS_MEM_TYPE_64,
  PCI_BASE_ADDRESS_SPACE_IO,
  PCI_CFG_SPACE_EXP_SIZE,
  PCI_CFG_SPACE_SIZE,
  PCI_ROM_RESOURCE,
  PCI_STD_NUM_BARS,
} from '../pci/registers.ts';
import { PciTopology } from '../topology/topology.ts';
import { configOfFacts } from './config-of-facts.ts';
import type { LspciRegion } from './decoded.ts';
import type { LspciDevice } from './parse.ts';

const ROWS = 13;
const NONE: readonly string[] = ['0x0', '0x0', '0x0'];
/** Where the text does not tell a size: the least that can be mapped. */
const UNKNOWN_SIZE = 4096;
const UNKNOWN_PORTS = 4;
const FLAGS = { io: 0x4_0101, mem32: 0x4_0200, mem64: 0x14_0204, prefetch: 0x2008 } as const;

/**
 * The description of the machine that a text shows. Sizes of BARs that it does not tell are the least possible; a device without bytes
 * gets those that its decoded text asks for. Groups are the text's where it has some.
 */
export function machineOfLspci(devices: readonly LspciDevice[]): PciMachineDescription {
  const topology = new PciTopology(devices.map(({ facts }) => facts));
  const out: Record<string, RecordedDevice> = {};
  for (const device of devices) {
    const config = device.config === undefined ? configOfFacts(device.facts) : padded(device.config);
    const pf = topology.node(device.address)?.physicalFunction;
    out[device.address] = {
      config: Array.from(config, (byte) => byte.toString(16).padStart(2, '0')).join(''),
      resource: rowsOf(device, config),
      iommu_group: device.iommuGroup === undefined ? undefined : `${device.iommuGroup}`,
      irq: device.irq ?? 0,
      physfn: pf?.facts.address,
    };
  }
  return { devices: out };
}

function padded(config: Uint8Array): Uint8Array {
  const out = new Uint8Array(config.length === PCI_CFG_SPACE_EXP_SIZE ? PCI_CFG_SPACE_EXP_SIZE : PCI_CFG_SPACE_SIZE);
  out.set(config);
  return out;
}

function rowsOf(device: LspciDevice, config: Uint8Array): readonly (readonly string[])[] {
  const rows: (readonly string[])[] = Array.from({ length: ROWS }, () => NONE);
  const regions = device.regions.length > 0 ? device.regions : device.facts.isBridge ? [] : regionsOf(config);
  for (const { index, kind, prefetchable, address, size } of regions) {
    if (index > PCI_ROM_RESOURCE || address === 0) continue;
    const length = size > 0 ? size : kind === 'io' ? UNKNOWN_PORTS : UNKNOWN_SIZE;
    rows[index] = [address, rangeEnd(address, length) - 1, FLAGS[kind] | (prefetchable ? FLAGS.prefetch : 0)].map((value) => `0x${value.toString(16)}`);
  }
  return rows;
}

/** The BARs that the registers show; their sizes they do not. */
function regionsOf(config: Uint8Array): readonly LspciRegion[] {
  const out: LspciRegion[] = [];
  for (let index = 0; index < PCI_STD_NUM_BARS; index += 1) {
    const low = read32(config, PCI_BASE_ADDRESS_0 + 4 * index);
    if ((low & PCI_BASE_ADDRESS_SPACE_IO) !== 0) {
      out.push({ index, kind: 'io', prefetchable: false, address: (low & ~3) >>> 0, size: 0 });
      continue;
    }
    const wide = (low & PCI_BASE_ADDRESS_MEM_TYPE_64) !== 0;
    const high = wide && index + 1 < PCI_STD_NUM_BARS ? read32(config, PCI_BASE_ADDRESS_0 + 4 * (index + 1)) : 0;
    const prefetchable = (low & PCI_BASE_ADDRESS_MEM_PREFETCH) !== 0;
    out.push({ index, kind: wide ? 'mem64' : 'mem32', prefetchable, address: high * 0x1_0000_0000 + ((low & ~0xf) >>> 0), size: 0 });
    if (wide) index += 1;
  }
  return out;
}
