/** Steps on an fd at its own position, and poll. */
import { STREAM } from '@vsim/vfio-core';
import { toHex, type Fields } from '../json.ts';
import type { Session } from './session.ts';

export class FileSteps {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  read(step: Fields): void {
    const into = new Uint8Array(step.count('len'));
    const result = this.#session.machine.process.tryPread(this.#session.fd(step), into, STREAM);
    this.#session.result(step, result);
    const expected = step.has('out') ? toHex(step.bytes('out')) : '';
    if (result > 0 || expected !== '') this.#session.report.compare('out', expected, toHex(into.subarray(0, Math.max(result, 0))));
  }

  write(step: Fields): void {
    this.#session.result(step, this.#session.machine.process.tryPwrite(this.#session.fd(step), step.bytes('in'), STREAM));
  }

  /** A negative offset is written as 64-bit two's complement. */
  seek(step: Fields): void {
    const offset = Number(BigInt.asIntN(64, step.bigint('off')));
    this.#session.result(step, this.#session.machine.process.tryLseek(this.#session.fd(step), offset, step.number('whence')));
  }

  /** Without waiting: `ret` is how many fds are ready, which is this one or none. */
  poll(step: Fields): void {
    const [found = 0] = this.#session.machine.process.poll([{ fd: this.#session.fd(step), events: step.number('events') }]);
    this.#session.result(step, found === 0 ? 0 : 1);
    this.#session.report.compare('revents', step.number('revents'), found);
  }
}
