/** Counts the reasons that the model tells during one step: a step that failed has exactly one, with a field that holds what decided. */
import type { Host } from '@vsim/vfio-core';
import type { Fields } from '../json.ts';
import type { CaseRecorder } from '../report.ts';
import { ToldReasons } from '../told-reasons.ts';

export class RefusalCount {
  readonly #report: CaseRecorder;
  readonly #told = new ToldReasons();

  constructor(report: CaseRecorder, host: Host) {
    this.#report = report;
    this.#told.listen(host);
  }

  begin(): void {
    this.#told.begin();
  }

  end(step: Fields): void {
    if (typeof step.raw('errno') !== 'string') return;
    const request = step.has('req') ? ` ${step.string('req')}` : '';
    this.#report.failed(`${step.string('call')}${request} ${step.string('errno')}`, this.#told.ids);
  }
}
