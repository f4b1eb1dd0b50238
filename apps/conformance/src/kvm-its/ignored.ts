/**
 * Which reason KVM's ITS has to ignore a command, from what is mapped and what is in the guest's memory: the rules of reference part 5.4,
 * written a second time, so that the model's own reasons are held to something.
 */
import { highHalf, lowHalf, type ProfileName } from '@vsim/vfio-core';
import type { VgicIts } from '@vsim/gic-its';

const FIRST_LPI = 8192;
const COMMAND_BYTES = 32;
const CBASER = 0x80;
const CREADR = 0x90;
const DEVICES = 6;
const COLLECTIONS = 8;
/** Kernels whose MAPC looks at RDbase when it unmaps, too. */
const CHECKS_UNMAP: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1'];
/** Kernels that do not look whether an ITE is in memory. */
const NO_PAGE: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];

/** What one command comes to: the id of the reason, or undefined if it is executed. */
export type Verdict = string | undefined;

/**
 * What the commands that are between CREADR and `writer` come to.
 *
 * @returns undefined unless it is one command that is executed now
 */
export function verdictOf(its: VgicIts, writer: number): { readonly name: string; readonly verdict: Verdict } | undefined {
  const { registers, vm } = its;
  const reader = Number(registers.readWide(CREADR));
  if (!its.enabled || writer !== reader + COMMAND_BYTES) return undefined;
  const address = Number(registers.readWide(CBASER) & 0xf_ffff_ffff_f000n) + reader;
  if (!vm.memory.accessible(address, COMMAND_BYTES)) return { name: 'a command', verdict: 'kvm-its/command-unreadable' };
  const dw = [0, 1, 2, 3].map((n) => (BigInt(vm.memory.read32(address + 8 * n + 4)) << 32n) | BigInt(vm.memory.read32(address + 8 * n)));
  return judge(its, dw);
}

function judge(its: VgicIts, [dw0 = 0n, dw1 = 0n, dw2 = 0n, dw3 = 0n]: readonly bigint[]): { name: string; verdict: Verdict } {
  const { mappings, registers, vm } = its;
  const kernel = vm.host.profile.name;
  const [device, event, icid] = [highHalf(dw0), lowHalf(dw1), Number(dw2 & 0xffffn)];
  const valid = dw2 >> 63n === 1n;
  const rdbase = (dw: bigint): number => Number((dw >> 16n) & 0xffff_ffffn);
  const known = (target: number): boolean => vm.vcpuOfTarget(target) !== undefined;
  const collection = mappings.findCollection(icid);
  const found = mappings.findDevice(device)?.events.get(event);
  const whole = found !== undefined && mappings.vcpuOf(found.collection) !== undefined;
  const readable = (lpi: number): boolean => vm.memory.accessible((vm.vgic?.propertyTable ?? 0) + lpi - FIRST_LPI, 1);

  const mapti = (lpi: number): Verdict => {
    const mapped = mappings.findDevice(device);
    if (mapped === undefined) return 'kvm-its/device';
    if (event >= 2 ** mapped.bits || (!NO_PAGE.includes(kernel) && !vm.memory.visible(mapped.itt + event * 8))) return 'kvm-its/event-range';
    if (lpi < FIRST_LPI || lpi >= (vm.vgic?.lpiLimit ?? 0)) return 'kvm-its/lpi-range';
    if (found !== undefined) return 'kvm-its/event-taken';
    if (collection === undefined && registers.entryAddress(COLLECTIONS, icid) === undefined) return 'kvm-its/collection-range';
    const users = vm.itss.flatMap((each) => each.mappings.devices.flatMap(({ events }) => [...events.values()]));
    if (kernel === 'linux-7.3' && users.some(({ irq }) => irq.intid === lpi)) return 'kvm-its/lpi-taken';
    if (vm.lpis.find(lpi) !== undefined) return undefined;
    const target = mappings.vcpuOf(collection);
    const pending = target === undefined || vm.memory.accessible((vm.vgic?.pendingTable(target) ?? 0) + (lpi >>> 3), 1);
    return readable(lpi) && pending ? undefined : 'kvm-its/lpi-unreadable';
  };

  switch (Number(dw0 & 0xffn)) {
    case 0x01:
      return { name: 'MOVI', verdict: !whole ? 'kvm-its/unmapped' : mappings.vcpuOf(collection) === undefined ? 'kvm-its/collection' : undefined };
    case 0x03:
      return { name: 'INT', verdict: !whole ? 'kvm-its/unmapped' : mappings.vcpuOf(found.collection)?.lpisEnabled === true ? undefined : 'kvm-its/lpis-off' };
    case 0x04:
      return { name: 'CLEAR', verdict: found === undefined ? 'kvm-its/unmapped' : undefined };
    case 0x05:
      return { name: 'SYNC', verdict: undefined };
    case 0x08: {
      const bits = Number(dw1 & 0x1fn) + 1;
      if (registers.entryAddress(DEVICES, device) === undefined) return { name: 'MAPD', verdict: 'kvm-its/device-range' };
      return { name: 'MAPD', verdict: valid && bits > 16 ? 'kvm-its/itt-size' : undefined };
    }
    case 0x09:
      if ((valid || CHECKS_UNMAP.includes(kernel)) && !known(rdbase(dw2))) return { name: 'MAPC', verdict: 'kvm-its/vcpu' };
      return { name: 'MAPC', verdict: valid && collection === undefined && registers.entryAddress(COLLECTIONS, icid) === undefined ? 'kvm-its/collection-range' : undefined };
    case 0x0a:
      return { name: 'MAPTI', verdict: mapti(highHalf(dw1)) };
    case 0x0b:
      return { name: 'MAPI', verdict: mapti(event) };
    case 0x0c:
      return { name: 'INV', verdict: found === undefined ? 'kvm-its/unmapped' : readable(found.irq.intid) ? undefined : 'kvm-its/lpi-unreadable' };
    case 0x0d:
      return { name: 'INVALL', verdict: mappings.vcpuOf(collection) === undefined ? 'kvm-its/collection' : undefined };
    case 0x0e:
      return { name: 'MOVALL', verdict: known(rdbase(dw2)) && known(rdbase(dw3)) ? undefined : 'kvm-its/vcpu' };
    case 0x0f:
      return { name: 'DISCARD', verdict: whole ? undefined : 'kvm-its/unmapped' };
    default:
      return { name: 'another', verdict: 'kvm-its/command-unknown' };
  }
}
