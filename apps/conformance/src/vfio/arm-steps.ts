/** Steps that only a machine with platform devices has: physical memory, interrupt lines, modules, capabilities, devices that go away. */
import type { Sleeps } from '@vsim/vfio-core';
import { toHex, type Fields } from '../json.ts';
import type { ArmMachine } from './arm-machine.ts';
import { DEPENDENTS, NATIVE } from './arm-modules.ts';
import type { Session } from './session.ts';

const CAP_SYS_RAWIO = 17;
const ROW = /^ *\d+: \S+ (\d+) (Level|Edge) (.*)$/;

export class ArmSteps {
  readonly #session: Session;
  readonly #arm: ArmMachine;

  constructor(session: Session, arm: ArmMachine) {
    this.#session = session;
    this.#arm = arm;
  }

  physRead(step: Fields): void {
    const bytes = new Uint8Array(step.count('len'));
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < bytes.length; i += 4) view.setUint32(i, this.#arm.host.memory.read32(step.number('addr') + i), true);
    this.#session.report.compare('out', toHex(step.bytes('out')), toHex(bytes));
  }

  physWrite(step: Fields): void {
    const bytes = step.bytes('in');
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < bytes.length; i += 4) this.#arm.host.memory.write32(step.number('addr') + i, view.getUint32(i, true));
  }

  pulse(step: Fields): void {
    this.#arm.line(step.number('spi')).setPending();
    this.#arm.host.scheduler.settle();
  }

  pending(step: Fields): void {
    this.#session.report.compare('pending', step.number('pending'), this.#arm.line(step.number('spi')).pending ? 1 : 0);
  }

  /** Rows of /proc/interrupts with vfio in them. */
  interrupts(step: Fields): void {
    const rows = this.#session.machine.process.readFile('/proc/interrupts').split('\n').flatMap((line) => {
      const [, hardware, kind, name = ''] = ROW.exec(line) ?? [];
      return name.includes('vfio') ? [[Number(hardware), kind, name.replace(/\[\d+\]/, '[N]')]] : [];
    });
    this.#session.report.compare('rows', JSON.stringify(step.list('rows')), JSON.stringify(rows));
  }

  capability(step: Fields): void {
    if (step.number('bit') !== CAP_SYS_RAWIO) step.fail('bit', `${CAP_SYS_RAWIO}, CAP_SYS_RAWIO`);
    this.#session.machine.process.setCapability('CAP_SYS_RAWIO', step.boolean('on'));
    this.#session.result(step, 0);
  }

  modprobe(step: Fields): void {
    this.#session.report.compare('exit', step.number('exit'), this.#session.call('modprobe', this.#load(step, moduleOf(step))));
  }

  *#load(step: Fields, name: string): Sleeps<number> {
    const { amba, platform, platformDriver, resets } = this.#arm;
    const native = Object.hasOwn(NATIVE, name) ? NATIVE[name] : undefined;
    if (native !== undefined) yield* (native.bus === 'amba' ? amba : platform).addDriver(native.driver());
    else if (name === 'vfio-platform') yield* platform.addDriver(platformDriver);
    else if (!resets.load(name.replaceAll('-', '_'))) this.#session.report.notExecuted(`${step.string('call')} ${name}`);
    return 0;
  }

  rmmod(step: Fields): void {
    this.#session.report.compare('exit', step.number('exit'), this.#session.call('rmmod', this.#unload(step, moduleOf(step))) < 0 ? 1 : 0);
  }

  *#unload(step: Fields, name: string): Sleeps<number> {
    const { platform, platformDriver, resets, vfio } = this.#arm;
    if (name === 'vfio_platform') return yield* platform.unloadDriver(platformDriver);
    if (name === 'vfio_iommu_type1' && [...vfio.containers].some(({ backend }) => backend !== undefined)) return -1;
    if (resets.isLoaded(name)) return resets.unload(name);
    this.#session.report.notExecuted(`${step.string('call')} ${name}`);
    return 0;
  }

  references(step: Fields): void {
    const module = step.string('module');
    const count = this.#references(module);
    if (count === undefined) this.#session.report.notExecuted(`module_refcnt ${module}`);
    else this.#session.report.compare('count', step.number('count'), count);
  }

  #references(module: string): number | undefined {
    const { ambaDriver, platformDriver, resets } = this.#arm;
    if (module === 'vfio_platform') return platformDriver.users;
    if (module === 'vfio_amba') return ambaDriver.users;
    if (Object.hasOwn(DEPENDENTS, module)) {
      const loaded = DEPENDENTS[module]?.filter((name) => this.#session.modules.has(name)).length ?? 0;
      // What was vfio_virqfd until 6.1 is a part of vfio since, and counts as one of its users.
      return loaded + (module === 'vfio' && !this.#session.modules.has('vfio_virqfd') ? 1 : 0);
    }
    return resets.isLoaded(module) ? resets.usersOf(module) : undefined;
  }

  /** The module that made them is unloaded: they go one after the other. */
  removeDevices(step: Fields): void {
    const names = step.list('devices').filter((name) => typeof name === 'string');
    const job = step.string('job');
    this.#session.jobs.set(job, this.#session.machine.process.start(`job ${job}`, this.#remove(names)));
  }

  *#remove(names: readonly string[]): Sleeps<number> {
    const { platform } = this.#arm;
    for (const name of names) {
      const device = platform.device(name);
      if (device !== undefined) yield* platform.remove(device);
    }
    return 0;
  }
}

/** The one module that a call names. */
function moduleOf(step: Fields): string {
  const [name, ...more] = step.list('args');
  return typeof name === 'string' && more.length === 0 ? name : step.fail('args', 'the name of one module');
}
