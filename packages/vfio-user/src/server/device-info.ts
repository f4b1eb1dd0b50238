/** DEVICE_GET_INFO and DEVICE_GET_IRQ_INFO, by the device's own structs. */
import { get, set, VFIO_DEVICE_FLAGS_CAPS, VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_IRQ_INFO } from '@vsim/vfio-core';
import { DEVICE_INFO_LAYOUT, IRQ_INFO_LAYOUT } from '../wire/layouts.ts';
import type { IrqInfoMessage } from '../wire/messages.ts';
import { type Answer, deviceRefused } from './answer.ts';
import type { ServedDevice } from './served-device.ts';

/** DEVICE_GET_INFO. The protocol has no capabilities of devices: what the kernel's struct has behind the counts is left out. */
export function answerDeviceInfo(device: Pick<ServedDevice, 'ioctl'>): Answer {
  const { size, argsz, flags, regions, irqs } = DEVICE_INFO_LAYOUT;
  const info = new Uint8Array(size);
  set(info, argsz, size);
  const code = device.ioctl(VFIO_DEVICE_GET_INFO, info);
  if (code < 0) return deviceRefused(code, 'GET_INFO');
  return { reply: { name: 'DEVICE_GET_INFO', argsz: size, flags: get(info, flags) & ~VFIO_DEVICE_FLAGS_CAPS, regions: get(info, regions), irqs: get(info, irqs) } };
}

/** DEVICE_GET_IRQ_INFO. @param index of the kind of interrupts */
export function answerIrqInfo(device: Pick<ServedDevice, 'ioctl'>, index: number): Answer {
  const info = irqInfo(device, index);
  return typeof info === 'number' ? deviceRefused(info, 'GET_IRQ_INFO') : { reply: info };
}

/** What the device says of a kind of interrupts. @param index of the kind @returns a negative errno where it refuses */
export function irqInfo(device: Pick<ServedDevice, 'ioctl'>, index: number): IrqInfoMessage | number {
  const { size, argsz, flags, count } = IRQ_INFO_LAYOUT;
  const info = new Uint8Array(size);
  set(info, argsz, size);
  set(info, IRQ_INFO_LAYOUT.index, index);
  const code = device.ioctl(VFIO_DEVICE_GET_IRQ_INFO, info);
  return code < 0 ? code : { name: 'DEVICE_GET_IRQ_INFO', argsz: size, flags: get(info, flags), index, count: get(info, count) };
}
