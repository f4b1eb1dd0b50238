/** Machines that are not there: with an IOMMU, with another slot, with VFs, with the override patch. */
import {
  DecodedLines,
  PCI_CFG_SPACE_SIZE,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_SRIOV_TOTAL_VF,
  PCI_SRIOV_VF_OFFSET,
  PCI_SRIOV_VF_STRIDE,
  PciAddress,
  REQUIRED_ACS,
  findExtendedCapability,
  formatAddress,
  read16,
} from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './facts/device-knowledge.ts';
import { derived, valueOr } from './facts/fact.ts';
import type { Paste, PastedDevice } from './read/paste.ts';

/** What is to be taken as if it were so. Each of these asks for groups that no running kernel has: those that are told are not looked at. */
export interface WhatIf {
  /** The IOMMU is switched on. @default false */
  readonly iommuOn?: boolean | undefined;
  /** `pcie_acs_override=` of the ACS override patch: ports (`downstream`), functions of one device (`multifunction`), or both. It isolates nothing: it says so. @default none */
  readonly acsOverride?: readonly ('downstream' | 'multifunction')[] | undefined;
  /** Devices in other slots: all functions of the slot of `device` are put below the bridge `below`. @default none */
  readonly moves?: readonly { readonly device: string; readonly below: string }[] | undefined;
  /** Virtual functions that are made: `count` of the physical function `device`. @default none */
  readonly vfs?: readonly { readonly device: string; readonly count: number }[] | undefined;
}

/** Whether anything is asked for. */
export function isWhatIf({ iommuOn, acsOverride = [], moves = [], vfs = [] }: WhatIf): boolean {
  return iommuOn === true || acsOverride.length > 0 || moves.length > 0 || vfs.length > 0;
}

/**
 * The paste as it would be.
 *
 * @throws RangeError that says why for a device that is not there, a bridge below which there is no room, or VFs that the device cannot have
 */
export function pasteIf(paste: Paste, whatIf: WhatIf): Paste {
  if (!isWhatIf(whatIf)) return paste;
  let devices: readonly PastedDevice[] = paste.devices.map((device) => ({ ...device, groups: [] }));
  for (const { device, below } of whatIf.moves ?? []) devices = moved(devices, device, below);
  for (const { device, count } of whatIf.vfs ?? []) devices = withVfs(devices, device, count);
  return { ...paste, devices: [...devices].sort((a, b) => (a.address < b.address ? -1 : 1)) };
}

/**
 * What is known with the ACS override patch: it speaks for functions of PCI Express without an ACS capability. Patch: pcie_acs_overrides() of
 * "PCI: Enable overrides for missing ACS capabilities", which is in no mainline kernel.
 */
export function knowledgeIf(machine: readonly DeviceKnowledge[], { acsOverride = [] }: WhatIf): readonly DeviceKnowledge[] {
  if (acsOverride.length === 0) return machine;
  return machine.map((knowledge) => {
    const type = valueOr(knowledge.expressType, undefined);
    const none = knowledge.acs.standing !== 'unknown' && knowledge.acs.value === undefined;
    const overridden = type !== undefined && none && acsOverride.includes(PORTS.has(type) ? 'downstream' : 'multifunction');
    return overridden ? { ...knowledge, acs: derived({ capability: REQUIRED_ACS, control: REQUIRED_ACS }, 'rule') } : knowledge;
  });
}

const PORTS: ReadonlySet<number> = new Set([4, 6]);

function moved(devices: readonly PastedDevice[], device: string, below: string): readonly PastedDevice[] {
  const slot = slotOf(find(devices, device).address);
  const bus = secondaryOf(find(devices, below));
  if (bus === undefined) throw new RangeError(`${below} is no bridge whose bus the text tells`);
  const { domain } = new PciAddress(below);
  const taken = devices.find(({ address }) => {
    const place = new PciAddress(address);
    return place.domain === domain && place.bus === bus && slotOf(address) !== slot;
  });
  if (taken !== undefined) throw new RangeError(`there is ${taken.address} below ${below} already: nothing else has room there`);
  if (devices.some((each) => slotOf(each.address) === slot && secondaryOf(each) !== undefined)) throw new RangeError(`${device} is a bridge, or has one beside it: move what is below it`);
  return devices.map((each) => {
    if (slotOf(each.address) !== slot) return each;
    return { ...each, address: formatAddress(domain, (bus << 8) | new PciAddress(each.address).function), parent: below };
  });
}

function withVfs(devices: readonly PastedDevice[], device: string, count: number): readonly PastedDevice[] {
  const pf = find(devices, device);
  const place = sriovPlace(pf);
  if (place === undefined) throw new RangeError(`${device} shows no SR-IOV capability with its VF offset and stride`);
  if (!(Number.isInteger(count) && count >= 1 && count <= place.total)) throw new RangeError(`${device} can have 1 to ${place.total} VFs, got ${count}`);
  const { domain, requester } = new PciAddress(pf.address);
  const all = Array.from({ length: place.total }, (_, index) => formatAddress(domain, requester + place.offset + index * place.stride));
  const there = new Set(all);
  return [...devices.filter(({ address }) => !there.has(address)), ...all.slice(0, count).map((address) => virtualOf(pf, address))];
}

/** A virtual function: PCI Express, without capabilities that isolate, and alone in its device. */
function virtualOf(pf: PastedDevice, address: string): PastedDevice {
  return {
    ...pf,
    address,
    name: `${pf.name ?? ''} Virtual Function`.trim(),
    device: undefined,
    decoded: ['Flags: fast devsel', 'Capabilities: [a0] Express (v2) Endpoint, MSI 00'],
    config: undefined,
    driver: null,
    modules: [],
    groups: [],
    physfn: pf.address,
    resetMethods: undefined,
    resettable: undefined,
    resource: undefined,
    bootVga: undefined,
  };
}

/** Where the VFs of a PF would be, by the lines or the bytes of its capability. */
function sriovPlace({ decoded, config }: PastedDevice): { readonly total: number; readonly offset: number; readonly stride: number } | undefined {
  const place = new DecodedLines(decoded).sriovPlace;
  return place ?? (config === undefined ? undefined : sriovPlaceOf(config));
}

function sriovPlaceOf(config: Uint8Array): { readonly total: number; readonly offset: number; readonly stride: number } | undefined {
  const at = config.length > PCI_CFG_SPACE_SIZE ? findExtendedCapability(config, PCI_EXT_CAP_ID_SRIOV) : 0;
  return at === 0 ? undefined : { total: read16(config, at + PCI_SRIOV_TOTAL_VF), offset: read16(config, at + PCI_SRIOV_VF_OFFSET), stride: read16(config, at + PCI_SRIOV_VF_STRIDE) };
}

function secondaryOf({ decoded, config, secondaryBus }: PastedDevice): number | undefined {
  if (config !== undefined && (config[0x0e]! & 0x7f) === 1) return config[0x19];
  return new DecodedLines(decoded).secondaryBus ?? secondaryBus;
}

function find(devices: readonly PastedDevice[], address: string): PastedDevice {
  const found = devices.find((device) => device.address === address);
  if (found === undefined) throw new RangeError(`there is no ${address} in the text`);
  return found;
}

function slotOf(address: string): string {
  return address.slice(0, -1);
}
