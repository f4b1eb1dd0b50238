/** Messages of the kernel that concern passthrough. */
import { FULL_ADDRESS } from './address.ts';
import type { Cursor } from './cursor.ts';
import type { Line } from './lines.ts';
import { kernelMessage } from './log-stamp.ts';
import type { PasteDraft } from './paste-draft.ts';

/** How messages begin that need no time stamp to be known. */
const KNOWN = new RegExp(
  `^(?:(?:[a-z][\\w-]{1,30} )?${FULL_ADDRESS}: |(?:pci|vfio[\\w-]*|pcieport|iommu)[ :]|DMAR(?:-IR)?: |AMD-Vi: |IVRS: |arm-smmu|Linux version \\d|Command line: |Kernel command line: |smpboot: CPU0|vfio[_-]|x86/cpu|Booting Linux on|ACPI: DMAR|ACPI: IVRS|pci_bus |\\(XEN\\) |Please ensure all devices within the iommu_group|(?:qemu[\\w-]*|kvm|error|libvirt\\w*|TASK ERROR)\\b[^\\n]{0,300}(?:vfio|iommu|is not viable|reset mechanism))`,
);
const CONCERNS =
  /iommu|DMAR|AMD-Vi|IVRS|IVHD|VT-d|RMRR|\bVMD\b|\bvmd\b|vfio|\bACS\b|not ready \d+ ?ms|after (?:FLR|bus reset|PM reset|hot reset|reset)|[Rr]eset(?:ting)? (?:fail|recovery|timed? ?out)|(?:failed|unable|timed out) (?:to|waiting for)? ?.{0,20}reset|available reset|stuck in D[0-3]|D3cold|D3hot|power state|can't reserve|cannot reserve|BOOTFB|simple-?framebuffer|simpledrm|efifb|vesafb|sysfb|efi-framebuffer|[Cc]ommand line:|Linux version \d|smpboot: CPU0|remapping|vgaarb:.{0,80}(?:boot|bridge control|decodes=io\+mem,owns=io\+mem)|Boot video device|shadowed ROM|Virtualization Technology|SMMU|smmu|Booting Linux on physical|ROM (?:contents|signature)|option ROM|AER: |1:1 IOMMU mapping|ineligible|unsafe_interrupts|Invalid (?:PCI )?ROM|doesn't support reset|Unknown header type|device (?:not|is not) (?:accessible|responding)|unable to change power|is not viable|Hypervisor detected|on Xen\b/;
const ADDRESS = new RegExp(`(?<![0-9a-fA-F:])(${FULL_ADDRESS})`);
const ADDING = new RegExp(`^(?:[a-z][\\w-]* )?(${FULL_ADDRESS}): Adding to iommu group (\\d{1,9})`);
const OLD_ADDING = new RegExp(`^iommu: Adding device (${FULL_ADDRESS}) to group (\\d{1,9})`);
const IDENTITY = new RegExp(`^pci (${FULL_ADDRESS}): \\[([0-9a-f]{4}):([0-9a-f]{4})\\] type [0-9a-f]{2} class (?:0x)?([0-9a-f]{4})([0-9a-f]{2})`);
const BRIDGE = new RegExp(`^pci (${FULL_ADDRESS}): PCI bridge to \\[bus ([0-9a-f]{2})`);
const BOOT_VGA = new RegExp(`^(?:[a-z][\\w-]* )?(${FULL_ADDRESS}): (?:vgaarb: setting as boot (?:VGA )?device|Boot video device)`);
const OLD_BOOT_VGA = new RegExp(`^vgaarb: setting as boot device: PCI:(${FULL_ADDRESS})`);

/** Reads one line of a log. */
export function readKernelLog(cursor: Cursor, line: Line, paste: PasteDraft): boolean {
  const stamped = kernelMessage(line.text);
  if (stamped === undefined && !KNOWN.test(line.text)) return false;
  cursor.next();
  const text = stamped?.text ?? line.text;
  paste.enter('kernel-log', line);
  if (stamped?.foreign === true && !/vfio|group \d+ is not viable/.test(text)) return true;
  if (readMember(text, line, paste)) return true;
  readFacts(text, line, paste);
  if (CONCERNS.test(text)) paste.log.push({ line: line.number, text, address: ADDRESS.exec(text)?.[1]?.toLowerCase() });
  return true;
}

function readMember(text: string, line: Line, paste: PasteDraft): boolean {
  const match = ADDING.exec(text) ?? OLD_ADDING.exec(text);
  if (match === null) return false;
  const device = paste.device(match[1]!.toLowerCase(), line.number);
  paste.tell(device, Number(match[2]), line, 'kernel-log');
  return true;
}

/** What the kernel says of devices when it finds them, and of itself. */
function readFacts(text: string, line: Line, paste: PasteDraft): void {
  const { machine } = paste;
  const identity = IDENTITY.exec(text);
  if (identity !== null) {
    const [, address, vendor, device, classCode, progIf] = identity;
    paste.device(address!.toLowerCase(), line.number).say({ vendor: hex(vendor!), device: hex(device!), classCode: hex(classCode!), progIf: hex(progIf!) });
  }
  const bridge = BRIDGE.exec(text);
  if (bridge !== null) paste.device(bridge[1]!.toLowerCase(), line.number).secondaryBus = hex(bridge[2]!);
  const boot = BOOT_VGA.exec(text) ?? OLD_BOOT_VGA.exec(text);
  if (boot !== null) paste.device(boot[1]!.toLowerCase(), line.number).bootVga = true;
  const version = /^Linux version (\S+)/.exec(text)?.[1];
  if (version !== undefined) machine.kernel = version;
  const commandLine = /^(?:Kernel c|C)ommand line: (.*)$/s.exec(text)?.[1];
  if (commandLine !== undefined) machine.cmdline = commandLine;
  if (/^smpboot: CPU0: (?:Intel|Genuine)/.test(text)) machine.cpu ??= 'intel';
  if (text.startsWith('smpboot: CPU0: AMD')) machine.cpu ??= 'amd';
  if (/^Booting Linux on physical CPU 0x|^(?:arm-smmu|CPU features: .*ARM)/.test(text)) machine.cpu ??= 'arm';
}

function hex(text: string): number {
  return Number.parseInt(text, 16);
}
