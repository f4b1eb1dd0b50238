/** What Linux has done to ACS registers that a text does not show, or shows as they are without an IOMMU. */
import { REQUIRED_ACS, hasWideAcs } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { derived, valueOr } from './fact.ts';

/** Whose IOMMU it is: Intel's, AMD's, Arm's. */
export type IommuMaker = 'vt-d' | 'amd' | 'smmuv3';

/** On x86 Linux knows of the IOMMU before it finds the bus, and switches on what each ACS capability has. Kernel: pci_request_acs(), pci_std_enable_acs(). */
export function enablesAcs(maker: IommuMaker | undefined): boolean {
  return maker === 'vt-d' || maker === 'amd';
}

/**
 * Whether every function that can isolate has it switched off, and nobody told a group: a boot without an IOMMU. Arm's ports are often found before
 * the IOMMU, and stay as they are.
 */
export function acsAwaitsIommu(machine: readonly DeviceKnowledge[], maker: IommuMaker | undefined): boolean {
  if (!enablesAcs(maker) || machine.some(({ group }) => group.standing !== 'unknown')) return false;
  const able = machine.flatMap(({ acs, vendor, device, expressType }) => {
    // Words of registers that are dwords say nothing.
    if (hasWideAcs({ vendor: valueOr(vendor, 0), device: valueOr(device, 0), expressType: valueOr(expressType, undefined) })) return [];
    return acs.standing === 'known' && acs.value !== undefined && (acs.value.capability & REQUIRED_ACS) !== 0 ? [acs.value] : [];
  });
  return able.length > 0 && able.every(({ control }) => (control & REQUIRED_ACS) === 0);
}

/** The machine as Linux leaves it with an IOMMU: an ACS capability of which only the name is shown counts as switched on, and so do all where none was. */
export function withAcsEnabled(machine: readonly DeviceKnowledge[], maker: IommuMaker | undefined): readonly DeviceKnowledge[] {
  if (!enablesAcs(maker)) return machine;
  const all = acsAwaitsIommu(machine, maker);
  return machine.map((knowledge) => {
    const { acs } = knowledge;
    if (acs.standing === 'unknown') {
      const [named] = acs.candidates ?? [];
      return named === undefined ? knowledge : { ...knowledge, acs: derived(named, 'rule') };
    }
    if (!all || acs.value === undefined) return knowledge;
    const { capability, control, wide } = acs.value;
    return { ...knowledge, acs: derived({ capability, control: control | (capability & REQUIRED_ACS), wide }, 'rule') };
  });
}
