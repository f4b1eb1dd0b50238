/** DEVICE_SET_IRQS. */
import { EINVAL, set, VFIO_IRQ_SET_DATA_EVENTFD } from '@vsim/vfio-core';
import { closeAll, type Descriptor } from '../wire/descriptor.ts';
import { SET_IRQS_LAYOUT } from '../wire/layouts.ts';
import { refused, type Refused, type SetIrqsMessage } from '../wire/messages.ts';
import { type Answer, deviceRefused, DONE } from './answer.ts';
import { irqInfo } from './device-info.ts';
import type { ServedDevice } from './served-device.ts';

/** DEVICE_SET_IRQS. Eventfds are the device's if it is asked at all, else they are closed. */
export function answerSetIrqs(device: Pick<ServedDevice, 'ioctl' | 'setIrqs'>, asked: SetIrqsMessage, descriptors: readonly Descriptor[]): Answer {
  const wrong = wrongDescriptors(device, asked, descriptors);
  if (wrong !== undefined) {
    closeAll(descriptors);
    return wrong;
  }
  const { size, argsz, flags, index, start, count } = SET_IRQS_LAYOUT;
  const argument = new Uint8Array(size + asked.data.length);
  set(argument, argsz, argument.length);
  set(argument, flags, asked.flags);
  set(argument, index, asked.index);
  set(argument, start, asked.start);
  set(argument, count, asked.count);
  argument.set(asked.data, size);
  const code = device.setIrqs(argument, eventfds(asked, descriptors));
  return code < 0 ? deviceRefused(code, 'SET_IRQS') : DONE;
}

/** Eventfds without a descriptor take away what the interrupts had: QEMU does that before it enables MSI-X. */
function eventfds(asked: SetIrqsMessage, descriptors: readonly Descriptor[]): readonly (Descriptor | undefined)[] {
  if (descriptors.length > 0 || (asked.flags & VFIO_IRQ_SET_DATA_EVENTFD) === 0) return descriptors;
  return Array.from({ length: asked.count }, () => undefined);
}

function wrongDescriptors(device: Pick<ServedDevice, 'ioctl'>, asked: SetIrqsMessage, descriptors: readonly Descriptor[]): Refused | undefined {
  if ((asked.flags & VFIO_IRQ_SET_DATA_EVENTFD) === 0) return descriptors.length > 0 ? refused(EINVAL, 'descriptors beside SET_IRQS without eventfds') : undefined;
  if (descriptors.length !== 0 && descriptors.length !== asked.count) return refused(EINVAL, `${descriptors.length} eventfds for ${asked.count} interrupts`);
  // Before a list of so many is made.
  const info = irqInfo(device, asked.index);
  if (typeof info === 'number') return deviceRefused(info, 'GET_IRQ_INFO');
  return asked.start + asked.count > info.count ? refused(EINVAL, `interrupts behind the last of ${info.count}`) : undefined;
}
