/** What the kernel and QEMU print where a device is given away against its verdict: the sentences that people search for. */
import type { DeviceReport, DoctorReport, GroupReport, Verdict } from '../report.ts';
import { waitingOf } from './first-line.ts';

/** A message that would come, by the error that it is in KNOWN_ERRORS. */
export interface ExpectedMessage {
  /** Id of the known error. */
  readonly error: string;
  /** When it comes, as the beginning of a sentence. */
  readonly when: string;
  /** The line as it is printed, without the program's name. */
  readonly text: string;
}

/** The messages to expect for one device. @param others those that come along */
export function expectedMessages(verdict: Verdict, device: DeviceReport, others: readonly DeviceReport[], group: GroupReport | undefined, report: DoctorReport): readonly ExpectedMessage[] {
  const { address } = device;
  const number = group?.id ?? 'N';
  if (report.wouldBe || report.taken === 'none') return [{ error: 'no-group', when: 'Tried all the same, QEMU says', text: `vfio ${address}: no iommu_group found: No such file or directory` }];
  if (device.isBridge) return [{ error: 'bind-fails-invalid', when: 'Bound all the same, the kernel says', text: `vfio-pci: probe of ${address} failed with error -22` }];
  if (device.fellOff) return [{ error: 'registers-read-as-ones', when: 'Tried all the same, libvirt says', text: `Unknown PCI header type '127' for device '${address}'` }];
  if (verdict.failed?.step === 'VFIO_SET_IOMMU') {
    return [{ error: 'no-interrupt-remapping', when: 'Tried all the same, QEMU says', text: `vfio ${address}: failed to setup container for group ${number}: Failed to set iommu for container: Operation not permitted` }];
  }
  if (verdict.failed?.result === 'EBUSY') return [{ error: 'pf-with-vfs', when: 'Bound all the same, the kernel says', text: `vfio-pci ${address}: Cannot bind to PF with SR-IOV enabled` }];
  if (verdict.kind !== 'with' || waitingOf(others).length === 0) return [];
  return [{ error: 'group-not-viable', when: `Where one of ${others.length === 1 ? 'the two' : 'them'} keeps a driver of the host, QEMU says`, text: `vfio ${address}: group ${number} is not viable` }];
}
