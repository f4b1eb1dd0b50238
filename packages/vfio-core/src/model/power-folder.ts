/**
 * The folder `power` of a device in sysfs, as far as runtime power management goes. Kernel: drivers/base/power/sysfs.c, with
 * CONFIG_PM_ADVANCED_DEBUG.
 *
 * Not modelled: times, counts, wakeup, autosuspend.
 */
import type { Host } from '../host/host.ts';
import { constant, type Sleeps } from '../host/scheduler.ts';
import { BAD_VALUE, NO_AUTOSUSPEND } from './model-reasons.ts';
import { firstLine } from './bus.ts';

/** What the folder shows and sets. */
export interface RuntimePower {
  /** Shown as `runtime_status`: unsupported, error, active, suspended. */
  readonly status: string;
  /** The attribute `control`, which users write: `on` keeps the device awake. */
  control: 'on' | 'auto';
}

/** A device whose driver has no power management. */
export function noRuntimePower(): RuntimePower {
  return { status: 'unsupported', control: 'auto' };
}

/** Puts the folder `power` into that of a device, `sysfs`. @throws RangeError if it is there */
export function createPowerFolder({ host, sysfs }: { readonly host: Host; readonly sysfs: string }, power: RuntimePower): void {
  const { files } = host;
  const folder = `${sysfs}/power`;
  files.constant(`${folder}/async`, 'disabled\n', 0o644);
  files.constant(`${folder}/runtime_status`, () => `${power.status}\n`);
  files.constant(`${folder}/runtime_enabled`, () => (power.status === 'unsupported' ? 'disabled\n' : power.control === 'on' ? 'forbidden\n' : 'enabled\n'));
  for (const name of ['runtime_active_kids', 'runtime_active_time', 'runtime_suspended_time', 'runtime_usage']) files.constant(`${folder}/${name}`, '0\n');
  const none = (): Sleeps<number> => constant(host.refusals.refuse(NO_AUTOSUSPEND, { device: sysfs }));
  files.add(`${folder}/autosuspend_delay_ms`, { kind: 'attribute', mode: 0o644, show: none, store: none });
  files.add(`${folder}/control`, {
    kind: 'attribute',
    mode: 0o644,
    show: () => constant(`${power.control}\n`),
    store: (bytes) => {
      const text = firstLine(bytes);
      if (text !== 'on' && text !== 'auto') return constant(host.refusals.refuse(BAD_VALUE, { attribute: 'control', text, wants: 'on or auto' }));
      power.control = text;
      return constant(bytes.length);
    },
  });
}
