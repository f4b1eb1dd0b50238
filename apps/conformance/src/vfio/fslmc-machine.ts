/** The machine of the fsl-mc recordings: a Management Complex with the recorded contents, Linux's bus on it. It lives through all scenarios of a file. */
import { ApicMsi, ENOENT, Host, Vfio, type MsiController, type ProfileName } from '@vsim/vfio-core';
import { describeCommand, FslMcBus, IRQ_THREAD, McContainer, VfioFslMcDriver, type ManagementComplex, type McObject } from '@vsim/vfio-fslmc';
import type { WatchHosts } from '../format.ts';
import type { Fields } from '../json.ts';
import type { Conversation } from './conversation.ts';
import { iommuOf, type FslMcBoard } from './fslmc-board.ts';
import { commandNames, McRules } from './mc-rules.ts';
import { addRecorded, fillComplex, recordedComplex } from './recorded-complex.ts';

const RAM = [{ base: 0x4000_0000, size: 0x3000_0000 }];

interface MadeOf {
  readonly content: string;
  readonly board: FslMcBoard;
  readonly mcLog?: ((line: string) => void) | undefined;
  readonly watch?: WatchHosts | undefined;
}

export class FslMcMachine {
  readonly host: Host;
  readonly mc: ManagementComplex;
  readonly rules: McRules;
  readonly msi: MsiController;
  readonly bus: FslMcBus;
  #driver: VfioFslMcDriver | undefined;
  readonly #board: FslMcBoard;

  /** @param made what is in it, on which board, and where a line goes for each command @param contents the recorded contents by name @param commands the recorder's table of commands */
  constructor(made: MadeOf, contents: Fields, commands: Fields, profile: ProfileName, conversation?: Conversation) {
    const content = contents.object(made.content);
    const { board, mcLog } = made;
    this.#board = board;
    this.host = new Host({ profile, ram: RAM });
    made.watch?.(made.content, this.host);
    this.mc = recordedComplex(this.host, content, board);
    this.rules = new McRules(commandNames(commands));
    for (const rule of content.has('rules') ? content.objects('rules') : []) this.rules.add(rule);
    this.mc.watch(this.rules);
    conversation?.listen(this.mc);
    if (mcLog !== undefined) this.mc.watch({ answered: (command, answer) => { mcLog(describeCommand(command, answer)); } });
    fillComplex(this.mc, content);
    this.msi = new ApicMsi(this.host);
    const msi = board.msi === 'none' ? undefined : this.msi;
    this.bus = new FslMcBus(this.host, { mc: this.mc, iommu: iommuOf(this.host, board), msi, msiProperty: board.msi === 'none' ? undefined : board.msi, ranges: board.ranges });
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

  /** The machine goes down; whoever used its devices has gone before. */
  shutDown(): void {
    this.host.scheduler.call('shutdown', this.bus.shutDown());
  }

  /** modprobe vfio-fsl-mc, with what it needs. */
  load(): void {
    if (this.#driver !== undefined && this.bus.driver(this.#driver.name) !== undefined) return;
    if (this.#driver === undefined) {
      const vfio = new Vfio(this.host);
      vfio.type1.allowUnsafeInterrupts = this.#board.allowsUnsafeInterrupts;
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
    return addRecorded(to, type, id, described);
  }
}
