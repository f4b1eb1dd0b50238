/**
 * What list registers say together: which are empty, which are done, and what the maintenance interrupt is for.
 *
 * Reference: Arm IHI 0069, ICH_LR<n>_EL2, ICH_ELRSR_EL2, ICH_EISR_EL2, ICH_MISR_EL2. List registers are given in halves, low one first.
 */

// High half of ICH_LR<n>_EL2.
export const LR_STATE = 0xc000_0000;
export const LR_PENDING = 0x4000_0000;
export const LR_ACTIVE = 0x8000_0000;
export const LR_HW = 0x2000_0000;
export const LR_GROUP1 = 0x1000_0000;
/** With HW = 0: a maintenance interrupt when it is done. */
const LR_EOI = 0x200;

// ICH_HCR_EL2
const HCR_UIE = 2;
const HCR_LRENPIE = 4;
const HCR_NPIE = 8;
const HCR_VGRP0E = 0x10;
const HCR_VGRP0D = 0x20;
const HCR_VGRP1E = 0x40;
const HCR_VGRP1D = 0x80;
export const HCR_EOICOUNT_SHIFT = 27;

// ICH_VMCR_EL2
export const VMCR_VENG0 = 1;
export const VMCR_VENG1 = 2;

/** ICH_ELRSR_EL2: a bit for each that can be used, as it holds nothing, and no end of interrupt that is to be told. */
export function emptyLists(lists: Uint32Array): number {
  let empty = 0;
  for (let i = 0; 2 * i < lists.length; i += 1) {
    const hi = lists[2 * i + 1]!;
    if ((hi & LR_STATE) === 0 && ((hi & LR_HW) !== 0 || (hi & LR_EOI) === 0)) empty |= 1 << i;
  }
  return empty;
}

/** ICH_EISR_EL2: a bit for each whose end of interrupt is to be told. */
export function doneLists(lists: Uint32Array): number {
  let done = 0;
  for (let i = 0; 2 * i < lists.length; i += 1) if ((lists[2 * i + 1]! & (LR_STATE | LR_HW | LR_EOI)) === LR_EOI) done |= 1 << i;
  return done;
}

/**
 * ICH_MISR_EL2: EOI, U, LRENP, NP, VGrp0E, VGrp0D, VGrp1E, VGrp1D; the last four have the places of their enables.
 *
 * @param hcr ICH_HCR_EL2, 32 bits
 * @param vmcr ICH_VMCR_EL2, 32 bits
 */
export function maintenanceStatus(hcr: number, vmcr: number, lists: Uint32Array): number {
  let valid = 0;
  let pending = 0;
  for (let i = 1; i < lists.length; i += 2) {
    if ((lists[i]! & LR_STATE) !== 0) valid += 1;
    if ((lists[i]! & LR_PENDING) !== 0) pending += 1;
  }
  let misr = doneLists(lists) === 0 ? 0 : 1;
  if ((hcr & HCR_UIE) !== 0 && valid <= 1) misr |= 2;
  if ((hcr & HCR_LRENPIE) !== 0 && hcr >>> HCR_EOICOUNT_SHIFT !== 0) misr |= 4;
  if ((hcr & HCR_NPIE) !== 0 && pending === 0) misr |= 8;
  misr |= hcr & ((vmcr & VMCR_VENG0) !== 0 ? HCR_VGRP0E : HCR_VGRP0D);
  return misr | (hcr & ((vmcr & VMCR_VENG1) !== 0 ? HCR_VGRP1E : HCR_VGRP1D));
}
