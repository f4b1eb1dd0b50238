/** The device that a link or the command asks for. */
import { devicesFor, type DoctorReport } from '@vsim/doctor';

/** Its address, where the words mean one function alone; undefined: they mean several, none, or nothing is asked. */
export function firstDevice(report: DoctorReport, query: string | undefined): string | undefined {
  const found = query === undefined ? [] : devicesFor(report, query);
  return found.length === 1 ? found[0]!.address : undefined;
}
