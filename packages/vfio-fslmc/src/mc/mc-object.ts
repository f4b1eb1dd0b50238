/** An object of the Management Complex, as hardware: its state, its interrupts, its regions. */
import type { Host, MmioDevice } from '@vsim/vfio-core';
import type { McContainer } from './mc-container.ts';
import { configOf, type ConfigInit, type ObjectConfig } from './object-config.ts';

/** A region is a slice of the MC's portals or of the queue manager's. */
export type McRegionKind = 'mc-portal' | 'qbman' | 'qbman-memory';

/** In the wire's order: the type of DPRC_GET_OBJ_REG. */
export const REGION_KINDS: readonly McRegionKind[] = ['mc-portal', 'qbman', 'qbman-memory'];

export interface McRegion {
  readonly kind: McRegionKind;
  /** From the base of its kind, in bytes. */
  readonly offset: number;
  readonly size: number;
  /** CACHEABLE 1, SHAREABLE 2. */
  readonly flags: number;
}

export interface McObjectInit {
  /** e.g. `dpni` */
  readonly type: string;
  readonly id: number;
  /** @default 1 */
  readonly irqs?: number | undefined;
  /** What answers in the regions of a dpio, in their order. @default plain memory */
  readonly portals?: readonly MmioDevice[] | undefined;
  readonly label?: string | undefined;
  /** @default 0x1957 */
  readonly vendor?: number | undefined;
  /** Major and minor. @default what the firmware's release has */
  readonly version?: readonly [number, number] | undefined;
  /** @default true */
  readonly plugged?: boolean | undefined;
  readonly flags?: number | undefined;
  /** What it is made with, by the names of a DPL. @default a small one of its kind */
  readonly config?: ConfigInit | undefined;
}

/** First bytes of the addresses that objects have: locally administered for a dpni, a vendor's for a MAC. */
export const DPNI_MAC = 0x02;
export const DPMAC_MAC = 0x04;

const MAX_FRAME_LENGTH = 10_240;

interface McIrq {
  address: number;
  data: number;
  enabled: boolean;
  mask: number;
  status: number;
}

export class McObject {
  readonly type: string;
  readonly id: number;
  label: string;
  readonly vendor: number;
  readonly version: readonly [number, number];
  readonly flags: number;
  readonly regions: McRegion[] = [];
  readonly irqs: readonly McIrq[];
  plugged: boolean;
  enabled = false;
  /** How often it was reset. */
  resets = 0;
  /** What it was made with. */
  readonly config: ObjectConfig;
  /** The container that it is in; undefined for the root, and for one that is gone. */
  parent: McContainer | undefined = undefined;
  /** The container whose token created it. */
  creator: McContainer | undefined = undefined;
  /** The primary address of a dpni, as on the wire: the last byte first. */
  readonly mac: Uint8Array;
  /** Of a dpni, in bytes. */
  maxFrameLength: number = MAX_FRAME_LENGTH;
  readonly #host: Host;
  #icid: number;

  constructor(host: Host, icid: number, init: McObjectInit) {
    this.#host = host;
    this.#icid = icid;
    this.type = init.type;
    this.id = init.id;
    this.label = init.label ?? '';
    this.vendor = init.vendor ?? 0x1957;
    this.version = init.version ?? [0, 0];
    this.plugged = init.plugged ?? true;
    this.flags = init.flags ?? 0;
    this.config = configOf(init.type, init.config);
    this.mac = macAddress(DPNI_MAC, init.id);
    this.irqs = Array.from({ length: init.irqs ?? 1 }, () => ({ address: 0, data: 0, enabled: false, mask: 0, status: 0 }));
  }

  get name(): string {
    return `${this.type}.${this.id}`;
  }

  /** The isolation context that its DMA and its messages carry: its own for a container, else that of the container it is in. */
  get icid(): number {
    return this.#icid;
  }

  /** @internal it comes into a container */
  moveTo(parent: McContainer, icid: number): void {
    this.parent = parent;
    this.#icid = icid;
  }

  /** Something happened: the causes are latched, and told by a message if interrupt and cause are on. */
  raise(index: number, causes: number): void {
    const irq = this.irqs[index];
    if (irq === undefined) throw new RangeError(`"index" expected an interrupt of ${this.name} in [0, ${this.irqs.length}), got ${index}`);
    irq.status = (irq.status | causes) >>> 0;
    if (irq.enabled && (irq.status & irq.mask) !== 0 && irq.address !== 0) this.#host.memory.write32(irq.address, irq.data, this.icid);
  }

  /** Everything that software set, but the messages of its interrupts. */
  reset(): void {
    this.resets += 1;
    this.enabled = false;
    this.maxFrameLength = MAX_FRAME_LENGTH;
    for (const irq of this.irqs) {
      irq.enabled = false;
      irq.mask = 0;
      irq.status = 0;
    }
  }
}

/** As on the wire, the last byte first: `FIRST:00:00:00:ID:ID`. */
export function macAddress(first: number, id: number): Uint8Array {
  return Uint8Array.of(id & 0xff, (id >>> 8) & 0xff, 0, 0, 0, first);
}
