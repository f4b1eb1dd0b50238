/** What the doctor finds, as data. */
import type { IommuFinding } from './facts/iommu.ts';
import type { LackedFact } from './facts/groups.ts';
import type { KernelReport } from './kernel.ts';
import type { OtherKernel } from './other-kernels.ts';
import type { TextPart, Unread } from './read/paste.ts';
import type { IommuKind } from './trial.ts';
import type { WhatIf } from './what-if.ts';

/** The command whose output leaves nothing to ask, run as root on the machine. */
export const BEST_COMMAND = 'sudo lspci -Dnnvvxxxx';

/** How much a text tells of a machine, from everything down. */
export type TextQuality =
  | 'registers' // all that isolation depends on, of every function
  | 'groups' // the running kernel's groups, of every function
  | 'names' // capabilities by name, without their bits
  | 'partial' // some functions have what others lack
  | 'list' // functions alone
  | 'nothing'; // no function

/** What was pasted, and how far it goes. */
export interface InputReport {
  /** How much it tells. */
  readonly quality: TextQuality;
  /** The same in a sentence, with what is missing. */
  readonly sentence: string;
  /** Which forms of text were read, in their order. */
  readonly parts: readonly TextPart[];
  /** How many functions it shows. */
  readonly devices: number;
  /** The command that would tell what is missing; undefined: nothing is. */
  readonly command: string | undefined;
  /** Lines that were not understood, or not used. */
  readonly unread: readonly Unread[];
}

/** What VFIO answers when a device is given to it (vfio-pci, type 1 v2, the calls that a VMM makes). */
export interface TrialReport {
  /** The PCI address of the device, which is opened. */
  readonly device: string;
  /** Whether it alone was bound to vfio-pci, or every endpoint of its group. */
  readonly kind: 'alone' | 'whole-group';
  /** `ok`, or the errno's name, as `EPERM`. */
  readonly result: string;
  /** The first call that failed, as `VFIO_GROUP_SET_CONTAINER`; undefined for `ok`. */
  readonly step: string | undefined;
}

/** One function of the machine. */
export interface DeviceReport {
  /** `domain:bus:device.function`, as `0000:01:00.0`. */
  readonly address: string;
  /** `vendor:device` in hex, as lspci has it; undefined: the text has no ids. */
  readonly id: string | undefined;
  /** What lspci calls it; of a text without names class and ids alone. */
  readonly description: string;
  /** Name of its class; undefined: the text does not tell. */
  readonly className: string | undefined;
  /** What people would give it away for. */
  readonly purpose: DevicePurpose;
  /** Its header is not of type 0: bridges are not given to anybody. */
  readonly isBridge: boolean;
  /** It reads as ones: it fell off the bus, or sleeps too deep to be woken. */
  readonly fellOff: boolean;
  /** The VMD that it is below, whose driver makes it; undefined: it is below none, or the text does not show which. */
  readonly vmd: string | undefined;
  /** The driver that it is bound to; null for none; undefined: the text does not tell. */
  readonly driver: string | null | undefined;
  /** How the kernel could reset it, as sysfs `reset_method` lists them: `flr`, `pm`, `bus`; empty for not at all; undefined: the text does not tell. */
  readonly resetMethods: readonly string[] | undefined;
  /** Of these, what works when it is asked for: `bus` does not beside other functions; undefined: the text does not tell. */
  readonly workingResets: readonly string[] | undefined;
  /** What VFIO_DEVICE_PCI_HOT_RESET takes along; undefined: the text does not tell what is beside it. */
  readonly hotReset: HotResetReport | undefined;
  /** The bridge right above it; null: it is on a root bus; undefined: the text does not tell. */
  readonly parent: string | null | undefined;
  /** Firmware shows its pictures on it; undefined: the text does not tell. */
  readonly bootVga: boolean | undefined;
}

/** What VFIO_DEVICE_PCI_HOT_RESET of a function does, by which QEMU resets what has no reset of its own. */
export interface HotResetReport {
  /** Addresses of all that is reset, the function itself first: all have to be the user's. */
  readonly affected: readonly string[];
  /** Why it cannot be done, as a sentence without its full stop; undefined: it can. */
  readonly obstacle: string | undefined;
}

/** An error in the text that is known. */
export interface ErrorReport {
  /** Its name in KNOWN_ERRORS. */
  readonly id: string;
  /** Where the text has it first, from 1. */
  readonly line: number;
  /** That line, at most 240 characters. */
  readonly text: string;
  /** Addresses of the functions that its lines name; empty: they name none. */
  readonly devices: readonly string[];
  /** What has happened, in whole sentences. */
  readonly means: string;
  /** What can be done, the likeliest first. */
  readonly remedies: readonly string[];
  /** What the rest of the text says about it, a sentence each without full stops. */
  readonly here: readonly string[];
  /** Whether things work all the same. */
  readonly harmless: boolean;
}

/** What a function is for. */
export type DevicePurpose = 'gpu' | 'gpu-function' | 'nic' | 'nvme' | 'storage' | 'usb' | 'accelerator' | 'vf' | 'media' | 'platform' | 'bridge' | 'host' | 'other';

/** Something that is in the way of giving a group's devices to a VM. */
export interface Blocker {
  /** The PCI address of the device that it is about; undefined: the whole group. */
  readonly device: string | undefined;
  /** The errno that it comes to, as `EPERM`; undefined: none by itself. */
  readonly errno: string | undefined;
  /** What it is, and what to do: a sentence without its full stop. */
  readonly what: string;
}

/** One IOMMU group that the text is sure of: what is in it, why, and what can be done with it. */
export interface GroupReport {
  /** The running kernel's number of the group; null: the text does not tell it. */
  readonly id: number | null;
  /** `told`: the running kernel's own. `known`: computed from registers. `derived`: computed, and a rule stands for what is not shown. */
  readonly standing: 'told' | 'known' | 'derived';
  /** Addresses of all its functions, bridges too. */
  readonly devices: readonly string[];
  /** Why these functions cannot be told apart, or what isolates the only one. */
  readonly reason: string;
  /** No member has a driver that does DMA for the host: VFIO_GROUP_SET_CONTAINER goes through; null: the text does not tell the drivers. */
  readonly viable: boolean | null;
  /** What is in the way of giving the group's devices to a VM, and what to do. */
  readonly blockers: readonly Blocker[];
  /** Where the running kernel's group is not what its registers give: how, and the likely cause; undefined: they agree, or the text cannot tell. */
  readonly difference: string | undefined;
  /** What VFIO answers for each endpoint alone, and for all endpoints together where there are several. Bridges cannot be given. */
  readonly trials: readonly TrialReport[];
  /** The same functions as `devices`, with what is known of each. */
  readonly members: readonly DeviceReport[];
}

/** A function whose group the text cannot tell. */
export interface CannotTellReport {
  /** Its address. */
  readonly device: string;
  /** What is known of it. */
  readonly about: DeviceReport;
  /** Addresses of those with which it is whatever is missing, itself among them. */
  readonly surely: readonly string[];
  /** Addresses of those with which it may be. */
  readonly perhaps: readonly string[];
  /** Whether it may be in no group. */
  readonly perhapsNone: boolean;
  /** The facts that are missing. */
  readonly missing: readonly LackedFact[];
  /** What VFIO answers for it with nobody else in its group; undefined: functions that the text does not show may be in it, or it is a bridge. */
  readonly trial: TrialReport | undefined;
  /** The one command that would tell. */
  readonly command: string;
}

/** A function in no group. */
export interface UngroupedReport {
  /** Its address. */
  readonly device: string;
  /** Why: a sentence without its full stop. */
  readonly why: string;
}

/** The answer to "can I have it?". */
export interface Verdict {
  /** The PCI address of the device. */
  readonly device: string;
  /** It can be given alone, or with others, or not; or the text cannot tell. */
  readonly kind: 'alone' | 'with' | 'no' | 'cannot-tell';
  /** Addresses of the endpoints of its group that have to come along, or have to be without a driver. */
  readonly with: readonly string[];
  /** Whether these are the most that there can be: which of them share its group cannot be told, and with all of them it can be given whichever do. */
  readonly atMost: boolean;
  /** Of `no`: whether it is so for now alone, until a driver, a setting or a power cycle takes away what is in the way. */
  readonly forNow: boolean;
  /** Why, as a sentence without its full stop. */
  readonly because: string;
  /** What would be if what stands in the way were gone; undefined: nothing stands there, or nobody knows. */
  readonly otherwise: string | undefined;
  /** What was tried and failed, so that the answer is no; undefined: nothing did. */
  readonly failed: TrialReport | undefined;
}

/** What examine() finds. */
export interface DoctorReport {
  /** What was pasted, and how far it goes. */
  readonly input: InputReport;
  /** The kernel whose rules make the groups, and whose VFIO answers. */
  readonly kernel: KernelReport;
  /** What was taken as if it were so; undefined: nothing. */
  readonly whatIf: WhatIf | undefined;
  /** Signs for and against an IOMMU that is on. */
  readonly iommu: IommuFinding;
  /** The kind of IOMMU that was taken for the answers. */
  readonly taken: IommuKind;
  /** Whether the answers take it to remap interrupts; without, VFIO_SET_IOMMU is EPERM for all. */
  readonly remapsInterrupts: boolean;
  /** Kernels that would make other groups of this machine. */
  readonly otherKernels: readonly OtherKernel[];
  /** Whether the groups are those that would be with an IOMMU on: the machine has none that is. */
  readonly wouldBe: boolean;
  /** Groups that the text is sure of, in the order of their first functions. */
  readonly groups: readonly GroupReport[];
  /** Functions whose group it cannot tell, in the order of addresses. */
  readonly cannotTell: readonly CannotTellReport[];
  /** Functions in no group: those of the IOMMU itself, and what it does not cover; without IOMMU all. */
  readonly ungrouped: readonly UngroupedReport[];
  /** Errors in the text that are known, in its order. */
  readonly errors: readonly ErrorReport[];
  /** Whether each function can be given, in the order of addresses. */
  readonly verdicts: readonly Verdict[];
}
