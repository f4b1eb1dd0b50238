/** The indented lines of `lspci -vv` as `-v` prints them. */
import type { LspciBlock } from './lspci-blocks.ts';

/** Whether an indented line of the first level is that of a name. */
export function isAbout(line: string, name: string): boolean {
  return line.startsWith(`\t${name}:`);
}

/** One line for flags, capabilities by name, nothing of a second level. A text of `-v` stays as it is. */
export function briefLines({ lines }: LspciBlock): readonly string[] {
  if (lines.some((line) => isAbout(line, 'Flags'))) return lines;
  const first = lines.filter((line) => !line.startsWith('\t\t'));
  const naming = first.filter((line) => isAbout(line, 'DeviceName') || isAbout(line, 'Subsystem'));
  const dropped = ['DeviceName', 'Subsystem', 'Control', 'Status', 'Latency', 'Interrupt', 'NUMA node', 'IOMMU group', 'Secondary status', 'BridgeCtl'];
  const rest = first.filter((line) => !dropped.some((name) => isAbout(line, name))).map(briefLine);
  return [...naming, ...flagsLine(first), ...rest];
}

function flagsLine(lines: readonly string[]): readonly string[] {
  const of = (name: string): string | undefined => lines.find((line) => isAbout(line, name));
  const [control, status] = [of('Control'), of('Status')];
  if (control === undefined || status === undefined) return [];
  const latency = /Latency: (\d+)/.exec(of('Latency') ?? '')?.[1];
  const irq = /IRQ (\d+)/.exec(of('Interrupt') ?? '')?.[1];
  const node = /NUMA node: (\d+)/.exec(of('NUMA node') ?? '')?.[1];
  const group = /IOMMU group: (\d+)/.exec(of('IOMMU group') ?? '')?.[1];
  const words = [
    control.includes('BusMaster+') ? 'bus master' : undefined,
    status.includes('66MHz+') ? '66MHz' : undefined,
    `${/DEVSEL=(\w+)/.exec(status)?.[1] ?? 'fast'} devsel`,
    latency === undefined ? undefined : `latency ${latency}`,
    irq === undefined ? undefined : `IRQ ${irq}`,
    node === undefined ? undefined : `NUMA node ${node}`,
    group === undefined ? undefined : `IOMMU group ${group}`,
  ];
  return [`\tFlags: ${words.filter((word) => word !== undefined).join(', ')}`];
}

/** `Region 0: Memory at` is `Memory at`, `[148 v1] Access` is `[148] Access`, `Express (v2) Root Port` is `Express Root Port`. */
function briefLine(line: string): string {
  return line.replace(/^\tRegion \d: /, '\t').replace(/^(\tCapabilities: \[[0-9a-f]+) v\d+\]/i, '$1]').replace(/^(\tCapabilities: \[[0-9a-f]+\] Express) \(v\d+\) /i, '$1 ');
}
