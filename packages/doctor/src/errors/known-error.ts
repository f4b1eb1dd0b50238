/** What is known of one error message of passthrough. */

/** Who prints a message. */
export type Printer = 'kernel' | 'QEMU' | 'libvirt' | 'Proxmox VE' | 'DPDK' | 'lspci' | 'nvidia' | 'Windows guest';

/** Where a message comes from. */
export interface ErrorSource {
  /** The program. */
  readonly by: Printer;
  /** The function that prints it, with its file or module. */
  readonly where: string;
  /** Which versions word it so; undefined: those of the last ten years. */
  readonly versions?: string | undefined;
}

/** What of a machine decides whether an error comes, and so what of its text to look at. */
export type ErrorCause =
  | 'groups' // which functions share an IOMMU group
  | 'drivers' // what the members of a group are bound to
  | 'resets' // how a function, and its bus, can be reset
  | 'capabilities' // what the configuration space tells
  | 'regions' // BARs and the ROM
  | 'iommu' // whether there is an IOMMU, whose it is, and whether it is on
  | 'cmdline' // the kernel's parameters
  | 'log' // other lines of the kernel's log
  | 'iomem' // who has the addresses
  | 'bootVga' // which graphics the firmware started with
  | 'firmware' // settings and tables of the firmware: no text of lspci shows them
  | 'limits' // limits and rights of the process
  | 'guest'; // what is set up for the guest

/** One error message, or several that say the same. */
export interface KnownError {
  /** Its name in this table, as `group-not-viable`. */
  readonly id: string;
  /** Each finds the message in a line. None tries a part of a line twice. */
  readonly patterns: readonly RegExp[];
  /** Lines as they are printed, at least one for each pattern. */
  readonly examples: readonly string[];
  /** Who prints them. */
  readonly sources: readonly ErrorSource[];
  /** The call to VFIO, or to the kernel, that failed; undefined: the message is of none. */
  readonly call?: string | undefined;
  /** What the call answered; undefined: the message is of no failed call, or its own words name the errno. */
  readonly errno?: string | undefined;
  /** Whether things work all the same. */
  readonly harmless?: true;
  /** What has happened, in whole sentences. */
  readonly means: string;
  /** What can be done, the likeliest first. */
  readonly remedies: readonly string[];
  /** What decides it. */
  readonly looksAt: readonly ErrorCause[];
}
