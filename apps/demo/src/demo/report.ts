/** The report of a demonstration, for people. */
import type { DemoReport, Place } from './demo.ts';
import type { Sums } from './ledger.ts';

const IRQ_NAMES = ['INTx', 'MSI', 'MSI-X', 'ERR', 'REQ'];

/** A line each. */
export function reportLines(report: DemoReport): readonly string[] {
  const lines: string[] = [];
  const out = (line: string): void => void lines.push(line);
  out(`seed ${report.seed}: a VM with ${report.vcpus} vCPUs, from one GICv4.1 host to another`);
  out('');
  out('devices');
  for (const { name, driver, regions, irqs, migratable } of report.devices) {
    const interrupts = irqs.map((count, index) => `${IRQ_NAMES[index] ?? String(index)} ${count}`).join(', ');
    out(`  ${name}  ${driver.padEnd(11)}  ${regions} regions; ${interrupts}${migratable ? '; can migrate' : ''}`);
  }
  for (const { device, driver, regions, irqs, seen } of report.neighbours) {
    out(`  ${device}  ${driver}  ${regions} ${regions === 1 ? 'region' : 'regions'}, ${irqs} ${irqs === 1 ? 'interrupt' : 'interrupts'}; on the host: ${seen}`);
  }
  const { vlpi, software } = report.forwarding;
  out(`  ${vlpi} interrupts forwarded as VLPIs, ${software} by software`);
  for (const { device, errno } of report.blockers) out(`  migration refused: ${device} cannot migrate (${errno}); it is unplugged`);
  out('');
  out('interrupts      raised  coalesced  delivered');
  sums('before', report.before, out);
  sums('from then on', report.after, out);
  out('');
  const places = new Map<Place, string[]>();
  for (const { interrupt, lpi, place } of report.pendingAtStop) {
    places.set(place, [...(places.get(place) ?? []), `${interrupt} (LPI ${lpi})`]);
  }
  out(`pending when everything had stopped: ${report.pendingAtStop.length}`);
  for (const [place, interrupts] of places) out(`  ${place.padEnd(7)} ${interrupts.join(', ')}`);
  out('');
  out(`${report.outcome}: ${report.bytes} bytes, ${ms(report.totalNs)} in all, downtime ${ms(report.downtimeNs)}`);
  out(`lost ${report.lost}, doubled ${report.doubled}; the guest's own counters say ${report.guestCount}`);
  return lines;
}

function sums(what: string, { raised, coalesced, delivered }: Sums, out: (line: string) => void): void {
  const column = (value: number, width: number): string => String(value).padStart(width);
  out(`  ${what.padEnd(12)}${column(raised, 8)}${column(coalesced, 11)}${column(delivered, 11)}`);
}

function ms(ns: number): string {
  return `${(ns / 1e6).toFixed(3)} ms`;
}
