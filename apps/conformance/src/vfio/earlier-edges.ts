/** Which eventfds may have the signal of an edge that came in an earlier scenario: those that an interrupt is enabled for the first time with. */
import { VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD } from '@vsim/vfio-core';
import type { Fields } from '../json.ts';
import type { Session } from './session.ts';

export class EarlierEdges {
  readonly #session: Session;
  /** Lines that this scenario has enabled. */
  readonly #enabled = new Set<number>();
  /** Eventfds that one signal more may be in. */
  readonly #owed = new Set<string>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** SET_IRQS has given an eventfd to an interrupt. */
  given(step: Fields): void {
    const { arm } = this.#session.machine;
    const [ref] = step.has('refs') ? step.objects('refs') : [];
    const device = arm?.platformDevice(this.#session.devices.get(step.string('fd')) ?? '');
    if (device === undefined || ref?.has('fd') !== true || step.raw('ret') !== 0) return;
    const view = new DataView(step.bytes('in').buffer);
    if (view.getUint32(4, true) !== (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)) return;
    const line = device.lines()[view.getUint32(8, true)];
    if (line === undefined || line.isLevel || this.#enabled.has(line.number)) return;
    this.#enabled.add(line.number);
    this.#owed.add(ref.string('fd'));
  }

  /** Takes the signal that may be in an eventfd. @returns whether there may be one */
  take(eventfd: string): boolean {
    return this.#owed.delete(eventfd);
  }
}
