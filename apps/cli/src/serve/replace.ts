/** Another device in the place of one that a client uses, with its state. */
import {
  errnoName,
  get,
  set,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_STATE_RESUMING,
  VFIO_DEVICE_STATE_RUNNING,
  VFIO_DEVICE_STATE_STOP,
  VFIO_DEVICE_STATE_STOP_COPY,
  vfio_device_feature,
  vfio_device_feature_mig_state,
  vfio_device_feature_migration,
  vfio_device_info,
  VFIO_IRQ_SET_DATA_EVENTFD,
  vfio_irq_info,
  vfio_irq_set,
  VFIO_PCI_CONFIG_REGION_INDEX,
  vfio_region_info,
} from '@vsim/vfio-core';
import type { Descriptor, ServedDevice } from '@vsim/vfio-user';
import type { Front, KeptIrq } from './front.ts';

const PIECE = 0x1_0000;
const COMMAND = 4;
const IDS = 4;

/** What came of it. */
export interface Replaced {
  /** Whether the new device is there. */
  readonly done: boolean;
  /** In words that go on after "new code: " or "the device goes on as it was: ". */
  readonly words: string;
}

/**
 * Puts `next` in the place of the device behind `front`. Its state is that of the old one, by the migration of VFIO, version 2; its configuration space, the
 * client's memory and the client's eventfds are given to it again. Where that cannot be, the old device goes on.
 *
 * @param connected whether a client has looked at the old one: then the new one has to be of the same shape
 */
export function replaceDevice(front: Front, next: ServedDevice, connected: boolean): Replaced {
  const { device: old } = front;
  const sameShape = shapeOf(old) === shapeOf(next);
  if (connected && !sameShape) return { done: false, words: 'its ids, regions or interrupts are others than its client knows; end and serve it anew' };
  let replaced: Replaced = { done: false, words: '' };
  front.replace(() => {
    replaced = sameShape ? carriedOver(front, next) : { done: true, words: 'another shape, which starts afresh' };
    if (replaced.done) return next;
    next.disconnect();
    setState(old, VFIO_DEVICE_STATE_RUNNING);
    return old;
  });
  return replaced;
}

/** State, configuration space, memory, interrupts; what the two devices let go of stays. */
function carriedOver({ device: old, maps, irqs }: Front, next: ServedDevice): Replaced {
  const refuse = (what: string, code: number): Replaced => ({ done: false, words: `${what}: ${errnoName(-code)}` });
  const record = migrates(old) ? savedState(old) : undefined;
  if (typeof record === 'number') return refuse('the old device does not save its state', record);
  const keeps = record !== undefined && migrates(next);
  if (keeps) {
    const code = setState(next, VFIO_DEVICE_STATE_RESUMING);
    if (code < 0) return refuse('the new device takes no state', code);
  }
  copyConfig(old, next);
  for (const memory of maps) {
    const code = next.mapDma(memory);
    if (code < 0) return refuse("the new device does not take the client's memory", code);
  }
  if (keeps) {
    const code = loadState(next, record);
    if (code < 0) return refuse("the new device does not take the old one's state", code);
  }
  // An eventfd that masks is one device's alone.
  old.disconnect();
  for (const [argument, eventfds] of irqRequests(irqs)) next.setIrqs(argument, eventfds);
  setState(next, VFIO_DEVICE_STATE_RUNNING);
  return { done: true, words: keeps ? `state kept (${record.length} bytes)` : `starts afresh: ${migrates(next) ? 'the old one saves' : 'it has'} no state to migrate` };
}

/** SET_IRQS for all eventfds of each index and action, from its first interrupt on. */
function* irqRequests(irqs: readonly KeptIrq[]): Iterable<readonly [argument: Uint8Array, eventfds: readonly (Descriptor | undefined)[]]> {
  for (let at = 0; at < irqs.length; ) {
    const { action, index } = irqs[at]!;
    const eventfds: (Descriptor | undefined)[] = [];
    for (; irqs[at]?.index === index && irqs[at]?.action === action; at += 1) {
      const { eventfd, interrupt } = irqs[at]!;
      while (eventfds.length < interrupt) eventfds.push(undefined);
      eventfds.push(eventfd);
    }
    const argument = new Uint8Array(vfio_irq_set.size);
    set(argument, vfio_irq_set.argsz, argument.length);
    set(argument, vfio_irq_set.flags, VFIO_IRQ_SET_DATA_EVENTFD | action);
    set(argument, vfio_irq_set.index, index);
    set(argument, vfio_irq_set.count, eventfds.length);
    yield [argument, eventfds];
  }
}

/** What differs, and may be written; Command last, as it switches on what the rest describes. */
function copyConfig(old: ServedDevice, next: ServedDevice): void {
  const size = infoOf(old, VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, VFIO_PCI_CONFIG_REGION_INDEX).at(-1) ?? 0;
  const [from, to] = [old, next].map((device) => {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 4) device.read(VFIO_PCI_CONFIG_REGION_INDEX, at, bytes.subarray(at, at + 4));
    return bytes;
  });
  const write = (at: number, width: number): void => {
    if (from!.subarray(at, at + width).some((byte, i) => byte !== to![at + i])) next.write(VFIO_PCI_CONFIG_REGION_INDEX, at, from!.subarray(at, at + width));
  };
  for (let at = COMMAND + 4; at < size; at += 4) write(at, 4);
  write(COMMAND, 2);
}

/** What a client learns once: ids, and the numbers, sizes and flags of regions and interrupts. */
function shapeOf(device: ServedDevice): string {
  const info = new Uint8Array(vfio_device_info.size);
  set(info, vfio_device_info.argsz, info.length);
  device.ioctl(VFIO_DEVICE_GET_INFO, info);
  const ids = new Uint8Array(IDS);
  device.read(VFIO_PCI_CONFIG_REGION_INDEX, 0, ids);
  const regions = Array.from({ length: get(info, vfio_device_info.num_regions) }, (_, i) => infoOf(device, VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, i));
  const irqs = Array.from({ length: get(info, vfio_device_info.num_irqs) }, (_, i) => infoOf(device, VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, i));
  return JSON.stringify([[...ids], regions, irqs]);
}

/** Flags, and size or count, of a region or of a kind of interrupts. */
function infoOf(device: ServedDevice, request: number, layout: typeof vfio_region_info | typeof vfio_irq_info, index: number): readonly number[] {
  const info = new Uint8Array(layout.size);
  set(info, layout.argsz, info.length);
  set(info, layout.index, index);
  if (device.ioctl(request, info) < 0) return [];
  return [get(info, layout.flags), 'region_size' in layout ? Number(get(info, layout.region_size)) : get(info, layout.count)];
}

function migrates(device: ServedDevice): boolean {
  return feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, new Uint8Array(vfio_device_feature_migration.size)) >= 0;
}

/** Takes it to a state of migration. @returns 0, or a negative errno */
function setState(device: ServedDevice, state: number): number {
  const data = new Uint8Array(vfio_device_feature_mig_state.size);
  set(data, vfio_device_feature_mig_state.device_state, state);
  return feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, data);
}

function feature(device: ServedDevice, flags: number, data: Uint8Array): number {
  const argument = new Uint8Array(vfio_device_feature.size + data.length);
  set(argument, vfio_device_feature.argsz, argument.length);
  set(argument, vfio_device_feature.flags, flags);
  argument.set(data, vfio_device_feature.size);
  return device.ioctl(VFIO_DEVICE_FEATURE, argument);
}

/** Stops it. @returns its state, or a negative errno */
function savedState(device: ServedDevice): Uint8Array | number {
  const code = setState(device, VFIO_DEVICE_STATE_STOP_COPY);
  if (code < 0) return code;
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = new Uint8Array(PIECE);
    const count = device.readState(piece);
    if (count < 0) return count;
    if (count === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, count));
  }
}

/** Gives a state to one that is RESUMING. @returns 0, or a negative errno */
function loadState(device: ServedDevice, record: Uint8Array): number {
  for (let at = 0; at < record.length; ) {
    const count = device.writeState(record.subarray(at));
    if (count <= 0) return count;
    at += count;
  }
  return setState(device, VFIO_DEVICE_STATE_STOP);
}
