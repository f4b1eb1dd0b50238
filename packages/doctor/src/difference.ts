/** Where the running kernel's groups are not those that the registers give, and why that may be. */
import type { ComputedGroup } from '@vsim/vfio-pci';
import type { SureGroup } from './facts/groups.ts';
import type { PastedMachine } from './read/paste.ts';

/**
 * What is different about a told group, and the likely cause.
 *
 * @param computed the groups that the registers give, by function, where the text is sure of them
 * @returns a sentence without its full stop; undefined where they agree, or the text cannot tell
 */
export function differenceOf(group: SureGroup, computed: ReadonlyMap<string, ComputedGroup>, { cmdline }: PastedMachine): string | undefined {
  const sets = new Set<ComputedGroup>();
  for (const device of group.devices) {
    const set = computed.get(device);
    if (set === undefined) return undefined;
    sets.add(set);
  }
  const here = new Set(group.devices);
  const missing = [...sets].flatMap(({ devices }) => devices.filter((device) => !here.has(device)));
  const override = /(?:^|\s)pcie_acs_override=\S+/.exec(cmdline ?? '')?.[0].trim();
  if (missing.length > 0) {
    const cause =
      override === undefined
        ? 'likely causes: the ACS override patch (kernels of Proxmox, Unraid and others have it; look for pcie_acs_override in /proc/cmdline), or a rule for these devices that is newer than the kernel this speaks of'
        : `${override} is on the kernel's command line: it claims an isolation that the hardware does not have`;
    return `the registers put ${missing.join(' ')} into it, too; ${cause}`;
  }
  if (sets.size > 1) {
    const parts = [...sets].map(({ devices }) => `{${devices.join(' ')}}`).join(' ');
    return `the registers keep apart ${parts}; likely causes: a kernel with another rule for these ports (groups of Linux 5.9 and of some later versions are larger), or registers that were other when the kernel found the devices, which is when it makes groups`;
  }
  return undefined;
}
