/**
 * Groups that join and leave a type1 container. Kernel: vfio_iommu_type1_attach_group(), ..._detach_group().
 *
 * Not modelled: the allocation of a domain failing (EIO), the test for fine-grained super pages.
 */
import { removeItem } from '../memory/list.ts';
import { EINVAL, ENODEV } from '../uapi/errno.ts';
import type { IommuGroup } from './iommu-group.ts';
import type { IommuDomain } from './iommu.ts';
import { iovaRanges } from './iova-ranges.ts';
import type { DirtyTracking } from './type1-dirty.ts';
import { ATTACH_BUSES, ATTACH_DOMAIN, ATTACH_NESTING, ATTACH_WINDOWS, UNSAFE_INTERRUPTS, VADDR_EMULATED } from './type1-reasons.ts';
import { bytesOf, inside, type DmaMapping, type Type1State } from './type1-state.ts';

/** @returns 0; -EBUSY, -EINVAL, -ENODEV, -EPERM, -ENOMEM, -EFAULT, with everything as it was */
export function attachGroup(state: Type1State, group: IommuGroup): number {
  const { profile, refusals } = state.module.host;
  const { id } = group;
  if (state.invalid > 0 && profile.vaddrNeedsInstance) return refusals.refuse(VADDR_EMULATED, { groups: [] });
  const buses = new Set(group.devices.map(({ busName }) => busName ?? 'none'));
  const known = state.emulated.has(group) || state.domains.some(({ groups }) => groups.includes(group));
  if (known || (profile.oneBusToGroup && buses.size > 1)) return refusals.refuse(ATTACH_BUSES, { group: id, buses: [...buses] });
  if (group.kind === 'emulated') {
    state.emulated.add(group);
    return 0;
  }
  if (state.nesting && !group.unit.nesting) return refusals.refuse(ATTACH_NESTING, { group: id }, group.unit.nestingErrno ?? (profile.noNesting === 'EINVAL' ? EINVAL : ENODEV));
  const { unit } = group;
  const same = state.domains.find(({ domain }) => domain.unit === unit);
  const domain = same?.domain ?? unit.createDomain();
  const error = group.attachDomain(domain);
  if (error < 0) return refusals.refuse(ATTACH_DOMAIN, { group: id });
  const refused = admit(state, group) || (same === undefined ? replay(state, domain) : 0);
  if (refused < 0) {
    group.detachDomain();
    return refused;
  }
  if (same === undefined) state.domains.push({ domain, groups: [group] });
  else same.groups.push(group);
  state.domainsChanged();
  return 0;
}

/** Whether what is mapped lies where the unit can map, and its interrupts are safe. */
function admit(state: Type1State, { devices, id: group, unit }: IommuGroup): number {
  const { profile, refusals } = state.module.host;
  const ranges = iovaRanges([...state.units(), unit]);
  if (ranges.length === 0) return refusals.refuse(ATTACH_WINDOWS, { group, mapping: undefined });
  for (const mapping of state.all()) {
    if (!inside(ranges, mapping.first, mapping.last)) return refusals.refuse(ATTACH_WINDOWS, { group, mapping: bytesOf(mapping) });
  }
  const isolated = unit.isolatesMsi && (!profile.isolationOfDevices || devices.every(({ hasMsiDomain }) => hasMsiDomain));
  return isolated || state.module.allowUnsafeInterrupts ? 0 : refusals.refuse(UNSAFE_INTERRUPTS, { group });
}

/** vfio_iommu_replay(): what is mapped is put into a new domain, pinned for it where it was not. */
function replay(state: Type1State, domain: IommuDomain): number {
  const pinned: DmaMapping[] = [];
  for (const mapping of state.all()) {
    let error = 0;
    if (mapping.extents === undefined) {
      error = state.pin(mapping);
      if (error === 0) pinned.push(mapping);
    }
    if (error === 0) error = state.fill(domain, mapping);
    if (error === 0) continue;
    for (const undo of pinned) state.unpin(undo);
    return error;
  }
  return 0;
}

export function detachGroup(state: Type1State, dirty: DirtyTracking, group: IommuGroup): void {
  if (state.emulated.delete(group)) {
    if (state.emulated.size === 0 && state.domains.length === 0) releaseAll(state);
    return;
  }
  const at = state.domains.findIndex(({ groups }) => groups.includes(group));
  const attached = state.domains[at];
  if (attached === undefined) return;
  const promoted = state.promoted.delete(group);
  group.detachDomain();
  // What this group may have written is dirty, and nobody will be able to tell afterwards.
  if (!promoted) dirty.populateFull();
  removeItem(attached.groups, group);
  if (attached.groups.length > 0) return;
  state.domains.splice(at, 1);
  if (state.domains.length === 0) {
    if (state.emulated.size === 0) releaseAll(state);
    else for (const mapping of state.all()) state.unpin(mapping);
  }
  state.domainsChanged();
}

export function releaseAll(state: Type1State): void {
  for (const mapping of state.all()) state.drop(mapping);
}
