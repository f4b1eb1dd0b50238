/**
 * The folder `power` of a device in sysfs, as far as runtime power management goes. Kernel: drivers/base/power/sysfs.c.
 *
 * Not modelled: times, wakeup, autosuspend.
 */
import type { Device } from './device.ts';
import { constant, firstLine } from './bus.ts';
import { BAD_VALUE } from './model-reasons.ts';

/** What the folder shows and sets. */
export interface RuntimePower {
  /** unsupported, error, active, suspended */
  readonly status: string;
  control: 'on' | 'auto';
}

export function createPowerFolder({ host, sysfs }: Device, power: RuntimePower): void {
  const store = (bytes: Uint8Array): number => {
    const text = firstLine(bytes);
    if (text !== 'on' && text !== 'auto') return host.refusals.refuse(BAD_VALUE, { attribute: 'control', text, wants: 'on or auto' });
    power.control = text;
    return bytes.length;
  };
  host.files.constant(`${sysfs}/power/runtime_status`, () => `${power.status}\n`);
  host.files.add(`${sysfs}/power/control`, { kind: 'attribute', mode: 0o644, show: () => constant(`${power.control}\n`), store: (bytes) => constant(store(bytes)) });
}
