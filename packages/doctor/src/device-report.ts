/** One function, as the report shows it. */
import { hotReset, idText, resetMethods, type KernelVersion, type PciTopology } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './facts/device-knowledge.ts';
import { valueOr } from './facts/fact.ts';
import { isVirtualFunctionName } from './facts/names.ts';
import type { DevicePurpose, DeviceReport } from './report.ts';

/** @param topology a machine that fits the text @param lost the text does not tell what is above it, and so what is beside it */
export function deviceReport(knowledge: DeviceKnowledge, machine: readonly DeviceKnowledge[], topology: PciTopology, lost: boolean, kernel: KernelVersion | undefined): DeviceReport {
  const { address, pasted, vendor, device, classCode, isBridge, answers, driver, resets } = knowledge;
  const id = vendor.standing === 'unknown' || device.standing === 'unknown' ? undefined : idText(vendor.value, device.value);
  const code = valueOr(classCode, undefined);
  const kind = code === undefined ? '' : `[${code.toString(16).padStart(4, '0')}]: `;
  const node = topology.node(address)!;
  const { listed, working, unknown } = resetMethods(node, resets, topology, kernel);
  const told = unknown.length === 0 && !lost;
  const hot = hotReset(node, topology, kernel);
  const sender = topology.senderOf(node);
  return {
    address,
    id,
    description: pasted.name ?? `${kind}${id === undefined ? 'not named' : `[${id}]`}`,
    className: pasted.className,
    purpose: purposeOf(knowledge, machine),
    isBridge: valueOr(isBridge, false),
    fellOff: !valueOr(answers, true),
    vmd: sender === node ? undefined : sender.facts.address,
    driver: driver.standing === 'unknown' ? undefined : (driver.value ?? null),
    resetMethods: pasted.resetMethods ?? (told ? listed : undefined),
    workingResets: told ? working : undefined,
    hotReset: lost ? undefined : { affected: hot.affected, obstacle: hot.obstacle?.why },
    parent: lost ? undefined : (topology.bridgeOf(node)?.facts.address ?? null),
    bootVga: pasted.bootVga,
  };
}

const DISPLAY = 0x03;
const BY_CLASS: ReadonlyMap<number, DevicePurpose> = new Map([
  [0x0108, 'nvme'],
  [0x0c03, 'usb'],
  [0x0b40, 'accelerator'],
  [0x0600, 'host'],
  [0x0604, 'bridge'],
  [0x0607, 'bridge'],
  [0x0609, 'bridge'],
]);
const BY_BASE: ReadonlyMap<number, DevicePurpose> = new Map([
  [0x01, 'storage'],
  [0x02, 'nic'],
  [DISPLAY, 'gpu'],
  [0x04, 'media'],
  [0x05, 'platform'],
  [0x06, 'platform'],
  [0x08, 'platform'],
  [0x11, 'platform'],
  [0x12, 'accelerator'],
]);

function purposeOf({ address, classCode, pasted, physfn }: DeviceKnowledge, machine: readonly DeviceKnowledge[]): DevicePurpose {
  if (valueOr(physfn, undefined) !== undefined || (pasted.name !== undefined && isVirtualFunctionName(pasted.name))) return 'vf';
  const code = valueOr(classCode, 0);
  const slot = address.slice(0, -1);
  // Sound, USB and the like of a graphics card go with it.
  const beside = code >>> 8 !== DISPLAY && machine.some((other) => other.address !== address && other.address.startsWith(slot) && valueOr(other.classCode, 0) >>> 8 === DISPLAY);
  if (beside && code >>> 8 !== 0x06) return 'gpu-function';
  return BY_CLASS.get(code) ?? BY_BASE.get(code >>> 8) ?? 'other';
}
