/** How much a text tells of a machine. */
import type { DeviceKnowledge } from './facts/device-knowledge.ts';
import type { GroupKnowledge } from './facts/groups.ts';
import type { Paste, TextForm } from './read/paste.ts';
import { BEST_COMMAND, type InputReport, type TextQuality } from './report.ts';

const FORMS: Readonly<Record<TextForm, string>> = {
  lspci: 'lspci',
  'lspci-machine': 'lspci -mm',
  'lspci-tree': 'lspci -t',
  groups: 'a listing of IOMMU groups',
  'kernel-log': 'messages of the kernel',
  nodedev: 'virsh nodedev-dumpxml',
  pvesh: 'pvesh',
  iomem: '/proc/iomem',
  cmdline: '/proc/cmdline',
  uname: 'uname',
  sysfs: 'files of /sys',
};

/** What was pasted, and how far it goes. */
export function inputReport({ parts, unread, devices }: Paste, machine: readonly DeviceKnowledge[], groups: GroupKnowledge): InputReport {
  const quality = qualityOf(machine);
  const complete = quality !== 'nothing' && groups.open.length === 0;
  return { quality, sentence: sentenceOf(quality, parts.map(({ form }) => form), machine, groups), parts, devices: devices.length, command: complete ? undefined : BEST_COMMAND, unread };
}

function qualityOf(machine: readonly DeviceKnowledge[]): TextQuality {
  if (machine.length === 0) return 'nothing';
  if (machine.every(({ group }) => group.standing !== 'unknown')) return 'groups';
  const whole = machine.filter(({ expressType, acs }) => expressType.standing === 'known' && acs.standing === 'known').length;
  if (whole === machine.length) return 'registers';
  const named = machine.filter(({ expressType, acs }) => expressType.standing !== 'unknown' && (acs.standing !== 'unknown' || acs.candidates !== undefined)).length;
  if (named === machine.length) return 'names';
  return named > 0 || machine.some(({ group }) => group.standing !== 'unknown') ? 'partial' : 'list';
}

function sentenceOf(quality: TextQuality, forms: readonly TextForm[], machine: readonly DeviceKnowledge[], { open }: GroupKnowledge): string {
  const count = machine.length === 1 ? '1 function' : `${machine.length} functions`;
  const from = [...new Set(forms)].map((form) => FORMS[form]).join(', ');
  const head = `${count} from ${from === '' ? 'the text' : from}`;
  const rest = open.length === 0 ? '' : `; of ${open.length} of them the group cannot be told`;
  switch (quality) {
    case 'nothing':
      return 'no PCI function in the text';
    case 'groups':
      return `${head}: the running kernel's groups are told`;
    case 'registers':
      return `${head}: everything that isolation depends on is shown${rest}`;
    case 'names':
      return `${head}: capabilities by name, not by their bits; an ACS capability that is named counts as switched on${rest}`;
    case 'partial':
      return `${head}: some show what others lack${rest}`;
    case 'list':
      return `${head}: no capabilities, on which isolation depends${rest}`;
  }
}
