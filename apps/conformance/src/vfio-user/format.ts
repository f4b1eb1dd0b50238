/** Recordings of the vfio-user protocol. There is no vfio-user server yet: every message counts as not executed. */
import type { Format } from '../format.ts';
import type { Fields } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';

export const vfioUserFormat: Format = {
  name: 'vfio-user',
  recognises: (first: Fields): boolean => first.has('dir'),
  profileOf: (): string => 'vfio-user',
  *run(lines: readonly Fields[]): Iterable<CaseReport> {
    const report = new CaseRecorder('session');
    lines.forEach((line, i) => {
      report.begin(i);
      report.notExecuted(line.has('name') ? line.string('name') : 'message');
    });
    yield report;
  },
};
