/** Device ids that a function without a known one may have, as far as rules of the grouping go by them. */
import { VMD_DEVICES, aliasDeviceIds, quirkDeviceIds, type KernelVersion } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { valueOr } from './fact.ts';

const INTEL = 0x8086;
const ROOT_PORT = 4;
/** Linux leaves the IOMMU of Broadwell's graphics off. */
const UNCOVERED_GRAPHICS = 0x1616;
const CLASS_RAID = 0x0104;
const BASE_DISPLAY = 0x03;
const BASE_NETWORK = 0x02;

/** Ids that isolate without saying so, by vendor and class: 16 bits, or of 8 bits the base class. Those of ports are asked for by type. */
const ISOLATING: Readonly<Record<number, Readonly<Record<number, number>>>> = {
  [INTEL]: { [BASE_NETWORK]: 0x1521 },
  0x1022: { 0x0604: 0x780f, 0x0c03: 0x7809 },
  0x1002: { 0x0c05: 0x4385, 0x0101: 0x439c, 0x0403: 0x4383, 0x0601: 0x439d, 0x0604: 0x4384, 0x0c03: 0x4399 },
};
/** Classes of devices that send under another's id: storage, FireWire, CardBus and other bridges, displays. */
const ALIASING_BASES: ReadonlySet<number> = new Set([0x01, BASE_DISPLAY, 0x06, 0x0c]);

/** An id with which the function isolates though it has no ACS; undefined: none that it could have. @param expressType the Device/Port Type that it is to have */
export function isolatingId({ vendor, device, classCode }: DeviceKnowledge, expressType: number | undefined, kernel: KernelVersion | undefined): number | undefined {
  const maker = valueOr(vendor, 0);
  const candidates = candidatesOf(device);
  const byClass = ISOLATING[maker];
  if (candidates !== undefined || byClass === undefined || expressType === ROOT_PORT) {
    const quirked = quirkDeviceIds(maker, expressType, kernel);
    return candidates === undefined ? quirked[0] : (candidates.find((id) => quirked.includes(id)) ?? candidates[0]);
  }
  const code = valueOr(classCode, 0);
  return byClass[code] ?? byClass[code >>> 8];
}

/** An id with which the function is in one group with others, or in none; undefined: none that it could have. */
export function mergingId({ vendor, device, classCode, address }: DeviceKnowledge, kernel: KernelVersion | undefined): number | undefined {
  const maker = valueOr(vendor, 0);
  const code = valueOr(classCode, 0);
  const candidates = candidatesOf(device);
  if (candidates !== undefined) {
    const aliasing = aliasDeviceIds(maker, kernel);
    const quirked = quirkDeviceIds(maker, undefined, kernel);
    return candidates.find((id) => aliasing.includes(id)) ?? candidates.find((id) => !quirked.includes(id)) ?? candidates[0];
  }
  if (maker !== INTEL) return ALIASING_BASES.has(code >>> 8) ? aliasDeviceIds(maker, kernel)[0] : undefined;
  // Their accelerators that alias have names of their own.
  if (!address.startsWith('0000:')) return undefined;
  if (code === CLASS_RAID) return VMD_DEVICES[0];
  return code >>> 8 === BASE_DISPLAY ? UNCOVERED_GRAPHICS : undefined;
}

function candidatesOf(device: DeviceKnowledge['device']): readonly number[] | undefined {
  return device.standing === 'unknown' ? device.candidates : undefined;
}
