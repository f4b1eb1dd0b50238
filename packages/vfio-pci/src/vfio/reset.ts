/**
 * Resets that users ask for: VFIO_DEVICE_RESET and the two hot reset requests; and the bus reset when the last user of a bus has
 * gone.
 */
import {
  EAGAIN,
  EBUSY,
  EINVAL,
  getExternalUser,
  GroupFile,
  putExternalUser,
  get,
  set,
  vfio_pci_dependent_device,
  vfio_pci_hot_reset,
  vfio_pci_hot_reset_info,
  type Process,
  type UserArgument,
  type VfioGroup,
} from '@vsim/vfio-core';
import { RESET_FAILED } from '../bus/bus-reasons.ts';
import { canResetBus, resetBus } from '../bus/reset.ts';
import type { PciDevice } from '../bus/pci-device.ts';
import type { VfioPciRegistry } from './registry.ts';
import {
  DEVICE_LOCKED,
  HOT_RESET_BUS,
  HOT_RESET_DRIVER,
  HOT_RESET_GROUPLESS,
  HOT_RESET_MISSING,
  HOT_RESET_NOT_GROUP,
  HOT_RESET_REQUEST,
  HOT_RESET_SPACE,
} from './vfio-pci-reasons.ts';
import type { VfioPciDevice } from './vfio-pci-device.ts';

/** Whom a user has to own for a reset of the bus of `device`: all below the bridge, or, in a slot, those right in it. Kernel: vfio_pci_for_each_slot_or_bus(). */
function affected(device: PciDevice): readonly PciDevice[] {
  const { bus } = device;
  const bridge = bus.bridgeOf(device);
  if (bridge === undefined) return [];
  return bus.slotOf(device) === undefined ? bus.below(bridge) : bus.siblings(device);
}

/** VFIO_DEVICE_GET_PCI_HOT_RESET_INFO. */
export function hotResetInfo(device: PciDevice, argument: UserArgument): number {
  const layout = vfio_pci_hot_reset_info;
  const header = argument.copyIn(layout.size);
  if (header === undefined) return argument.fault();
  const argsz = get(header, layout.argsz);
  if (argsz < layout.size) return argument.tooShort(argsz, layout.size);
  const { name } = device;
  if (!canResetBus(device)) return argument.refuse(HOT_RESET_BUS, { device: name });
  const devices = affected(device);
  set(header, layout.flags, 0);
  set(header, layout.count, devices.length);
  const needed = layout.size + devices.length * vfio_pci_dependent_device.size;
  if (argsz < needed) return argument.copyOut(header) ? argument.refuse(HOT_RESET_SPACE, { device: name, devices: devices.length, needed }) : argument.fault();
  const list = new Uint8Array(needed - layout.size);
  for (let i = 0; i < devices.length; i += 1) {
    const { iommuGroup, function: fn } = devices[i]!;
    if (iommuGroup === undefined) return argument.refuse(HOT_RESET_GROUPLESS, { device: devices[i]!.name });
    const entry = list.subarray(i * vfio_pci_dependent_device.size);
    set(entry, vfio_pci_dependent_device.group_id, iommuGroup.id);
    set(entry, vfio_pci_dependent_device.segment, fn.address.domain);
    set(entry, vfio_pci_dependent_device.bus, fn.address.bus);
    set(entry, vfio_pci_dependent_device.devfn, fn.address.devfn);
  }
  return argument.copyOut(header) && argument.copyOut(list, layout.size) ? 0 : argument.fault();
}

/**
 * VFIO_DEVICE_PCI_HOT_RESET: the caller shows by group fds that everything below the bridge is its own.
 */
export function hotReset(device: PciDevice, process: Process, argument: UserArgument, registry: VfioPciRegistry): number {
  const layout = vfio_pci_hot_reset;
  const { profile } = device.host;
  const header = argument.copyIn(layout.size);
  if (header === undefined) return argument.fault();
  const argsz = get(header, layout.argsz);
  const flags = get(header, layout.flags);
  const count = get(header, layout.count);
  const { name } = device;
  const wrong = (): number => argument.refuse(HOT_RESET_REQUEST, { device: name, count, devices: affected(device).length, flags });
  if (argsz < layout.size) return argument.tooShort(argsz, layout.size);
  if (flags !== 0 || (count === 0 && profile.emptyHotResetFirst)) return wrong();
  if (!canResetBus(device)) return argument.refuse(HOT_RESET_BUS, { device: name });
  const devices = affected(device);
  if (count === 0 || count > devices.length) return wrong();
  const fds = argument.copyIn(4 * count, layout.size);
  if (fds === undefined) return argument.fault();
  const groups: VfioGroup[] = [];
  const members: VfioPciDevice[] = [];
  const holds = !profile.dmaOwnership;
  let error = groupsOf(process, argument, fds, holds, groups);
  if (error === 0) error = membersOf(device, argument, groups, registry, members);
  if (error === 0) error = resetMembers(device, argument, members);
  if (holds) {
    for (const member of members) member.put();
    for (const group of groups) putExternalUser(group);
  }
  return error;
}

/** The devices that are reset, if groups cover all of them. Before 6.1 they are held: one that nobody can get any more is none. */
function membersOf(device: PciDevice, argument: UserArgument, groups: readonly VfioGroup[], registry: VfioPciRegistry, into: VfioPciDevice[]): number {
  const { name, host } = device;
  const holds = !host.profile.dmaOwnership;
  const devices = affected(device);
  const missing = devices.find(({ iommuGroup }) => !groups.some((group) => group.iommuGroup === iommuGroup));
  if (missing !== undefined) return argument.refuse(HOT_RESET_MISSING, { device: name, missing: missing.name, group: missing.iommuGroup?.id });
  for (const other of devices) {
    const member = holds ? registry.getReference(other) : registry.get(other);
    if (member?.group === undefined) {
      // 5.13 tells apart what another driver has registered with VFIO.
      const registered = groups.some((group) => group.devices.some(({ device: of, references }) => of === other && references > 0));
      return argument.refuse(HOT_RESET_DRIVER, { device: name, other: other.name, driver: other.driverName }, registered && holds ? EBUSY : EINVAL);
    }
    into.push(member);
  }
  return 0;
}

function resetMembers(device: PciDevice, argument: UserArgument, members: readonly VfioPciDevice[]): number {
  const { name, host } = device;
  const { profile } = host;
  for (const member of members) {
    member.memoryLock.lock();
    if (profile.runtimePm) member.setPowerState(0);
  }
  const error = resetBus(device);
  for (const member of members) {
    member.memoryLock.unlock();
    member.busWasReset(error);
  }
  if (error === -EAGAIN) return argument.refuse(DEVICE_LOCKED, { device: name });
  return error < 0 ? argument.refuse(RESET_FAILED, { device: name, methods: ['bus'] }, -error) : error;
}

/** The groups behind fds; before 6.1 each is used as KVM uses one: in a container that has an IOMMU, and viable. @returns 0, or a negative errno */
function groupsOf(process: Process, argument: UserArgument, fds: Uint8Array, holds: boolean, into: VfioGroup[]): number {
  const view = new DataView(fds.buffer, fds.byteOffset);
  for (let at = 0; at < fds.length; at += 4) {
    const fd = view.getInt32(at, true);
    const file = process.file(fd);
    if (file === undefined) return process.badFd(fd);
    if (!(file instanceof GroupFile)) return argument.refuse(HOT_RESET_NOT_GROUP, { fd, file: file.subject });
    const group = holds ? getExternalUser(file) : file.group;
    if (typeof group === 'number') return group;
    into.push(group);
  }
  return 0;
}

/** The last close on a bus: if everything below the bridge is vfio-pci's and closed, and one of them waits for a reset, all get it. */
export function tryBusReset(device: PciDevice, registry: VfioPciRegistry): void {
  if (!canResetBus(device)) return;
  const members = affected(device).map((other) => registry.get(other));
  let wanted = false;
  for (const member of members) {
    if (member?.group === undefined || member.inUse) return;
    wanted ||= member.needsReset;
  }
  if (!wanted) return;
  const error = resetBus(device);
  for (const member of members) member?.busWasReset(error);
}
