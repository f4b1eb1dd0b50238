/**
 * Pages that emulated devices pin and copy: what vfio_pin_pages() and vfio_dma_rw() ask of type1. Kernel: vfio_iommu_type1_pin_pages(),
 * ..._unpin_pages(), ..._dma_rw().
 *
 * Not modelled: the zero page, which this memory does not have: an untouched page is a page of its own, pinned and given back like any
 * other.
 */
import type { Sleeps } from '../host/scheduler.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { framesTouched } from '../memory/range.ts';
import type { Process } from '../process/process.ts';
import { EBUSY, EFAULT, EINVAL, EOVERFLOW, EPERM } from '../uapi/errno.ts';
import type { IommuGroup } from './iommu-group.ts';
import { IOMMU_READ, IOMMU_WRITE } from './iommu.ts';
import { DIRTY_V1, MAP_MEMLOCK, MAP_MEMORY, PIN_REFUSED, VADDR_WAIT } from './type1-reasons.ts';
import { LAST_FRAME, type DmaMapping, type Pin, type Type1State } from './type1-state.ts';

/** The kernel's WARN_ONCE: a device that pins, in a container whose addresses are being changed. */
export const PIN_WHILE_INVALID: EventKind<{ readonly what: string }> = eventKind(
  'type1/pin-while-invalid',
  'warn',
  ({ what }) => `${what} while a vaddr is invalid`,
);

/** @param protection bits of IOMMU_READ and IOMMU_WRITE @returns the physical frames; or an errno with nothing pinned */
export function* pinPages(state: Type1State, group: IommuGroup, iovaFrames: readonly number[], protection: number): Sleeps<readonly number[] | number> {
  const { profile, refusals, trace } = state.module.host;
  if (!state.v2) return refusals.refuse(DIRTY_V1, { request: 'vfio_pin_pages()' });
  const outside = profile.overflowIsTold && iovaFrames.some((frame) => frame > LAST_FRAME);
  if (outside) return refused(state, iovaFrames[0] ?? 0, 'the pages end beyond 2^64', EOVERFLOW);
  if (profile.vaddrNeedsInstance && state.invalid > 0) {
    trace.emit(PIN_WHILE_INVALID, { what: 'pin_pages' });
    return refused(state, iovaFrames[0] ?? 0, 'a vaddr of the container is invalid', EBUSY);
  }
  // Nobody would tell the device when the pages are unmapped.
  if (state.listeners.size === 0) return refused(state, iovaFrames[0] ?? 0, 'the device cannot be told of an unmap', EINVAL);
  const frames: number[] = [];
  let error = 0;
  for (const iova of iovaFrames) {
    const mapping = yield* validMapping(state, iova);
    const frame = typeof mapping === 'number' ? mapping : pinOne(state, mapping, iova, protection);
    if (frame < 0) {
      error = frame;
      break;
    }
    frames.push(frame);
  }
  if (error < 0) {
    unpinPages(state, iovaFrames.slice(0, frames.length));
    return error;
  }
  if (group.kind === 'iommu') state.promoted.add(group);
  return frames;
}

/** The mapping at an IOVA frame; 5.13 waits until its vaddr is valid, or the container is closed. */
function* validMapping(state: Type1State, iova: number): Sleeps<DmaMapping | number> {
  for (;;) {
    const mapping = state.find(iova, iova);
    if (mapping === undefined) return refused(state, iova, 'nothing is mapped there', EINVAL);
    if (mapping.vaddrValid) return mapping;
    const { refusals, scheduler } = state.module.host;
    if (state.closed || scheduler.current?.killed === true) return refusals.refuse(VADDR_WAIT, { invalid: state.invalid });
    yield* state.vaddrWait.waitKillable(scheduler, () => mapping.vaddrValid || state.closed);
  }
}

/** Refuses a device a page. `iova` is a frame. */
function refused(state: Type1State, iova: number, what: string, errno: number): number {
  return state.module.host.refusals.refuse(PIN_REFUSED, { iova: iova * PAGE_SIZE, what }, errno);
}

function pinOne(state: Type1State, mapping: DmaMapping, iova: number, protection: number): number {
  const { profile, refusals } = state.module.host;
  if ((mapping.protection & protection) !== protection) return refused(state, iova, 'it is mapped without the right that the device wants', EPERM);
  const known = mapping.pins?.get(iova);
  if (known !== undefined) {
    known.count += 1;
    return known.frame;
  }
  const write = (mapping.protection & IOMMU_WRITE) !== 0;
  const pinned = mapping.mm.pin(mapping.vaddr + (iova - mapping.first) * PAGE_SIZE, 1, write);
  if (typeof pinned === 'number') {
    const vaddr = BigInt(mapping.vaddr) + BigInt(iova - mapping.first) * BigInt(PAGE_SIZE);
    return refusals.refuse(MAP_MEMORY, { vaddr, write }, -pinned);
  }
  // A device of 6.1 is handed pages, where one of 5.13 got frame numbers: a mapped BAR has none.
  if (pinned.run === undefined && profile.emulatedDevicesPin) return refused(state, iova, 'a device is behind it, and no page', EINVAL);
  if (mapping.extents === undefined && pinned.run !== undefined) {
    const limit = Math.floor(mapping.task.memlock / PAGE_SIZE);
    if (!mapping.lockCapable && mapping.mm.lockedPages + 1 > limit) {
      pinned.run.put();
      return refusals.refuse(MAP_MEMLOCK, { task: mapping.task.name, locked: mapping.mm.lockedPages, wanted: 1, limit });
    }
    mapping.mm.lockedPages += 1;
    mapping.accounted += 1;
  }
  const pin: Pin = { frame: pinned.frame, run: pinned.run, count: 1 };
  mapping.pins ??= new Map();
  mapping.pins.set(iova, pin);
  mapping.dirty?.set(iova - mapping.first, 1);
  return pin.frame;
}

/** @returns how many were unpinned, up to the first that is not mapped; -EINVAL for none */
export function unpinPages(state: Type1State, iovaFrames: readonly number[]): number {
  if (!state.v2) return state.module.host.refusals.refuse(DIRTY_V1, { request: 'vfio_unpin_pages()' });
  let done = 0;
  for (const iova of iovaFrames) {
    const mapping = state.find(iova, iova);
    if (mapping === undefined) break;
    unpinOne(mapping, iova);
    done += 1;
  }
  return done > 0 || iovaFrames.length === 0 ? done : refused(state, iovaFrames[0] ?? 0, 'nothing is mapped there', EINVAL);
}

function unpinOne(mapping: DmaMapping, iova: number): void {
  const pin = mapping.pins?.get(iova);
  if (pin === undefined) return;
  pin.count -= 1;
  if (pin.count > 0) return;
  mapping.pins?.delete(iova);
  if (mapping.extents === undefined && pin.run !== undefined) {
    mapping.mm.lockedPages -= 1;
    mapping.accounted -= 1;
  }
  pin.run?.put();
}

/** Copies between `data` and the memory behind `iova`, mapping by mapping; an error leaves what was copied before. */
export function* dmaRw(state: Type1State, current: Process | undefined, iova: number, data: Uint8Array, write: boolean): Sleeps<number> {
  const { profile, trace } = state.module.host;
  if (profile.vaddrNeedsInstance && state.invalid > 0) {
    trace.emit(PIN_WHILE_INVALID, { what: 'dma_rw' });
    return refused(state, Math.floor(iova / PAGE_SIZE), 'a vaddr of the container is invalid', EBUSY);
  }
  let frame = Math.floor(iova / PAGE_SIZE);
  let within = iova - frame * PAGE_SIZE;
  for (let done = 0; done < data.length; ) {
    const mapping = yield* validMapping(state, frame);
    if (typeof mapping === 'number') return mapping;
    const { protection, mm } = mapping;
    // A write needs both: the kernel's test, which a mapping for writing alone fails.
    if ((write && (protection & IOMMU_WRITE) === 0) || (protection & IOMMU_READ) === 0) return refused(state, frame, 'it is mapped without the right that the device wants', EPERM);
    if (current !== undefined && current.mm !== mm) return refused(state, frame, 'another process has mapped it', EFAULT);
    const part = data.subarray(done, done + Math.min(data.length - done, (mapping.last - frame + 1) * PAGE_SIZE - within));
    const at = mapping.vaddr + (frame - mapping.first) * PAGE_SIZE + within;
    if (write ? !mm.copyToUser(at, part) : !mm.copyFromUser(at, part)) return refused(state, frame, 'the memory of the process is not there', EFAULT);
    if (write) mapping.dirty?.set(frame - mapping.first, framesTouched(within, part.length));
    done += part.length;
    within += part.length;
    frame += Math.floor(within / PAGE_SIZE);
    within %= PAGE_SIZE;
  }
  return 0;
}
