/** The rules by which groups are made that go by the kind of machine. */
import { uncovered, type KernelVersion, type PciFacts } from '@vsim/vfio-pci';
import type { PastedMachine } from '../read/paste.ts';
import type { IommuKind } from '../trial.ts';
import { isolatingId, mergingId } from './device-ids.ts';
import type { GroupsContext } from './groups.ts';

const INTEL = 0x8086;
const BASE_CLASS_DISPLAY = 0x03;

/** @param taken the kind of IOMMU @param machine what its kernel was told and says @param kernel the kernel that groups */
export function groupRules(taken: IommuKind, machine: PastedMachine, kernel: KernelVersion | undefined): GroupsContext {
  const graphicsOff = /(?:^|[\s,=])igfx_off(?=[\s,]|$)/.test(machine.cmdline ?? '') || machine.log.some(({ text }) => text.includes('Disabling IOMMU for graphics'));
  return {
    amdIommu: taken === 'amd',
    uncovered: (facts) => {
      const out = new Map<string, string>();
      for (const each of facts) {
        const why = uncovered(each, facts, kernel)?.why ?? (graphicsOff && isOwnGraphics(each) ? 'the kernel leaves the IOMMU of the graphics off' : undefined);
        if (why !== undefined) out.set(each.address, why);
      }
      return out;
    },
    kernel,
    isolatingId: (knowledge, expressType) => isolatingId(knowledge, expressType, kernel),
    mergingId: (knowledge) => mergingId(knowledge, kernel),
  };
}

function isOwnGraphics(facts: PciFacts): boolean {
  return facts.vendor === INTEL && facts.class >>> 16 === BASE_CLASS_DISPLAY && facts.address.startsWith('0000:00:');
}
