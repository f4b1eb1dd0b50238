/** Whether the machine has an IOMMU that is on, by what a paste shows for and against. */
import type { Paste } from '../read/paste.ts';
import { acsAwaitsIommu, type IommuMaker } from './acs-enabled.ts';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { valueOr } from './fact.ts';


/** One sign for or against. */
export interface IommuSign {
  /** It speaks for an IOMMU that is on. */
  readonly speaksFor: boolean;
  /** What was seen, as a sentence without its full stop. */
  readonly what: string;
  /** Line of the paste, from 1; undefined: the sign is in no single line. */
  readonly line: number | undefined;
}

/** What a paste tells of the IOMMU. */
export interface IommuFinding {
  /** Whose IOMMU the machine has, or would have; undefined: the text does not tell. */
  readonly maker: IommuMaker | undefined;
  /** `on`, `off` (there is none, or it is not switched on), or the text cannot tell. */
  readonly state: 'on' | 'off' | 'cannot-tell';
  /** Whether it remaps interrupts; undefined: the text does not tell. */
  readonly remapsInterrupts: boolean | undefined;
  /** All signs, in the order in which they weigh. */
  readonly signs: readonly IommuSign[];
  /** What to switch on, in firmware and on the command line; empty where it is on. */
  readonly advice: readonly string[];
}

const INTEL = 0x8086;
const AMD: ReadonlySet<number> = new Set([0x1022, 0x1002]);
const ARM = 0x13b5;
const CLASS_HOST_BRIDGE = 0x0600;
const CLASS_ISA_BRIDGE = 0x0601;
const CLASS_PCI_BRIDGE = 0x0604;
const CLASS_IOMMU = 0x0806;

const ADVICE: Readonly<Record<IommuMaker, readonly string[]>> = {
  'vt-d': ['switch on "VT-d" (Intel Virtualization Technology for Directed I/O) in the firmware', 'add intel_iommu=on iommu=pt to the kernel\'s command line, where the distribution does not switch it on by itself'],
  amd: ['switch on "IOMMU" (AMD-Vi; often below "NBIO" or "AMD CBS"; Auto is off on many boards) in the firmware', 'remove amd_iommu=off and iommu=off from the kernel\'s command line; nothing has to be added'],
  smmuv3: ['use firmware whose tables (IORT, or the device tree) describe the SMMU', 'build or load the kernel\'s arm-smmu-v3 driver'],
};
const ANY_ADVICE = ['switch on the IOMMU (Intel: VT-d, AMD: IOMMU or AMD-Vi) in the firmware', 'on Intel, add intel_iommu=on to the kernel\'s command line'];

/** Messages that only an IOMMU in use leaves. */
const LOG_FOR: readonly RegExp[] = [
  /Adding to iommu group \d+/,
  /Adding device \S+ to group \d+/,
  /^DMAR: (?:IOMMU enabled|Intel\(R\) Virtualization Technology for Directed I\/O)/,
  /^AMD-Vi: (?:Initialized|Interrupt remapping enabled|Virtual APIC enabled|Using global IVHD)/,
  /^iommu: Default domain type/,
  /^arm-smmu-v3 .*: (?:ias|allocated)/,
];
const LOG_AGAINST: readonly RegExp[] = [/^AMD-Vi: AMD IOMMUv2 (?:functionality )?not available/, /^DMAR: No ATSR found.*no DMAR/, /IOMMU not present/i, /^DMAR: .*(?:Failed to (?:enable|initialize)|disabled)/];
const LOG_REMAPS: readonly RegExp[] = [/^DMAR-IR: Enabled IRQ remapping/, /^AMD-Vi: Interrupt remapping enabled/];
const LOG_REMAPS_NOT: readonly RegExp[] = [/No interrupt remapping support/, /interrupt remapping (?:is )?(?:disabled|not supported)/i, /DMAR-IR: .*(?:disabl|fail)/i];

/** Looks for signs of an IOMMU. @param machine what is known of the functions */
export function iommuOf({ machine: about }: Paste, machine: readonly DeviceKnowledge[]): IommuFinding {
  const maker = makerOf(about.cpu, machine);
  const signs: IommuSign[] = [];
  const add = (speaksFor: boolean, what: string, line?: number): void => {
    signs.push({ speaksFor, what, line });
  };
  const inGroup = machine.find(({ group }) => group.standing !== 'unknown');
  if (inGroup !== undefined) add(true, `${inGroup.address} is in group ${valueOr(inGroup.group, 0)}`, inGroup.pasted.groups.at(-1)?.line);
  if (about.hasGroups !== undefined) add(about.hasGroups, about.hasGroups ? '/sys/kernel/iommu_groups has groups' : '/sys/kernel/iommu_groups is empty');
  if (about.iommuUnits !== undefined) add(about.iommuUnits.length > 0, about.iommuUnits.length > 0 ? `/sys/class/iommu has ${about.iommuUnits.join(' ')}` : '/sys/class/iommu is empty');
  for (const { text, line } of about.log) {
    if (LOG_FOR.some((pattern) => pattern.test(text))) add(true, `the kernel says "${text}"`, line);
    else if (LOG_AGAINST.some((pattern) => pattern.test(text))) add(false, `the kernel says "${text}"`, line);
  }
  const own = machine.find((each) => valueOr(each.classCode, 0) === CLASS_IOMMU);
  if (own !== undefined) add(true, `${own.address} is the function of AMD's IOMMU, which shows itself when firmware has switched it on`, own.pasted.line);
  else if (maker === 'amd' && showsRoot(machine)) add(false, 'no function of class 0806: AMD\'s IOMMU shows itself beside the host bridge when firmware has switched it on');
  const off = /(?:^|\s)(?:iommu=off|intel_iommu=off|amd_iommu=off)(?=\s|$)/.exec(about.cmdline ?? '')?.[0];
  if (off !== undefined) add(false, `the kernel's command line has ${off.trim()}`);
  if (acsAwaitsIommu(machine, maker)) add(false, 'every ACS capability is there and switched off, as a kernel leaves them that has no IOMMU');
  const state = stateOf(signs);
  return { maker, state, remapsInterrupts: remaps(about.log.map(({ text }) => text), about.cmdline), signs, advice: state === 'on' ? [] : maker === undefined ? ANY_ADVICE : ADVICE[maker] };
}

/** The newest signs weigh most: they stand first. What is seen of the running system beats what was logged, and that beats hardware. */
function stateOf(signs: readonly IommuSign[]): IommuFinding['state'] {
  const first = signs[0];
  if (first === undefined) return 'cannot-tell';
  return first.speaksFor ? 'on' : 'off';
}

function makerOf(cpu: Paste['machine']['cpu'], machine: readonly DeviceKnowledge[]): IommuMaker | undefined {
  if (cpu !== undefined) return cpu === 'intel' ? 'vt-d' : cpu === 'amd' ? 'amd' : 'smmuv3';
  for (const { classCode, vendor } of machine) {
    if (valueOr(classCode, 0) === CLASS_IOMMU && AMD.has(valueOr(vendor, 0))) return 'amd';
  }
  const bridge = machine.find(({ classCode }) => valueOr(classCode, 0) === CLASS_HOST_BRIDGE);
  const vendor = bridge === undefined ? undefined : valueOr(bridge.vendor, undefined);
  if (vendor !== undefined && AMD.has(vendor)) return 'amd';
  if (vendor === INTEL) return 'vt-d';
  if (machine.some((each) => valueOr(each.vendor, 0) === ARM)) return 'smmuv3';
  if (bridge !== undefined) return undefined;
  // A part of a machine: whose chipset or root port it is.
  const ofHost = (code: number): DeviceKnowledge | undefined => machine.find((each) => valueOr(each.classCode, 0) === code && each.address.startsWith('0000:00:'));
  const chipset = ofHost(CLASS_ISA_BRIDGE) ?? ofHost(CLASS_PCI_BRIDGE);
  const maker = chipset === undefined ? undefined : valueOr(chipset.vendor, undefined);
  return maker === INTEL ? 'vt-d' : maker !== undefined && AMD.has(maker) ? 'amd' : undefined;
}

/** The text begins where a machine does: with its host bridge. */
function showsRoot(machine: readonly DeviceKnowledge[]): boolean {
  return machine.some(({ address, classCode }) => address.endsWith(':00:00.0') && valueOr(classCode, 0) === CLASS_HOST_BRIDGE);
}

function remaps(log: readonly string[], cmdline: string | undefined): boolean | undefined {
  if (log.some((text) => LOG_REMAPS_NOT.some((pattern) => pattern.test(text)))) return false;
  if (log.some((text) => LOG_REMAPS.some((pattern) => pattern.test(text)))) return true;
  return /(?:^|\s)intremap=off(?=\s|$)/.test(cmdline ?? '') ? false : undefined;
}
