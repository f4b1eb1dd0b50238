/** The step `ioctl`: its argument as the recording tells it, the request, and what comes back in the buffer. */
import {
  REQUESTS,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_SET,
  type IoctlInput,
  type Sleeps,
} from '@vsim/vfio-core';
import { toHex, type Fields } from '../json.ts';
import type { EventfdSteps } from './eventfd-steps.ts';
import type { MappingSteps } from './mapping-steps.ts';
import { NO_FD, type Session } from './session.ts';

const FILLER = 0xee;

export class IoctlSteps {
  readonly #session: Session;
  readonly #mappings: MappingSteps;
  readonly #eventfds: EventfdSteps;
  /** The last one, for notes that stand for more of the same. */
  #last: Fields | undefined;

  constructor(session: Session, mappings: MappingSteps, eventfds: EventfdSteps) {
    this.#session = session;
    this.#mappings = mappings;
    this.#eventfds = eventfds;
  }

  get last(): Fields | undefined {
    return this.#last;
  }

  run(step: Fields): void {
    this.#last = step;
    const { input, shown } = this.#argument(step);
    const before = input instanceof Uint8Array ? input.slice() : undefined;
    const result = this.#session.call('ioctl', this.request(step, input));
    this.#session.result(step, this.#session.named(step, result));
    if (before !== undefined && input instanceof Uint8Array && !step.has('str')) {
      const out = toHex(input) === toHex(before) ? undefined : toHex(withoutFiller(input, shown));
      this.#session.report.compare('out', step.has('out') ? toHex(step.bytes('out')) : null, out ?? null);
    }
  }

  /** The request, for whoever may sleep in it. */
  request(step: Fields, input: IoctlInput = this.#argument(step).input): Sleeps<number> {
    const name = step.string('req');
    if (name === 'VFIO_DEVICE_FEATURE' && input instanceof Uint8Array && input.length >= 8) this.#noteWakeup(step, input);
    const number = (Object.hasOwn(REQUESTS, name) ? REQUESTS[name] : undefined) ?? (/^0x[0-9a-f]+$/.test(name) ? Number(name) : step.fail('req', 'the name or number of a request'));
    return this.#session.machine.process.sys.ioctl(this.#session.fd(step), number, input);
  }

  /** The last request again, with another offset in its second field of 8 bytes. */
  repeatAt(step: Fields, offset: number): void {
    const { input } = this.#argument(step);
    if (!(input instanceof Uint8Array)) return;
    new DataView(input.buffer).setBigUint64(8, BigInt(offset), true);
    this.#session.result(step, this.#session.call('ioctl', this.request(step, input)));
  }

  #noteWakeup(step: Fields, input: Uint8Array): void {
    const flags = new DataView(input.buffer, input.byteOffset).getUint32(4, true);
    if (flags !== (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)) return;
    for (const ref of step.has('refs') ? step.objects('refs') : []) if (ref.has('fd')) this.#eventfds.wakesBy(ref.string('fd'));
  }

  /** The argument, and how many of its bytes the recording shows whatever they hold. */
  #argument(step: Fields): { input: IoctlInput; shown: number } {
    if (step.has('arg')) return { input: step.bigint('arg'), shown: 0 };
    if (step.has('ptr')) return { input: step.bigint('ptr'), shown: 0 };
    if (step.has('str')) return { input: new TextEncoder().encode(`${step.string('str')}\0`), shown: 0 };
    const bytes = step.bytes('in');
    const room = step.has('room') ? step.count('room') : bytes.length;
    const buffer = new Uint8Array(Math.max(room, bytes.length)).fill(FILLER);
    buffer.set(bytes);
    const view = new DataView(buffer.buffer);
    for (const ref of step.has('refs') ? step.objects('refs') : []) {
      const at = ref.number('off');
      if (ref.has('fd')) view.setInt32(at, this.#session.fds.get(ref.string('fd')) ?? NO_FD, true);
      else view.setBigUint64(at, BigInt(this.#mappings.named(ref)?.mapping.address ?? 0) + ref.bigint('add'), true);
    }
    return { input: buffer, shown: bytes.length };
  }
}

/** A buffer as the recording shows it: behind what the caller wrote, trailing filler is cut. */
function withoutFiller(buffer: Uint8Array, shown: number): Uint8Array {
  let end = buffer.length;
  while (end > shown && buffer[end - 1] === FILLER) end -= 1;
  return buffer.subarray(0, end);
}
