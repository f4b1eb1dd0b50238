import { DEFAULT_SEVERITY } from './aer.ts';
import { barFlags, barRegister, checkBars, makeBar, type BarInit } from './bars.ts';
import { read32, write16, write32 } from './capabilities.ts';
import {
  PCI_ACS_CAP,
  PCI_ACS_CTRL,
  PCI_AF_CAP,
  PCI_AF_CAP_TP_FLR,
  PCI_CAPABILITY_LIST,
  PCI_CAP_ID_AF,
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_MSI,
  PCI_CAP_ID_MSIX,
  PCI_CAP_ID_PM,
  PCI_CAP_LIST_NEXT,
  PCI_CFG_SPACE_EXP_SIZE,
  PCI_CFG_SPACE_SIZE,
  PCI_CLASS_PROG,
  PCI_DEVICE_ID,
  PCI_EXP_DEVCAP,
  PCI_EXP_DEVCAP_FLR_HIGH,
  PCI_EXP_FLAGS,
  PCI_ERR_UNCOR_SEVER,
  PCI_EXT_CAP_ID_ACS,
  PCI_EXT_CAP_ID_ERR,
  PCI_EXT_CAP_ID_SRIOV,
  PCI_INTERRUPT_PIN,
  PCI_MSIX_FLAGS,
  PCI_MSIX_PBA,
  PCI_MSIX_TABLE,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_64BIT,
  PCI_PM_PMC,
  PCI_REVISION_ID,
  PCI_SRIOV_INITIAL_VF,
  PCI_SRIOV_SYS_PGSIZE,
  PCI_SRIOV_TOTAL_VF,
  PCI_SRIOV_VF_DID,
  PCI_SRIOV_VF_OFFSET,
  PCI_SRIOV_VF_STRIDE,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
  PCI_SUBSYSTEM_ID,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
} from './registers.ts';

/** A function in a few words, for buildConfig(). */
export interface ConfigInit {
  /** Vendor ID, 16 bits. */
  readonly vendor: number;
  /** Device ID, 16 bits. */
  readonly device: number;
  /** Base class, subclass, programming interface: 24 bits. @default 0xff0000 */
  readonly class?: number | undefined;
  /** Revision ID, 8 bits. @default 0 */
  readonly revision?: number | undefined;
  /** Subsystem Vendor ID, 16 bits. @default 0 */
  readonly subsystemVendor?: number | undefined;
  /** Subsystem ID, 16 bits. @default 0 */
  readonly subsystem?: number | undefined;
  /** INTA to INTD as 1 to 4; 0 is none. @default 0 */
  readonly interruptPin?: number | undefined;
  /** Whose type bits the registers show; give the same to PciFunctionInit.bars. @default none */
  readonly bars?: readonly BarInit[] | undefined;
  /** Vectors of MSI: 1, 2, 4 ... 32. Left out: no MSI. */
  readonly msi?: number | undefined;
  /** MSI-X: its vectors, and where table and PBA are. Left out: no MSI-X. */
  readonly msix?: MsixInit | undefined;
  /** A PCI Express endpoint, with 4096 bytes of configuration space. @default false */
  readonly express?: boolean | undefined;
  /** Function level reset; needs `express`. @default false */
  readonly flr?: boolean | undefined;
  /** Advanced Error Reporting; needs `express`. @default false */
  readonly aer?: boolean | undefined;
  /** Advanced Features of a conventional device, with function level reset. @default false */
  readonly advancedFeatures?: boolean | undefined;
  /** Access Control Services: ACS Capability and ACS Control, 16 bits each; needs `express`. @default none */
  readonly acs?: { readonly capability: number; readonly control: number } | undefined;
  /** Single root I/O virtualization; needs `express`. @default none */
  readonly sriov?: SriovInit | undefined;
  /** Power management, D0 and D3hot. @default true when `express` */
  readonly powerManagement?: boolean | undefined;
}

/** The MSI-X capability of a function. */
export interface MsixInit {
  /** Entries of the table, 1 to 2048. */
  readonly vectors: number;
  /** BAR of table and pending bits, 0 to 5. */
  readonly bar: number;
  /** Of the table in the BAR, in bytes: a multiple of 8. @default 0 */
  readonly tableOffset?: number | undefined;
  /** Of the pending bits in the BAR, in bytes: a multiple of 8. @default the first page behind the table */
  readonly pbaOffset?: number | undefined;
}

/** The SR-IOV capability of a physical function. */
export interface SriovInit {
  /** 1 to 255. */
  readonly totalVfs: number;
  /** Device id of the VFs, 16 bits. */
  readonly vfDevice: number;
  /** First VF Offset. @default 8: VFs are functions of the devices behind the PF's */
  readonly offset?: number | undefined;
  /** VF Stride: from one VF's requester id to the next, 16 bits. @default 1 */
  readonly stride?: number | undefined;
}

const FIRST_CAPABILITY = 0x40;
const PCI_AF_SIZE = 6;
const FIRST_EXTENDED = 0x100;
const ACS = 0x100;
const SRIOV = 0x140;
const AER = 0x180;

/**
 * The configuration space of a model from a short description: header, PM, MSI, MSI-X, Advanced Features, PCI Express with ACS, SR-IOV and
 * AER.
 *
 * @returns 256 bytes, or 4096 with `express`
 * @throws RangeError where a number is out of its range, a capability needs `express`, or MSI-X lies where no BAR is
 *
 * @example
 * ```ts
 * import { buildConfig } from '@vsim/vfio-pci';
 *
 * const bars = [{ index: 0, size: 0x2000 }] as const;
 * const config = buildConfig({ vendor: 0x1234, device: 1, express: true, flr: true, bars, msix: { vectors: 4, bar: 0 } });
 * console.log(config.length, config[0]?.toString(16)); // 4096 34
 * ```
 */
export function buildConfig(init: ConfigInit): Uint8Array {
  const express = init.express ?? false;
  checkNumbers(init);
  checkBars(init.bars ?? []);
  if (!express) checkConventional(init);
  const bytes = new Uint8Array(express ? PCI_CFG_SPACE_EXP_SIZE : PCI_CFG_SPACE_SIZE);
  write16(bytes, PCI_VENDOR_ID, init.vendor);
  write16(bytes, PCI_DEVICE_ID, init.device);
  bytes[PCI_REVISION_ID] = init.revision ?? 0;
  const classCode = init.class ?? 0xff_0000;
  bytes[PCI_CLASS_PROG] = classCode;
  write16(bytes, PCI_CLASS_PROG + 1, classCode >>> 8);
  write16(bytes, PCI_SUBSYSTEM_VENDOR_ID, init.subsystemVendor ?? 0);
  write16(bytes, PCI_SUBSYSTEM_ID, init.subsystem ?? 0);
  bytes[PCI_INTERRUPT_PIN] = init.interruptPin ?? 0;
  for (const bar of init.bars ?? []) setBarType(bytes, bar);

  let at = FIRST_CAPABILITY;
  let link = PCI_CAPABILITY_LIST;
  const add = (id: number, length: number): number => {
    const here = at;
    bytes[link] = here;
    bytes[here] = id;
    link = here + PCI_CAP_LIST_NEXT;
    at += Math.ceil(length / 4) * 4;
    return here;
  };
  if (init.powerManagement ?? express) write16(bytes, add(PCI_CAP_ID_PM, 8) + PCI_PM_PMC, 3); // version 3, D0 and D3hot
  if (init.msi !== undefined) addMsi(bytes, add(PCI_CAP_ID_MSI, 14), init.msi);
  if (init.msix !== undefined) addMsix(bytes, add(PCI_CAP_ID_MSIX, 12), init.msix, init.bars ?? []);
  if (init.advancedFeatures === true) {
    const here = add(PCI_CAP_ID_AF, PCI_AF_SIZE);
    bytes[here + 2] = PCI_AF_SIZE;
    bytes[here + PCI_AF_CAP] = PCI_AF_CAP_TP_FLR;
  }
  if (express) {
    const here = add(PCI_CAP_ID_EXP, 60);
    write16(bytes, here + PCI_EXP_FLAGS, 2); // version 2, endpoint
    if (init.flr === true) write16(bytes, here + PCI_EXP_DEVCAP + 2, PCI_EXP_DEVCAP_FLR_HIGH);
    addExtended(bytes, init);
  }
  if (at > FIRST_CAPABILITY) write16(bytes, PCI_STATUS, PCI_STATUS_CAP_LIST);
  return bytes;
}

/** @throws RangeError for a number that its register cannot hold */
function checkNumbers(init: ConfigInit): void {
  const registers = [
    ['vendor', init.vendor, 16], ['device', init.device, 16], ['class', init.class, 24], ['revision', init.revision, 8],
    ['subsystemVendor', init.subsystemVendor, 16], ['subsystem', init.subsystem, 16],
    ['acs.capability', init.acs?.capability, 16], ['acs.control', init.acs?.control, 16],
    ['sriov.vfDevice', init.sriov?.vfDevice, 16], ['sriov.offset', init.sriov?.offset, 16], ['sriov.stride', init.sriov?.stride, 16],
  ] as const;
  for (const [name, value, bits] of registers) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value < 2 ** bits)) throw new RangeError(`"${name}" expected ${bits} bits, got ${value}`);
  }
  const { interruptPin = 0 } = init;
  if (![0, 1, 2, 3, 4].includes(interruptPin)) throw new RangeError(`"interruptPin" expected 0, or 1 to 4 for INTA to INTD, got ${interruptPin}`);
}

/** @throws RangeError for what only PCI Express has */
function checkConventional({ flr, aer, acs, sriov }: ConfigInit): void {
  const asked = flr === true ? 'flr' : aer === true ? 'aer' : acs !== undefined ? 'acs' : sriov !== undefined ? 'sriov' : undefined;
  if (asked !== undefined) throw new RangeError(`"${asked}" expected "express", which has it, got a conventional function`);
}

/** ACS, SR-IOV, AER, the first of them at 0x100. An empty space is one of id 0. */
function addExtended(bytes: Uint8Array, { acs, sriov, aer }: ConfigInit): void {
  let last = 0;
  const add = (place: number, id: number, version: number): number => {
    const at = last === 0 ? FIRST_EXTENDED : place;
    if (last !== 0) write32(bytes, last, ((at << 20) | (read32(bytes, last) & 0xf_ffff)) >>> 0);
    write32(bytes, at, (version << 16) | id);
    last = at;
    return at;
  };
  if (acs !== undefined) {
    const at = add(ACS, PCI_EXT_CAP_ID_ACS, 1);
    write16(bytes, at + PCI_ACS_CAP, acs.capability);
    write16(bytes, at + PCI_ACS_CTRL, acs.control);
  }
  if (sriov !== undefined) addSriov(bytes, add(SRIOV, PCI_EXT_CAP_ID_SRIOV, 1), sriov);
  if (aer === true) write32(bytes, add(AER, PCI_EXT_CAP_ID_ERR, 2) + PCI_ERR_UNCOR_SEVER, DEFAULT_SEVERITY);
}

function addSriov(bytes: Uint8Array, at: number, sriov: SriovInit): void {
  const { totalVfs, vfDevice, offset = 8, stride = 1 } = sriov;
  if (!(Number.isInteger(totalVfs) && totalVfs >= 1 && totalVfs <= 255)) throw new RangeError(`"totalVfs" expected an integer in [1, 255], got ${totalVfs}`);
  write16(bytes, at + PCI_SRIOV_INITIAL_VF, totalVfs);
  write16(bytes, at + PCI_SRIOV_TOTAL_VF, totalVfs);
  write16(bytes, at + PCI_SRIOV_VF_OFFSET, offset);
  write16(bytes, at + PCI_SRIOV_VF_STRIDE, stride);
  write16(bytes, at + PCI_SRIOV_VF_DID, vfDevice);
  write32(bytes, at + PCI_SRIOV_SYS_PGSIZE, 1); // 4 KiB
}

function setBarType(bytes: Uint8Array, init: BarInit): void {
  const bar = makeBar(init, false);
  write32(bytes, barRegister(bar.index), barFlags(bar));
}

function addMsi(bytes: Uint8Array, at: number, vectors: number): void {
  const log2 = Math.log2(vectors);
  if (!Number.isInteger(log2) || log2 < 0 || log2 > 5) throw new RangeError(`"msi" expected a power of two in [1, 32], got ${vectors}`);
  write16(bytes, at + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | (log2 << 1));
}

function addMsix(bytes: Uint8Array, at: number, { vectors, bar, tableOffset = 0, pbaOffset }: MsixInit, bars: readonly BarInit[]): void {
  if (!(Number.isInteger(vectors) && vectors >= 1 && vectors <= 2048)) throw new RangeError(`"vectors" expected an integer in [1, 2048], got ${vectors}`);
  const pba = pbaOffset ?? Math.ceil((tableOffset + 16 * vectors) / 4096) * 4096;
  const within = bars.find(({ index }) => index === bar);
  if (within === undefined) throw new RangeError(`"msix.bar" expected one of the BARs ${bars.map(({ index }) => index).join(', ') || '(none)'}, got ${bar}`);
  if (within.kind === 'io') throw new RangeError(`"msix.bar" expected a memory BAR, got BAR ${bar}, which is I/O ports`);
  const [table, pending] = [{ at: tableOffset, bytes: 16 * vectors }, { at: pba, bytes: 8 * Math.ceil(vectors / 64) }];
  for (const [name, part] of [['tableOffset', table], ['pbaOffset', pending]] as const) {
    const fits = Number.isInteger(part.at) && part.at >= 0 && part.at % 8 === 0 && part.at + part.bytes <= within.size;
    if (!fits) throw new RangeError(`"msix.${name}" expected a multiple of 8 with ${part.bytes} bytes behind it in BAR ${bar} of ${within.size} bytes, got ${part.at}`);
  }
  if (table.at < pending.at + pending.bytes && pending.at < table.at + table.bytes) {
    throw new RangeError(`"msix.pbaOffset" expected a place beside the table of ${table.bytes} bytes at ${table.at}, got ${pending.at}`);
  }
  write16(bytes, at + PCI_MSIX_FLAGS, vectors - 1);
  write32(bytes, at + PCI_MSIX_TABLE, tableOffset | bar);
  write32(bytes, at + PCI_MSIX_PBA, pba | bar);
}
