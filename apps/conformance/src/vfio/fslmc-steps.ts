/** Steps that only a machine with a Management Complex has: what is asked of the MC, what the bus has, commands through a mapped portal. */
import { McContainer, type McObject } from '@vsim/vfio-fslmc';
import { toHex, type Fields } from '../json.ts';
import type { FslMcMachine } from './fslmc-machine.ts';
import type { MappingSteps } from './mapping-steps.ts';
import { KERNEL_LOG_RULE, RUN_RULE } from './relaxed.ts';
import type { Session } from './session.ts';

const COMMAND_BYTES = 64;

export class FslMcSteps {
  readonly #session: Session;
  readonly #machine: FslMcMachine;
  readonly #mappings: MappingSteps;

  constructor(session: Session, machine: FslMcMachine, mappings: MappingSteps) {
    this.#session = session;
    this.#machine = machine;
    this.#mappings = mappings;
  }

  /** Something is asked of the MC, or done to it. */
  mc(step: Fields): void {
    const act = step.object('act');
    const [what = ''] = act.keys;
    const found = this.#act(what, act);
    if (!step.has('result')) return;
    const result = step.object('result');
    const skipped = step.has('run_dependent') ? step.list('run_dependent') : [];
    for (const key of result.keys) {
      if (skipped.includes(key)) this.#session.report.relax(RUN_RULE);
      else this.#session.report.compare(key, JSON.stringify(result.raw(key)), JSON.stringify(found[key] ?? null));
    }
  }

  #act(what: string, act: Fields): Readonly<Record<string, unknown>> {
    const { mc, rules } = this.#machine;
    switch (what) {
      case 'add': {
        const add = act.object('add');
        const to = this.#object(add, 'to');
        if (to instanceof McContainer) this.#machine.add(to, add.string('type'), add.number('id'), add);
        return {};
      }
      case 'remove': {
        const object = this.#object(act, 'remove');
        if (object !== undefined) this.#machine.containerOf(object)?.remove(object);
        return {};
      }
      case 'plug':
      case 'unplug': {
        const object = this.#object(act, what);
        // The recorder changed it without a word: its conversation has no message of that.
        if (object !== undefined) object.plugged = what === 'plug';
        return {};
      }
      case 'raise':
        this.#object(act, 'raise')?.raise(indexOf(act), act.has('causes') ? act.number('causes') : 1);
        return {};
      case 'rule':
        rules.add(act.object('rule'));
        return {};
      case 'clear':
        rules.clear();
        mc.recover();
        return {};
      case 'irq': {
        const irq = this.#object(act, 'irq')?.irqs[indexOf(act)];
        return irq === undefined ? {} : { ...irq };
      }
      case 'resets':
        return { resets: this.#object(act, 'resets')?.resets };
      case 'handles':
        return { handles: mc.handles };
      default:
        return act.fail(what, 'something that can be asked of the MC');
    }
  }

  /** An object that is named; one that is not there is a divergence. */
  #object(act: Fields, key: string): McObject | undefined {
    const object = this.#machine.object(act.string(key));
    if (object === undefined) this.#session.report.diverge('act', act.string(key), 'no such object');
    return object;
  }

  /** All devices: driver, IOMMU group, override. */
  objects(step: Fields): void {
    this.#compare(step.object('objects'), (name, fields) => fields.list(name));
  }

  /** The same, as a header has it. */
  state(header: Fields): void {
    this.#compare(header.object('state'), (name, state) => {
      const of = state.object(name);
      return ['driver', 'iommu_group', 'driver_override'].flatMap((key) => (of.has(key) ? [of.raw(key) ?? null] : key === 'driver_override' ? [null] : []));
    });
  }

  #compare(told: Fields, row: (name: string, told: Fields) => readonly unknown[]): void {
    const { bus } = this.#machine;
    const names = bus.devices.map(({ name }) => name).filter((name) => this.#machine.host.files.lookup(`${bus.sysfs}/devices/${name}`) !== undefined);
    this.#session.report.compare('objects', [...told.keys].sort().join(' '), names.sort().join(' '));
    for (const name of told.keys) {
      const device = bus.device(name);
      if (device === undefined) continue;
      const expected = row(name, told);
      const group = device.iommuGroup === undefined ? null : `${device.iommuGroup.id}`;
      const link = this.#machine.host.files.lookup(`${device.sysfs}/driver`, true);
      const driver = link?.kind === 'link' ? (link.target.split('/').at(-1) ?? null) : null;
      const actual = [driver, group, device.driverOverride ?? null].slice(0, expected.length);
      this.#session.report.compare(name, JSON.stringify(expected), JSON.stringify(actual));
    }
  }

  /** Parameters, then the header, through a mapping; then all of it is read. */
  portalCommand(step: Fields): void {
    const named = this.#mappings.named(step);
    if (named === undefined) {
      this.#session.report.notExecuted('portal_command');
      return;
    }
    const { mapping } = named;
    const bytes = step.bytes('in');
    const view = new DataView(bytes.buffer);
    for (const at of [...Array(COMMAND_BYTES / 8 - 1).keys()].map((i) => 8 + 8 * i).concat(0)) {
      mapping.write(at, 4, view.getUint32(at, true));
      mapping.write(at + 4, 4, view.getUint32(at + 4, true));
    }
    const out = new Uint8Array(COMMAND_BYTES);
    for (let at = 0; at < COMMAND_BYTES; at += 4) new DataView(out.buffer).setUint32(at, mapping.read(at, 4), true);
    this.#session.report.compare('out', toHex(step.bytes('out')), toHex(out));
  }

  modprobe(): void {
    this.#machine.load();
  }

  rmmod(step: Fields): void {
    this.#session.report.compare('exit', step.number('exit'), this.#machine.unload() < 0 ? 1 : 0);
  }

  log(): void {
    this.#session.report.relax(KERNEL_LOG_RULE);
  }
}

/** Which interrupt is meant: the first, where none is named. */
function indexOf(act: Fields): number {
  return act.has('index') ? act.number('index') : 0;
}
