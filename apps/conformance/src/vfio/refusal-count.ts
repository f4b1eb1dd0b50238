/** Counts the reasons that the model tells during one step: a step that failed has exactly one, with a field that holds what decided. */
import * as core from '@vsim/vfio-core';
import type { Host } from '@vsim/vfio-core';
import * as mdev from '@vsim/mdev';
import * as pci from '@vsim/vfio-pci';
import type { Fields } from '../json.ts';
import type { CaseRecorder } from '../report.ts';

const IDS: ReadonlySet<string> = new Set(
  [core, pci, mdev].flatMap((exports) => Object.values<unknown>({ ...exports }).filter(core.isReason).map(({ id }) => id)),
);

export class RefusalCount {
  readonly #report: CaseRecorder;
  #told: string[] = [];

  constructor(report: CaseRecorder, host: Host) {
    this.#report = report;
    host.trace.listen(({ id, fields }) => {
      // A job's thread, such as an unbind that waits, is a process of its own.
      if (!IDS.has(id) || host.scheduler.current?.name.includes(' job ') === true) return;
      const values = Object.values<unknown>({ ...fields });
      this.#told.push(values.some((value) => value !== undefined && value !== '') ? id : `${id} without fields`);
    });
  }

  begin(): void {
    this.#told = [];
  }

  end(step: Fields): void {
    if (typeof step.raw('errno') !== 'string') return;
    const request = step.has('req') ? ` ${step.string('req')}` : '';
    this.#report.failed(`${step.string('call')}${request} ${step.string('errno')}`, this.#told);
  }
}
