/** MIG_DATA_READ and MIG_DATA_WRITE: the stream of a device's state. */
import { EINVAL, EIO } from '@vsim/vfio-core';
import { MIG_DATA_LAYOUT } from '../wire/layouts.ts';
import { type MigDataMessage, refused } from '../wire/messages.ts';
import { type Answer, deviceRefused, DONE } from './answer.ts';
import type { ServedDevice } from './served-device.ts';

/** MIG_DATA_READ. A reply with less than was asked for says that no more follows: a device that gives little at a time is asked again. @param most bytes of data */
export function answerReadState(device: Pick<ServedDevice, 'readState'>, asked: MigDataMessage, most: number): Answer {
  // What is read is gone: it must not be read if there is no room for it.
  if (asked.length > most || asked.argsz < MIG_DATA_LAYOUT.size + asked.length) return refused(EINVAL, `${asked.length} bytes of state, for which there is no room`);
  const data = new Uint8Array(asked.length);
  let length = 0;
  while (length < data.length) {
    const count = device.readState(data.subarray(length));
    if (count < 0) return deviceRefused(count, 'to give its state');
    if (count === 0) break;
    length += count;
  }
  return { reply: { name: 'MIG_DATA_READ', argsz: MIG_DATA_LAYOUT.size + length, length, data: data.subarray(0, length) } };
}

/** MIG_DATA_WRITE. @param most bytes of data @returns EIO where the device takes nothing more */
export function answerWriteState(device: Pick<ServedDevice, 'writeState'>, asked: MigDataMessage, most: number): Answer {
  if (asked.length > most) return refused(EINVAL, `${asked.length} bytes of state in a message`);
  for (let at = 0; at < asked.data.length; ) {
    const count = device.writeState(asked.data.subarray(at));
    if (count < 0) return deviceRefused(count, 'a state');
    if (count === 0) return refused(EIO, 'the device takes no more of a state');
    at += count;
  }
  return DONE;
}
