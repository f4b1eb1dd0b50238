/** Interrupts of a device, typed: VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS. */
import { get, set } from '../struct.ts';
import {
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  vfio_irq_info,
  vfio_irq_set,
} from '../vfio.ts';
import { sized, type IoctlCaller } from './caller.ts';

/** An interrupt index of a device: VFIO_DEVICE_GET_IRQ_INFO's answer. */
export interface IrqInfo {
  /** Bits VFIO_IRQ_INFO_*. */
  readonly flags: number;
  /** How many interrupts the index has; 0 for one that the device has not. */
  readonly count: number;
}

/**
 * VFIO_DEVICE_GET_IRQ_INFO: how many interrupts an index has, and what they can do.
 *
 * @param device the device's fd
 * @param index from 0 to numIrqs - 1; for PCI VFIO_PCI_*_IRQ_INDEX
 */
export function getIrqInfo(sys: IoctlCaller, device: number, index: number): IrqInfo {
  const info = sized(vfio_irq_info.size);
  set(info, vfio_irq_info.index, index);
  sys.ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, info);
  return { flags: get(info, vfio_irq_info.flags), count: get(info, vfio_irq_info.count) };
}

/**
 * VFIO_DEVICE_SET_IRQS: eventfds as triggers of the interrupts of an index, from `start` on; -1 takes one away.
 *
 * @param device the device's fd
 * @param index the interrupt index; for PCI VFIO_PCI_*_IRQ_INDEX
 * @param start the first interrupt within the index, from 0
 * @param eventfds fds, one for each interrupt
 * @returns what the ioctl returns, 0
 *
 * @example
 * ```ts
 * import { setIrqTriggers, VFIO_PCI_MSIX_IRQ_INDEX } from '@vsim/vfio-core';
 *
 * const given: (number | Uint8Array | undefined)[] = [];
 * const sys = { ioctl: (_fd: number, _request: number, argument?: number | Uint8Array) => given.push(argument) };
 * setIrqTriggers(sys, 5, VFIO_PCI_MSIX_IRQ_INDEX, 0, [7, 8]);
 * console.log(given[0] instanceof Uint8Array && given[0].length); // 28
 * ```
 */
export function setIrqTriggers(sys: IoctlCaller, device: number, index: number, start: number, eventfds: readonly number[]): number {
  return setIrqEventfds(sys, device, index, VFIO_IRQ_SET_ACTION_TRIGGER, start, eventfds);
}

/**
 * VFIO_DEVICE_SET_IRQS with eventfds: TRIGGER has interrupts signal them; MASK and UNMASK have whoever signals them mask or unmask
 * (virqfd: an irqfd's resamplefd is such a one).
 *
 * @param device the device's fd
 * @param index the interrupt index; for PCI VFIO_PCI_*_IRQ_INDEX
 * @param action one of VFIO_IRQ_SET_ACTION_*
 * @param start the first interrupt within the index, from 0
 * @param eventfds fds, one for each interrupt; -1 takes one away
 * @returns what the ioctl returns, 0
 */
export function setIrqEventfds(sys: IoctlCaller, device: number, index: number, action: number, start: number, eventfds: readonly number[]): number {
  const request = irqSet(VFIO_IRQ_SET_DATA_EVENTFD | action, index, start, eventfds.length, 4 * eventfds.length);
  eventfds.forEach((fd, i) => {
    set(request, [vfio_irq_set.size + 4 * i, 's32'], fd);
  });
  return sys.ioctl(device, VFIO_DEVICE_SET_IRQS, request);
}

/**
 * VFIO_DEVICE_SET_IRQS with a byte for each interrupt: the action is done for those that are true, and no other.
 *
 * @param device the device's fd
 * @param index the interrupt index; for PCI VFIO_PCI_*_IRQ_INDEX
 * @param action one of VFIO_IRQ_SET_ACTION_*; TRIGGER raises the interrupt from software, as a loop-back
 * @param start the first interrupt within the index, from 0
 * @param wanted one for each interrupt
 * @returns what the ioctl returns, 0
 */
export function setIrqBools(sys: IoctlCaller, device: number, index: number, action: number, start: number, wanted: readonly boolean[]): number {
  const request = irqSet(VFIO_IRQ_SET_DATA_BOOL | action, index, start, wanted.length, wanted.length);
  wanted.forEach((each, i) => {
    request[vfio_irq_set.size + i] = each ? 1 : 0;
  });
  return sys.ioctl(device, VFIO_DEVICE_SET_IRQS, request);
}

/** VFIO_DEVICE_SET_IRQS, MASK without data. @param device the device's fd @param index the interrupt index @param start from 0 @param count interrupts; 1 by default */
export function maskIrqs(sys: IoctlCaller, device: number, index: number, start = 0, count = 1): void {
  setIrqs(sys, device, index, VFIO_IRQ_SET_ACTION_MASK, start, count);
}

/** VFIO_DEVICE_SET_IRQS, UNMASK without data. @param device the device's fd @param index the interrupt index @param start from 0 @param count interrupts; 1 by default */
export function unmaskIrqs(sys: IoctlCaller, device: number, index: number, start = 0, count = 1): void {
  setIrqs(sys, device, index, VFIO_IRQ_SET_ACTION_UNMASK, start, count);
}

/** VFIO_DEVICE_SET_IRQS, TRIGGER of none: all interrupts of an index are off. @param device the device's fd @param index the interrupt index */
export function disableIrqs(sys: IoctlCaller, device: number, index: number): void {
  setIrqs(sys, device, index, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
}

/**
 * VFIO_DEVICE_SET_IRQS without data.
 *
 * @param device the device's fd
 * @param index the interrupt index; for PCI VFIO_PCI_*_IRQ_INDEX
 * @param action one of VFIO_IRQ_SET_ACTION_*
 * @param start the first interrupt within the index, from 0
 * @param count how many interrupts; 0 with TRIGGER disables the index
 * @returns what the ioctl returns, 0
 */
export function setIrqs(sys: IoctlCaller, device: number, index: number, action: number, start: number, count: number): number {
  return sys.ioctl(device, VFIO_DEVICE_SET_IRQS, irqSet(VFIO_IRQ_SET_DATA_NONE | action, index, start, count, 0));
}

/** The argument of VFIO_DEVICE_SET_IRQS, with room for `bytes` of data. */
function irqSet(flags: number, index: number, start: number, count: number, bytes: number): Uint8Array {
  const request = sized(vfio_irq_set.size + bytes);
  set(request, vfio_irq_set.flags, flags);
  set(request, vfio_irq_set.index, index);
  set(request, vfio_irq_set.start, start);
  set(request, vfio_irq_set.count, count);
  return request;
}
