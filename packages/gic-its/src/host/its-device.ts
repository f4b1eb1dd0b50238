import type { ItsIrq } from './its-irq.ts';
import type { ItsNode } from './its-node.ts';
import type { ItsVm } from './its-vpe.ts';

/** A device that sends MSIs through one ITS. Kernel: struct its_device. */
export class ItsDevice {
  /** The ITS behind which it is. */
  readonly node: ItsNode;
  /** DeviceID: the requester id of its messages, 16 bits. */
  readonly id: number;
  /** Physical address of its interrupt translation table. */
  readonly ittAddress: number;
  /** Bytes allocated for the table, at least 4096. */
  readonly ittBytes: number;
  /** EventID bits of its ITT. */
  readonly eventBits: number;
  /** The LPI of event 0; event n has lpiBase + n. */
  readonly lpiBase: number;
  /** By EventID, the interrupt that has it, undefined while it is free. Its length is the number of the device's LPIs. */
  readonly events: (ItsIrq | undefined)[];
  #vm: ItsVm | undefined;
  #vlpis = 0;

  /**
   * Made by ItsDriver.
   *
   * @param id DeviceID, 16 bits
   * @param ittAddress physical
   * @param ittBytes bytes at `ittAddress`
   * @param eventBits EventID bits, at least 1
   * @param lpiBase first LPI, 8192 or more
   * @param count LPIs
   */
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

  /** One more of its events is a VLPI of `vm`. */
  vlpiMapped(vm: ItsVm): void {
    this.#vm = vm;
    this.#vlpis += 1;
  }

  /** One less of its events is a VLPI; after the last one the device may serve another VM. */
  vlpiUnmapped(): void {
    this.#vlpis -= 1;
    if (this.#vlpis === 0) this.#vm = undefined;
  }
}
