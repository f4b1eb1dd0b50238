/** Asks the doctor of a text: what it says of groups, and the machines behind what it leaves open. */
import type { Ask } from '@vsim/conformance/doctor';
import { groupsOf, iommuOf, knowledgeOf, readPaste, withAcsEnabled, type GroupKnowledge } from '@vsim/doctor';
import { groupRules } from '../../../packages/doctor/src/facts/group-rules.ts';

/** As examine() does, without the trials. */
export function knownOf(text: string): GroupKnowledge {
  const paste = readPaste(text);
  const read = knowledgeOf(paste);
  const { maker } = iommuOf(paste, read);
  return groupsOf(withAcsEnabled(read, maker), groupRules(maker ?? 'vt-d', paste.machine, undefined));
}

/** The same as claims. */
export const ask: Ask = (text) => {
  const { sure, uncovered, open } = knownOf(text);
  return { groups: sure.map(({ devices }) => devices), ungrouped: uncovered.map(({ device }) => device), cannotTell: open.map(({ device }) => device) };
};
