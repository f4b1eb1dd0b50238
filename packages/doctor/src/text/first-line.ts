/** The verdict on one device, in the sentences that an answer begins with. */
import { leavesGroupViable } from '@vsim/vfio-pci';
import type { DeviceReport, Verdict } from '../report.ts';

/** Those of a group that have a driver of the host, or of whose driver the text does not tell. */
export function waitingOf(members: readonly DeviceReport[]): readonly DeviceReport[] {
  return members.filter(({ driver, isBridge }) => driver !== null && (driver === undefined || !leavesGroupViable(driver, isBridge)));
}

/** Disks that would come along, from which the host may run. @param others members of the group without the device */
export function disksOf(others: readonly DeviceReport[]): readonly DeviceReport[] {
  return waitingOf(others).filter(({ purpose }) => purpose === 'nvme' || purpose === 'storage');
}

/** The first line of an answer. @param device what is known of it @param others those that come along @param short a name for an address */
export function firstLine(verdict: Verdict, device: DeviceReport, others: readonly DeviceReport[], short: (address: string) => string): string {
  const { kind, because, otherwise, forNow, atMost } = verdict;
  const name = short(device.address);
  switch (kind) {
    case 'alone':
      return atMost ? `${name} can be given to a VM, alone: ${because}.` : `${name} can be given to a VM, alone.`;
    case 'with':
      return withWords(verdict, device, others, short);
    case 'no':
      if (device.driver === 'pciback') return `${name} can be given to a VM by Xen, not by VFIO: ${because.replace(/, without VFIO$/, '')}.${sentence(otherwise)}`;
      return `${name} cannot be given to a VM${forNow ? ' now' : ''}: ${because}.${sentence(otherwise)}`;
    case 'cannot-tell':
      return `Whether ${name} can be given to a VM cannot be told: ${because}.`;
  }
}

function withWords({ atMost }: Verdict, device: DeviceReport, others: readonly DeviceReport[], short: (address: string) => string): string {
  const name = short(device.address);
  const names = others.map(({ address }) => short(address));
  const disks = disksOf(others).map(({ address }) => short(address));
  if (disks.length > 0 && !atMost) {
    const rest = names.filter((each) => !disks.includes(each));
    const what = disks.length === 1 ? 'the disk' : 'the disks';
    return `${name} cannot be given to a VM without ${what} ${disks.join(' ')}: they are one IOMMU group${rest.length === 0 ? '' : `, with ${rest.join(' ')}`}. If the host runs from ${disks.length === 1 ? 'it' : 'them'}, ${name} cannot be given at all.`;
  }
  const both = others.length === 1 ? 'both' : 'all';
  const once = waitingOf(others).length === 0 ? '' : `, once ${both} are bound to vfio-pci`;
  if (atMost) return `${name} can be given to a VM, at most with ${names.join(' ')}${once}: which of them share its IOMMU group cannot be told.`;
  return `${name} can be given to a VM, with ${names.join(' ')}${once}: they are one IOMMU group.`;
}

function sentence(words: string | undefined): string {
  return words === undefined ? '' : ` ${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
