/**
 * Devices whose resets are not what their capabilities say. Kernel: pci_dev_reset_methods[], quirk_no_flr(), quirk_no_pm_reset(),
 * quirk_no_bus_reset() of 6.1.192 and 7.3.4. Of what 5.10.223 has not, `since` and `stable` are the oldest releases that were looked at.
 */
import { PCI_CLASS_DISPLAY_VGA } from '../pci/registers.ts';
import { inEra, type KernelVersion } from './kernel-version.ts';
import { names, type QuirkRow } from './quirk-ids.ts';

/** What tells a device's reset quirks: PciFacts are enough, but for the revision. */
export interface ResetIdentity {
  /** Vendor ID, 16 bits. */
  readonly vendor: number;
  /** Device ID, 16 bits. */
  readonly device: number;
  /** Base class, subclass, programming interface: 24 bits. */
  readonly class: number;
  /** Revision ID, 8 bits; undefined: not known, taken for one without quirk. */
  readonly revision?: number | undefined;
}

const INTEL = 0x8086;
const AMD = 0x1022;
const NVIDIA = 0x10de;
const ATI = 0x1002;
const MEDIATEK = 0x14c3;
const QUALCOMM = 0x17cb;

/** A reset of their own, whatever they announce: 82599 VFs, Ivy Bridge graphics, hinic VFs, Chelsio T4. */
const OWN_RESET: readonly QuirkRow[] = [
  { vendor: INTEL, ids: [0x10ed, 0x0156, 0x0166] },
  { vendor: 0x19e5, ids: [0x375e] },
  { vendor: 0x1425, ids: [[0x4000, 0x4fff]] },
];
/** NVMe controllers that want care around their FLR. */
const OWN_FLR: readonly QuirkRow[] = [
  { vendor: 0x144d, ids: [0xa804] },
  { vendor: INTEL, ids: [0x0953] },
  { vendor: INTEL, ids: [0x0a54], since: [6, 1] },
  { vendor: 0x025e, ids: [0xf1ac], since: [6, 1] },
];
/** FLR hangs: AMD Starship and Matisse, Intel 82579; MediaTek Wi-Fi; AMD's NPU. */
const NO_FLR: readonly QuirkRow[] = [
  { vendor: AMD, ids: [0x1487, 0x148c, 0x149c, 0x7901] },
  { vendor: INTEL, ids: [0x1502, 0x1503] },
  { vendor: MEDIATEK, ids: [0x0616, 0x7925], since: [6, 14], stable: [6, 12] },
  { vendor: AMD, ids: [0x1502, 0x17f0], since: [7, 2] },
];
/** The first revision of SolidRun's DPU hangs after FLR. */
const NO_FLR_REVISION_1: readonly QuirkRow[] = [{ vendor: 0xd063, ids: [0x1000], since: [6, 1] }];
/** D3hot to D0 resets nothing: Mellanox Spectrum. */
const NO_PM: readonly QuirkRow[] = [{ vendor: 0x15b3, ids: [0xcb84, 0xcf6c, 0xcf70, 0xcf80] }];
/** Does not come back from a bus reset: NVIDIA on Tegra, Atheros, Qualcomm Wi-Fi, ThunderX ports, TI's DSP, ASM1164. */
const NO_BUS: readonly QuirkRow[] = [
  { vendor: NVIDIA, ids: [0x22ce, 0x22d0], since: [7, 0], stable: [6, 1] },
  { vendor: NVIDIA, ids: [[0x2340, 0x237f]] },
  { vendor: 0x168c, ids: [0x0030, 0x0032, 0x003c, 0x0033, 0x0034, 0x003e] },
  { vendor: QUALCOMM, ids: [0x1103, 0x1107, 0x0308], since: [7, 2], stable: [6, 1] },
  { vendor: 0x177d, ids: [0xa100] },
  { vendor: 0x104c, ids: [0xb005] },
  { vendor: 0x1b21, ids: [0x1164], since: [7, 0], stable: [6, 1] },
];

/** @param flr whether function level reset works */
export function hasOwnReset(device: ResetIdentity, flr: boolean, kernel?: KernelVersion): boolean {
  return listed(OWN_RESET, device, kernel) || (flr && listed(OWN_FLR, device, kernel));
}

export function breaksFlr(device: ResetIdentity, kernel?: KernelVersion): boolean {
  return listed(NO_FLR, device, kernel) || (device.revision === 1 && listed(NO_FLR_REVISION_1, device, kernel));
}

/** On a root bus, where there is no bus reset, a reset without effect is better than none. */
export function breaksPmReset(device: ResetIdentity, onRootBus: boolean, kernel?: KernelVersion): boolean {
  const isRadeon = device.vendor === ATI && device.class >>> 8 === PCI_CLASS_DISPLAY_VGA;
  return (isRadeon || listed(NO_PM, device, kernel)) && !onRootBus;
}

export function breaksBusReset(device: ResetIdentity, kernel?: KernelVersion): boolean {
  return listed(NO_BUS, device, kernel);
}

function listed(rows: readonly QuirkRow[], device: ResetIdentity, kernel: KernelVersion | undefined): boolean {
  return rows.some((row) => names(row, device) && inEra(row, kernel));
}
