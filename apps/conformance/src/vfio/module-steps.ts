/** Steps on modules: loading, unloading, and how many use one. */
import type { Fields } from '../json.ts';
import type { SampleModules } from './sample-modules.ts';
import type { Session } from './session.ts';

/** O_NONBLOCK: in use is an error, and nobody waits. */
const NONBLOCK = 0x800;

export class ModuleSteps {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  probe(step: Fields): void {
    const args = step.list('args').filter((arg) => typeof arg === 'string');
    this.#session.report.compare('exit', step.number('exit'), this.#session.call('modprobe', this.#samples(step).load(args)));
  }

  delete(step: Fields): void {
    if (step.number('flags') !== NONBLOCK) step.fail('flags', 'O_NONBLOCK alone');
    this.#session.result(step, this.#session.call('delete_module', this.#samples(step).unload(step.string('module'))));
  }

  #samples(step: Fields): SampleModules {
    return this.#session.machine.samples ?? step.fail('call', 'mdev among the native_modules of the header');
  }

  count(step: Fields): void {
    this.#session.report.compare('count', step.number('count'), this.#samples(step).users(step.string('module')) ?? null);
  }
}
