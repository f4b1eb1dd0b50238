/** The step `virtual_functions`: the VFs of a PF as sysfs tells them, one after the other. */
import { toHex, type Fields } from '../json.ts';
import { textOrNull } from '../recorded-machine.ts';
import type { CaseRecorder } from '../report.ts';
import type { Machine } from './machine.ts';

/** Attributes with one line, by their name in the recording. */
const LINES: Readonly<Record<string, string>> = { vendor: 'vendor', device_id: 'device', driver_override: 'driver_override', reset_method: 'reset_method' };
const LINKS: readonly string[] = ['driver', 'iommu_group'];
const KEYS: readonly string[] = ['device', ...Object.keys(LINES), ...LINKS, 'resource', 'config'];

export class VirtualFunctions {
  readonly #report: CaseRecorder;
  readonly #machine: Machine;

  constructor(report: CaseRecorder, machine: Machine) {
    this.#report = report;
    this.#machine = machine;
  }

  compare(step: Fields): void {
    const { bus } = this.#machine;
    const list = step.objects('list');
    const names = list.map((vf) => vf.string('device')).join(' ');
    const pf = bus.device(step.string('device'));
    this.#report.compare('device', names, pf?.sriov?.functions.map(({ name }) => name).join(' ') ?? '');
    for (const vf of list) this.#compareOne(vf, `/sys/bus/pci/devices/${vf.string('device')}`);
  }

  #compareOne(vf: Fields, folder: string): void {
    this.#report.unknown(vf, KEYS);
    for (const [field, attribute] of Object.entries(LINES)) this.#report.compare(field, textOrNull(vf, field), this.#text(`${folder}/${attribute}`)?.trimEnd() ?? null);
    for (const link of LINKS) this.#report.compare(link, textOrNull(vf, link), this.#link(`${folder}/${link}`));
    const rows = vf.list('resource').filter((row) => typeof row === 'string');
    this.#report.compare('resource', rows.join('\n'), this.#text(`${folder}/resource`)?.trimEnd() ?? null);
    const config = vf.bytes('config');
    const bytes = this.#read(`${folder}/config`);
    this.#report.compare('config', toHex(config), bytes instanceof Uint8Array ? toHex(bytes.subarray(0, config.length)) : null);
  }

  #read(path: string): string | Uint8Array | number {
    const { host, process } = this.#machine;
    return host.scheduler.call('recorder read', process.sys.readFile(path));
  }

  #text(path: string): string | undefined {
    const content = this.#read(path);
    return typeof content === 'string' ? content : undefined;
  }

  #link(path: string): string | null {
    const node = this.#machine.host.files.lookup(path, true);
    return node?.kind === 'link' ? (node.target.split('/').at(-1) ?? null) : null;
  }
}
