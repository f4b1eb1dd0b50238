/** What to type to give devices to a VM. */
import type { DeviceReport } from '../report.ts';

/** Binding by driverctl or by ids, and the device in libvirt and in QEMU. @param all the functions of the machine */
export function bindCommands(members: readonly DeviceReport[], all: readonly DeviceReport[]): readonly string[] {
  const out = ['To bind to vfio-pci'];
  const unbound = members.filter(({ driver }) => driver !== 'vfio-pci');
  if (unbound.length === 0) out.push('  (done already)');
  for (const { address } of unbound) out.push(`  driverctl set-override ${address} vfio-pci`);
  const ids = [...new Set(unbound.flatMap(({ id }) => id ?? []))];
  if (ids.length > 0) {
    const here = new Set(members.map(({ address }) => address));
    const others = all.filter(({ id, address }) => id !== undefined && ids.includes(id) && !here.has(address)).map(({ address }) => address);
    out.push(`  or from boot on: vfio-pci.ids=${ids.join(',')} on the kernel's command line${others.length === 0 ? '' : ` (it would take ${others.join(' ')} along, which have the same id)`}`);
  }
  out.push('In libvirt', ...members.map(({ address }) => `  ${hostdev(address)}`));
  out.push('In QEMU', `  ${members.map(({ address }) => `-device vfio-pci,host=${address}`).join(' ')}`);
  return out;
}

function hostdev(address: string): string {
  const [domain, bus, slot, fn] = address.split(/[:.]/);
  return `<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x${domain!}' bus='0x${bus!}' slot='0x${slot!}' function='0x${fn!}'/></source></hostdev>`;
}
