import type { Host } from '../host/host.ts';
import { constant, type Sleeps } from '../host/scheduler.ts';
import { BAD_VALUE } from './model-reasons.ts';

/** An action, and behind it a UUID with pairs, for whoever listens. */
const EVENT = /^(add|remove|change|move|online|offline|bind|unbind)( [0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}( [0-9A-Za-z]+=[0-9A-Za-z]+)*)?[\n\0]?$/;

/**
 * Puts the attribute `uevent` into a folder: a write of an action has udev told once more, another text is -EINVAL. Kernel:
 * kobject_synth_uevent(). `show`: what a device's tells. Left out: a bus and a driver have one that is only written.
 *
 * @throws RangeError if it is there
 */
export function addUevent(host: Host, folder: string, show?: () => string): void {
  const store = (bytes: Uint8Array): Sleeps<number> => {
    const text = new TextDecoder().decode(bytes);
    return constant(EVENT.test(text) ? bytes.length : host.refusals.refuse(BAD_VALUE, { attribute: 'uevent', text, wants: 'an action' }));
  };
  const path = `${folder}/uevent`;
  if (show === undefined) host.files.add(path, { kind: 'attribute', mode: 0o200, store });
  else host.files.add(path, { kind: 'attribute', mode: 0o644, show: () => constant(show()), store });
}
