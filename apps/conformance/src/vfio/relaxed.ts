/** The rules by which the recordings' READMEs let one compare less strictly, and where they hold: recordings/vfio/README.md. */

/** Contents of BARs, ROM and VGA of devices without a model: length and errno only. */
export const REGISTERS_RULE = 'registers';
/** edu's DMA registers, that nothing resets: before a scenario writes them, they hold what another one wrote. */
export const EDU_LEFTOVER_RULE = 'edu-leftover';
/** Bytes that the recorded kernel took from its own memory, by a bug: the model says where, and does not imitate it. */
export const KERNEL_MEMORY_RULE = 'kernel-memory';
/**
 * LOW_POWER_ENTRY_WITH_WAKEUP lets go of the device, and a worker of the kernel suspends it: an access that comes before the worker
 * wakes nobody. The same step of one device has both outcomes in two boots of one kernel. The model suspends at once.
 */
export const SUSPEND_RACE_RULE = 'suspend-race';
/** The same worker, right after the close of a device: the power state that the physical PMCSR shows (Linux 7.3). */
export const CLOSE_RACE_RULE = 'close-race';

/** A signal of the kernel at work for another process that the recorder's wait just missed: it sleeps 1 s, the wait was 1.1 s (Linux 7.3). */
export const LATE_SIGNAL_RULE = 'late-signal';

/** Messages of the kernel, which people read and nobody compares (vfio-platform). */
export const KERNEL_LOG_RULE = 'kmsg';
/** `power/runtime_status` right after a last close: the kernel suspends in a worker, and may not have done so yet (Linux 6.12, 7.3). */
export const RUNTIME_STATUS_RULE = 'runtime-status';

/** Registers of edu that nothing resets. */
export const EDU_DMA_REGISTERS = { first: 0x80, last: 0x9f } as const;

/** Devices whose registers are compared: edu, pci-testdev, and the mdev samples. */
export const MODELLED: ReadonlySet<string> = new Set(['1234:11e8', '1b36:0005']);

/** What a recording of a Management Complex says depends on the run: message addresses and data. */
export const RUN_RULE = 'run';
/** What the recording machine's /dev has: the fsl-mc recordings' README leaves folders' listings out. */
export const LISTING_RULE = 'listing';
/** A recording whose last note says what comes next: the kernel's oops ended it there. */
export const TRAP_RULE = 'trap';
/** The number of an IOMMU group, whose order of appearance is compared. */
export const GROUP_RULE = 'group';
/** Where an interrupt's own scan falls between what others say to a Management Complex meanwhile: threads. Each has its order. */
export const BESIDE_RULE = 'beside';
