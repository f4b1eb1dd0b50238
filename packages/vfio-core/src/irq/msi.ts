/**
 * Message-signalled interrupts, as the spokes of the house share them: a bus asks an interrupt controller for vectors,
 * programs their messages into its devices, and drivers hang handlers on them.
 */
import type { Host } from '../host/host.ts';

/** The address and data that a device writes to raise one vector. */
export interface MsiMessage {
  /** Physical address; below 2^52. */
  readonly address: number;
  /** 32 bits; 16 of them for plain MSI. */
  readonly data: number;
}

/** One interrupt of the host, as a driver holds it. Kernel: a Linux irq number and its irq_desc. */
export interface HostIrq {
  /** The Linux irq number. */
  readonly number: number;
  /** What a device writes to raise it. */
  readonly message: MsiMessage;
  /** request_irq() and free_irq(): what runs when the host itself takes the interrupt. */
  setHandler(handler: (() => void) | undefined): void;
  /** Holds it back; it stays pending. */
  mask(): void;
  /** Lets it through again, with what is pending. */
  unmask(): void;
}

/** What a bus needs of the interrupt controller behind its MSI domain. */
export interface MsiController {
  /** The host whose interrupts they are: a bus refuses another's. @default whichever */
  readonly host?: Host | undefined;
  /**
   * Allocates `count` vectors for the device with this requester id, with consecutive data when `contiguous` (plain MSI). Gives as many as
   * there are: the caller decides whether fewer will do.
   *
   * @param requester the device's requester id, of 16 bits on PCI; the DeviceID of an ITS
   */
  allocate(requester: number, count: number, contiguous: boolean): readonly HostIrq[];
  /** Gives them back; their handlers are gone before. @param requester as allocate() was told it */
  release(requester: number, irqs: readonly HostIrq[]): void;
  /** Whether a device can only raise its own interrupts (interrupt remapping, an ITS): IOMMU_CAP_INTR_REMAP. */
  readonly isolated: boolean;
  /** Who is behind the PCI layer, as /proc/interrupts has it: `ITS`, `IR` where a table remaps. @default nobody */
  readonly chip?: string | undefined;
  /** Vectors of MSI-X can be added to those that a device has: MSI_FLAG_PCI_MSIX_ALLOC_DYN. @default true */
  readonly allocatesLater?: boolean | undefined;
}
