/** What to type to give devices to a VM. */
import type { DeviceReport } from '../report.ts';

/** What is typed at one place: a shell, libvirt's XML, QEMU's command line. */
export interface CommandBlock {
  /** Where it belongs, as `In QEMU`. */
  readonly title: string;
  /** What to type there, in order. */
  readonly lines: readonly CommandLine[];
}

/** One line of a block. */
export interface CommandLine {
  /** The line as it is shown, with what is to be said about the command. */
  readonly text: string;
  /** What is typed or copied; undefined: the line is a remark. */
  readonly command: string | undefined;
}

/** Binding by driverctl or by ids, and the device in libvirt and in QEMU. @param all the functions of the machine */
export function commandBlocks(members: readonly DeviceReport[], all: readonly DeviceReport[]): readonly CommandBlock[] {
  const unbound = members.filter(({ driver }) => driver !== 'vfio-pci');
  const binding = unbound.length === 0 ? [{ text: '(done already)', command: undefined }] : unbound.map(({ address }) => plain(`driverctl set-override ${address} vfio-pci`));
  const ids = [...new Set(unbound.flatMap(({ id }) => id ?? []))];
  if (ids.length > 0) {
    const here = new Set(members.map(({ address }) => address));
    const others = all.filter(({ id, address }) => id !== undefined && ids.includes(id) && !here.has(address)).map(({ address }) => address);
    const command = `vfio-pci.ids=${ids.join(',')}`;
    binding.push({ text: `or from boot on: ${command} on the kernel's command line${others.length === 0 ? '' : ` (it would take ${others.join(' ')} along, which have the same id)`}`, command });
  }
  return [
    { title: 'To bind to vfio-pci', lines: binding },
    { title: 'In libvirt', lines: members.map(({ address }) => plain(hostdev(address))) },
    { title: 'In QEMU', lines: [plain(members.map(({ address }) => `-device vfio-pci,host=${address}`).join(' '))] },
  ];
}

/** The same as lines: titles, and what belongs to them indented. @param all the functions of the machine */
export function bindCommands(members: readonly DeviceReport[], all: readonly DeviceReport[]): readonly string[] {
  return commandBlocks(members, all).flatMap(({ title, lines }) => [title, ...lines.map(({ text }) => `  ${text}`)]);
}

function plain(command: string): CommandLine {
  return { text: command, command };
}

function hostdev(address: string): string {
  const [domain, bus, slot, fn] = address.split(/[:.]/);
  return `<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x${domain!}' bus='0x${bus!}' slot='0x${slot!}' function='0x${fn!}'/></source></hostdev>`;
}
