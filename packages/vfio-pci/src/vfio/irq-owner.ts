/** What the interrupt files need of the open device. */
import type { IrqBypassManager, VfioDevice } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';

/** Which of the exclusive kinds of interrupt is in use. */
export type IrqKind = 'none' | 'intx' | 'msi' | 'msix';

export interface IrqOwner extends VfioDevice {
  readonly device: PciDevice;
  readonly bypass: IrqBypassManager | undefined;
  /** INTX_DISABLE of COMMAND, as the user sees it. */
  readonly intxDisabled: boolean;
  /** The device has no INTx for the user. */
  readonly hasIntx: boolean;
  /** The pin is wired to nothing, and the kernel lets the user try (before 6.1). */
  readonly intxUnconnected: boolean;
  /** DisINTx works, and the status bit tells whose the line is. */
  readonly canMaskIntx: boolean;
  irqKind: IrqKind;
}
