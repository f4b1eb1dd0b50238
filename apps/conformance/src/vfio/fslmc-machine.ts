/** The machine of the fsl-mc recordings: a Management Complex with the recorded contents, Linux's bus on it. It lives through all scenarios of a file. */
import { basename } from 'node:path';
import { ApicMsi, ENOENT, Host, Mmu500Iommu, Vfio, type MsiController, type ProfileName } from '@vsim/vfio-core';
import { FslMcBus, IRQ_THREAD, ManagementComplex, McContainer, VfioFslMcDriver, type McObject } from '@vsim/vfio-fslmc';
import type { Fields } from '../json.ts';
import { Registers } from './arm-machine.ts';
import type { Conversation } from './conversation.ts';
import { commandNames, McRules } from './mc-rules.ts';

const PORTALS = 0x7800_0000;
const QBMAN = 0x7c00_0000;
const IOMMU = '7e000000.iommu';
/** The recorder's extension counts its tokens from here. */
const FIRST_EXTENDED_TOKEN = 0x101;
const RAM = [{ base: 0x4000_0000, size: 0x3000_0000 }];

/** The firmware of a recording: with the commands of Linux's bus alone; or `extended`, and then `lenient` with those of a dpni that it does not model. */
export function recordedComplex(host: Host, content: Fields): ManagementComplex {
  const extended = content.has('extended') && content.boolean('extended');
  const lenient = content.has('lenient') && content.boolean('lenient');
  return new ManagementComplex(host, {
    base: PORTALS,
    qbmanBase: QBMAN,
    icid: content.object('tree').number('icid'),
    release: extended ? '10.36.0' : '10.28.0',
    // host.json: the version of the containers' commands is the older one's in both.
    apiVersion: [6, 6],
    preset: extended ? 'firmware' : 'bus',
    choices: { unmodelledDpni: lenient ? 'zeros' : 'unsupported', firstToken: extended ? FIRST_EXTENDED_TOKEN : 1 },
  });
}

export class FslMcMachine {
  readonly host: Host;
  readonly mc: ManagementComplex;
  readonly rules: McRules;
  readonly msi: MsiController;
  readonly bus: FslMcBus;
  #driver: VfioFslMcDriver | undefined;
  readonly #unsafe: boolean;

  /** @param contents the recorded contents by name @param commands the recorder's table of commands @param machine host.json */
  constructor(header: Fields, contents: Fields, commands: Fields, machine: Fields, profile: ProfileName, conversation?: Conversation) {
    this.#unsafe = allowsUnsafeInterrupts(machine, header.path);
    const content = contents.object(header.string('content'));
    this.host = new Host({ profile, ram: RAM });
    const tree = content.object('tree');
    this.mc = recordedComplex(this.host, content);
    this.rules = new McRules(commandNames(commands));
    for (const rule of content.has('rules') ? content.objects('rules') : []) this.rules.add(rule);
    this.mc.watch(this.rules);
    conversation?.listen(this.mc);
    for (const object of tree.objects('objects')) this.#add(this.mc.root, object);
    const hasIommu = header.string('group') !== 'noiommu';
    const iommu = hasIommu ? new Mmu500Iommu(this.host, { defaultDomain: 'identity', device: IOMMU }) : undefined;
    this.msi = new ApicMsi(this.host);
    this.bus = new FslMcBus(this.host, { mc: this.mc, iommu, msi: this.msi });
    this.host.scheduler.call('boot', this.bus.start());
  }

  /** A scenario begins. */
  begin(header: Fields): void {
    // Without VFIO there are no nodes of its.
    if (header.list('vfio_nodes').length > 0) this.load();
  }

  /** What is done to the MC in consecutive steps was done before the kernel's thread had looked at the first. */
  follow(call: string): void {
    const { scheduler } = this.host;
    if (call === 'mc') scheduler.stopAt(IRQ_THREAD);
    else scheduler.release(IRQ_THREAD);
  }

  /** modprobe vfio-fsl-mc, with what it needs. */
  load(): void {
    if (this.#driver !== undefined && this.bus.driver(this.#driver.name) !== undefined) return;
    if (this.#driver === undefined) {
      const vfio = new Vfio(this.host);
      vfio.type1.allowUnsafeInterrupts = this.#unsafe;
      this.#driver = new VfioFslMcDriver(this.bus, vfio);
    }
    this.host.scheduler.call('modprobe', this.bus.addDriver(this.#driver));
  }

  /** rmmod. @returns 0 or a negative errno */
  unload(): number {
    return this.#driver === undefined ? -ENOENT : this.host.scheduler.call('rmmod', this.bus.unloadDriver(this.#driver));
  }

  /** An object of the MC by its name. */
  object(name: string): McObject | undefined {
    const [type = '', id] = name.split('.');
    return this.mc.root.find(type, Number(id));
  }

  /** The container that an object is in. */
  containerOf(object: McObject, within: McContainer = this.mc.root): McContainer | undefined {
    if (within.objects.includes(object)) return within;
    for (const other of within.objects) {
      const found = other instanceof McContainer ? this.containerOf(object, other) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Makes what a recording's `add` or contents describe. */
  add(to: McContainer, type: string, id: number, described: Fields): McObject {
    const irqs = described.has('irqs') ? described.number('irqs') : undefined;
    const version = described.has('version') ? described.string('version').split('.').map(Number) : [];
    const [major, minor] = version;
    const init = {
      id,
      irqs,
      version: major === undefined || minor === undefined ? undefined : ([major, minor] as const),
      label: described.has('label') ? described.string('label') : undefined,
      plugged: described.has('plugged') ? described.boolean('plugged') : undefined,
      // The recording has plain memory for the queues.
      portals: type === 'dpio' ? [new Registers(), new Registers()] : undefined,
    };
    return type === 'dprc' ? to.addContainer({ ...init, icid: described.has('icid') ? described.number('icid') : 0 }) : to.add({ ...init, type });
  }

  #add(to: McContainer, described: Fields): void {
    const [type = '', id] = described.string('name').split('.');
    const made = this.add(to, type, Number(id), described);
    if (made instanceof McContainer) for (const object of described.objects('objects')) this.#add(made, object);
  }
}

/** What host.json says of modules: all are loaded with the parameter, but for a file that it names. */
function allowsUnsafeInterrupts(machine: Fields, path: string): boolean {
  const [, but] = /allow_unsafe_interrupts=1 \(not for ([a-z-]+)\)/.exec(machine.string('modules')) ?? [];
  return but !== undefined && basename(path).split('.')[0] !== but;
}
