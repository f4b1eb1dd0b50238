/** What was read from a text that somebody pasted: devices, told groups, kernel messages, and what nobody understood. */

/** The forms of text that are read. A paste may hold several. */
export type TextForm =
  | 'lspci' // headings, with or without indented lines and rows of bytes
  | 'lspci-machine' // lspci -mm, -vmm
  | 'lspci-tree' // lspci -t
  | 'groups' // a listing of IOMMU groups by a shell loop, find, ls, ls-iommu and their like
  | 'kernel-log'
  | 'nodedev' // virsh nodedev-dumpxml
  | 'pvesh' // Proxmox VE: pvesh get /nodes/NODE/hardware/pci
  | 'iomem' // /proc/iomem
  | 'cmdline' // /proc/cmdline
  | 'uname'
  | 'sysfs'; // a folder, an archive or the live /sys

/** A run of lines in one form. */
export interface TextPart {
  /** What it is. */
  readonly form: TextForm;
  /** Its first line, from 1. */
  readonly line: number;
  /** Its last line. */
  readonly lastLine: number;
  /** The command in the prompt above it, as `lspci -nnk`; undefined: none was pasted. */
  readonly command: string | undefined;
}

/** One line that was not understood, or could not be used. */
export interface Unread {
  /** From 1. */
  readonly line: number;
  /** What it says, at most 80 characters. */
  readonly text: string;
  /** Why it is not used; undefined: nobody knows what it is. */
  readonly why: string | undefined;
}

/** A group that a text names for a function. */
export interface ToldGroup {
  /** The running kernel's number. */
  readonly number: number;
  /** Line of the paste, from 1. */
  readonly line: number;
  /** Which form told it. */
  readonly form: TextForm;
}

/** Everything that a paste says of one PCI function, each part as it was written. Nothing here is concluded. */
export interface PastedDevice {
  /** With its domain, lower case, as `0000:01:00.0`. */
  readonly address: string;
  /** The line that names it first, from 1. */
  readonly line: number;
  /** Name of its class as lspci has it: `VGA compatible controller`. */
  readonly className: string | undefined;
  /** Class and subclass, 16 bits. */
  readonly classCode: number | undefined;
  /** Programming interface, 8 bits. */
  readonly progIf: number | undefined;
  /** Revision, 8 bits. */
  readonly revision: number | undefined;
  /** Vendor's and device's name in one, as lspci prints them: `NVIDIA Corporation GP104 [GeForce GTX 1070]`. */
  readonly name: string | undefined;
  /** Vendor ID, 16 bits. */
  readonly vendor: number | undefined;
  /** Device ID, 16 bits. */
  readonly device: number | undefined;
  /** Subsystem vendor ID, 16 bits. */
  readonly subsystemVendor: number | undefined;
  /** Subsystem ID, 16 bits. */
  readonly subsystem: number | undefined;
  /** The indented lines of lspci, trimmed, each logical line in one, without those that are fields here. Empty: there are none. */
  readonly decoded: readonly string[];
  /** Configuration space, 64, 128, 256 or 4096 bytes; undefined: none. */
  readonly config: Uint8Array | undefined;
  /** Its driver; null: the text shows that it has none; undefined: the text does not say. */
  readonly driver: string | null | undefined;
  /** Modules that would drive it. */
  readonly modules: readonly string[];
  /** Its groups as they were told, in the order of the text; empty: none is told. */
  readonly groups: readonly ToldGroup[];
  /** The bridge right above it, as paths, trees and nodedev tell it; null: it is on a root bus; undefined: not told. */
  readonly parent: string | null | undefined;
  /** The bus below it, where a tree tells it and no `Bus:` line does. */
  readonly secondaryBus: number | undefined;
  /** The physical function of a virtual one. */
  readonly physfn: string | undefined;
  /** Methods of sysfs `reset_method`; undefined: not told. */
  readonly resetMethods: readonly string[] | undefined;
  /** Whether sysfs has `reset`, as [R] of ls-iommu shows it; undefined: not told. */
  readonly resettable: boolean | undefined;
  /** Rows of sysfs `resource`; undefined: not told. */
  readonly resource: readonly (readonly string[])[] | undefined;
  /** sysfs `boot_vga` is 1, or the kernel's log names it as the boot VGA device. */
  readonly bootVga: boolean | undefined;
}

/** One message of the kernel that concerns passthrough. */
export interface LogEntry {
  /** From 1. */
  readonly line: number;
  /** The message without time stamp and host name. */
  readonly text: string;
  /** The PCI function that it names first, with its domain; undefined: none. */
  readonly address: string | undefined;
}

/** One range of /proc/iomem. */
export interface IomemRange {
  /** First address, in bytes; addresses above 2^53 are not kept. */
  readonly start: number;
  /** Last address, in bytes. */
  readonly end: number;
  /** What has it: an address of a PCI function, `BOOTFB`, a driver. */
  readonly owner: string;
  /** How deep it is nested, from 0. */
  readonly depth: number;
  /** From 1. */
  readonly line: number;
}

/** What is known of the machine besides its devices. */
export interface PastedMachine {
  /** Version of its kernel, as `6.8.0-49-generic`; undefined: not told. */
  readonly kernel: string | undefined;
  /** Its kernel's parameters; undefined: not told. */
  readonly cmdline: string | undefined;
  /** Names in /sys/class/iommu; undefined: not told, empty: there is none. */
  readonly iommuUnits: readonly string[] | undefined;
  /** Whether /sys/kernel/iommu_groups has any; undefined: not told. */
  readonly hasGroups: boolean | undefined;
  /** Vendor of its CPU, as the log or /proc/cpuinfo names it. */
  readonly cpu: 'intel' | 'amd' | 'arm' | undefined;
  /** Messages of the kernel that concern passthrough, in the order of the text. */
  readonly log: readonly LogEntry[];
  /** /proc/iomem, in the order of the text. */
  readonly iomem: readonly IomemRange[];
}

/** A text, read. */
export interface Paste {
  /** In the order of addresses. */
  readonly devices: readonly PastedDevice[];
  /** What is known of the machine besides. */
  readonly machine: PastedMachine;
  /** Which forms of text it holds, in their order. */
  readonly parts: readonly TextPart[];
  /** What was not understood or not used, by line. */
  readonly unread: readonly Unread[];
}
