/** A device as the host's ITS driver holds it: its ITT, its LPIs, and the events that are given away. */
import type { ItsIrq } from './its-irq.ts';
import type { ItsNode } from './its-node.ts';
import type { ItsVm } from './its-vpe.ts';

/** A device that sends MSIs through one ITS. Kernel: struct its_device. */
export class ItsDevice {
  readonly node: ItsNode;
  /** DeviceID. */
  readonly id: number;
  readonly ittAddress: number;
  readonly ittBytes: number;
  /** EventID bits of its ITT. */
  readonly eventBits: number;
  readonly lpiBase: number;
  readonly events: (ItsIrq | undefined)[];
  #vm: ItsVm | undefined;
  #vlpis = 0;

  constructor(node: ItsNode, id: number, ittAddress: number, ittBytes: number, eventBits: number, lpiBase: number, count: number) {
    this.node = node;
    this.id = id;
    this.ittAddress = ittAddress;
    this.ittBytes = ittBytes;
    this.eventBits = eventBits;
    this.lpiBase = lpiBase;
    this.events = new Array<ItsIrq | undefined>(count).fill(undefined);
  }

  /** The VM that has VLPIs of this device; a device serves one at a time. */
  get vm(): ItsVm | undefined {
    return this.#vm;
  }

  /** Whether an event of it is given away. */
  get inUse(): boolean {
    return this.events.some((irq) => irq !== undefined);
  }

  vlpiMapped(vm: ItsVm): void {
    this.#vm = vm;
    this.#vlpis += 1;
  }

  vlpiUnmapped(): void {
    this.#vlpis -= 1;
    if (this.#vlpis === 0) this.#vm = undefined;
  }
}
