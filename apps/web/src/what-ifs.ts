/** What the person may take for true instead of what the text shows. A new one is a row here: the panel, links and the examination follow. */
import type { DoctorOptions } from '@vsim/doctor';

/** One thing to choose. */
export interface WhatIf {
  /** Its name in links and in pages with data: never changes. */
  readonly id: string;
  /** What is chosen, as a person reads it. */
  readonly label: string;
  /** The first is what holds when nothing is chosen. Two of them make a switch, more a list. */
  readonly choices: readonly Choice[];
}

/** One of the things that a what-if may be. */
export interface Choice {
  /** Its name in links: never changes. */
  readonly value: string;
  /** What is chosen, as a person reads it. */
  readonly label: string;
  /** What examine() is told. */
  readonly options: DoctorOptions;
}

/** Long-term series, and what is current. */
const KERNELS: readonly (readonly [major: number, minor: number])[] = [[5, 4], [5, 10], [5, 15], [6, 1], [6, 6], [6, 12], [6, 18], [7, 3]];

export const WHAT_IFS: readonly WhatIf[] = [
  {
    id: 'iommu',
    label: 'IOMMU',
    choices: [
      { value: '', label: 'as the text shows', options: {} },
      { value: 'vt-d', label: 'Intel VT-d', options: { iommu: 'vt-d' } },
      { value: 'amd', label: 'AMD-Vi', options: { iommu: 'amd' } },
      { value: 'smmuv3', label: 'Arm SMMUv3', options: { iommu: 'smmuv3' } },
      { value: 'none', label: 'none', options: { iommu: 'none' } },
    ],
  },
  {
    id: 'kernel',
    label: 'Kernel',
    choices: [{ value: '', label: 'as the text tells, else 6.1', options: {} }, ...KERNELS.map(([major, minor]) => ({ value: `${major}.${minor}`, label: `Linux ${major}.${minor}`, options: { kernel: { major, minor } } }))],
  },
  {
    id: 'acs-override',
    label: 'ACS override patch',
    choices: [
      { value: '', label: 'none', options: {} },
      { value: 'downstream', label: 'downstream', options: { whatIf: { acsOverride: ['downstream'] } } },
      { value: 'multifunction', label: 'multifunction', options: { whatIf: { acsOverride: ['multifunction'] } } },
      { value: 'downstream,multifunction', label: 'both', options: { whatIf: { acsOverride: ['downstream', 'multifunction'] } } },
    ],
  },
  {
    id: 'iommu-on',
    label: 'IOMMU switched on',
    choices: [
      { value: '', label: 'as the text shows', options: {} },
      { value: 'on', label: 'on', options: { whatIf: { iommuOn: true } } },
    ],
  },
  {
    id: 'intremap',
    label: 'No interrupt remapping',
    choices: [
      { value: '', label: 'as the text shows', options: {} },
      { value: 'off', label: 'off', options: { interruptRemapping: false } },
    ],
  },
];

/** What was chosen, by the ids of what-ifs; what is not in it holds as the text shows. */
export type Chosen = Readonly<Record<string, string>>;

/** What examine() is told; a name or a value that nobody knows counts as not chosen. */
export function optionsOf(chosen: Chosen): DoctorOptions {
  let options: DoctorOptions = {};
  for (const { id, choices } of WHAT_IFS) {
    const more = choices.find(({ value }) => value === chosen[id])?.options ?? {};
    options = { ...options, ...more, ...(more.whatIf === undefined ? {} : { whatIf: { ...options.whatIf, ...more.whatIf } }) };
  }
  return options;
}

/** How many things are chosen otherwise than the text shows. */
export function chosenCount(chosen: Chosen): number {
  return WHAT_IFS.filter(({ id, choices }) => choices.slice(1).some(({ value }) => value === chosen[id])).length;
}
