/** Whether DisINTx can be relied on to mask INTx. Kernel: pci_intx_mask_supported(), quirk_broken_intx_masking(). */
import { PCI_COMMAND, PCI_COMMAND_INTX_DISABLE } from '../pci/registers.ts';
import type { PciFunction } from '../pci/pci-function.ts';

/** A device by its ids and its registers: what its quirks are told by. */
export interface IdentifiedFunction {
  /** Vendor ID, 16 bits. */
  readonly vendor: number;
  /** Device ID, 16 bits. */
  readonly deviceId: number;
  /** `vendor:device`. */
  readonly idText: string;
  /** The hardware. */
  readonly function: PciFunction;
}

/** `vendor:device`, whose DisINTx takes what is written and does not mask. */
const BROKEN: ReadonlySet<string> = new Set(['1425:0030', '1814:0601', '1b7c:0004', '1102:000b', '10ec:8169']);

/** Found out by turning the bit and back, when the device is found. */
export function intxMaskable(device: IdentifiedFunction): boolean {
  const fn = device.function;
  const { command } = fn;
  fn.configWrite(PCI_COMMAND, 2, command ^ PCI_COMMAND_INTX_DISABLE);
  const turned = ((fn.command ^ command) & PCI_COMMAND_INTX_DISABLE) !== 0;
  fn.configWrite(PCI_COMMAND, 2, command);
  return turned && !BROKEN.has(device.idText);
}

/** Intel NICs that vfio-pci gives to users without INTx: nothing masks it. Kernel: vfio_pci_nointx(). i40e, and X550. */
export function intxIsBroken({ vendor, deviceId: id }: Pick<IdentifiedFunction, 'vendor' | 'deviceId'>): boolean {
  if (vendor !== 0x8086) return false;
  return id === 0x1572 || id === 0x1574 || id === 0x1580 || id === 0x1581 || (id >= 0x1583 && id <= 0x158b) || (id >= 0x37d0 && id <= 0x37d2) || id === 0x1563;
}
