import { MSI_SENT, type Host, type MmioDevice } from '@vsim/vfio-core';
import type { McContainer } from './mc-container.ts';
import { configOf, type ConfigInit, type ObjectConfig } from './object-config.ts';

/** A region is a slice of the MC's portals or of the queue manager's. */
export type McRegionKind = 'mc-portal' | 'qbman' | 'qbman-memory';

/** In the wire's order: the type of DPRC_GET_OBJ_REG. */
export const REGION_KINDS: readonly McRegionKind[] = ['mc-portal', 'qbman', 'qbman-memory'];

/** Where a region of an object lies, relative to the base of its kind. */
export interface McRegion {
  /** Which portals it is a slice of: see ManagementComplex.baseOf(). */
  readonly kind: McRegionKind;
  /** From the base of its kind, in bytes. */
  readonly offset: number;
  /** Bytes: a portal has 64 KiB. */
  readonly size: number;
  /** CACHEABLE 1, SHAREABLE 2. */
  readonly flags: number;
}

/** What an object is made of. */
export interface McObjectInit {
  /** e.g. `dpni` */
  readonly type: string;
  /** Its number among the objects of its type: nobody else below the root has it. */
  readonly id: number;
  /** Interrupts that it has. @default 1 */
  readonly irqs?: number | undefined;
  /** What answers in the regions of a dpio, in their order. @default plain memory */
  readonly portals?: readonly MmioDevice[] | undefined;
  /** What to name it, at most 16 bytes as the MC tells it. @default '' */
  readonly label?: string | undefined;
  /** 16 bits. @default 0x1957, FSL_MC_VENDOR_FREESCALE */
  readonly vendor?: number | undefined;
  /** Major and minor. @default what the firmware's release has */
  readonly version?: readonly [number, number] | undefined;
  /** Whether drivers may use it at once. @default true */
  readonly plugged?: boolean | undefined;
  /** Bit 0: its memory must not be made shareable. @default 0 */
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

/** An object of the Management Complex, as hardware: its state, its interrupts, its regions. */
export class McObject {
  /** As `dpni`; `dprc` is a container. */
  readonly type: string;
  /** Its number among the objects of its type. */
  readonly id: number;
  /** What somebody named it: DPRC_SET_OBJ_LABEL. Empty, nobody did. */
  label: string;
  /** 16 bits; 0x1957 is FSL_MC_VENDOR_FREESCALE. */
  readonly vendor: number;
  /** Major and minor of its type's API. */
  readonly version: readonly [number, number];
  /** Bit 0: its memory must not be made shareable. */
  readonly flags: number;
  /** By index; empty but for dprc, dpmcp and dpio. */
  readonly regions: McRegion[] = [];
  /** By index: message, enable, mask and latched status of each. */
  readonly irqs: readonly McIrq[];
  /** Whether drivers may use it: ENABLE of another is INVALID_STATE. */
  plugged: boolean;
  /** Between ENABLE and DISABLE or a reset: a link is up while both ends are. */
  enabled = false;
  /** How often it was reset. */
  resets = 0;
  /** What it was made with. */
  readonly config: ObjectConfig;
  /** The container that it is in; undefined for the root, and for one that is gone. */
  parent: McContainer | undefined = undefined;
  /** The container whose token created it. */
  creator: McContainer | undefined = undefined;
  /** The primary address of a dpni, 6 bytes as on the wire of the command: the last byte first. */
  readonly mac: Uint8Array;
  /** Of a dpni, in bytes. */
  maxFrameLength: number = MAX_FRAME_LENGTH;
  readonly #host: Host;
  #icid: number;

  /**
   * Made by McContainer.add().
   *
   * @param icid isolation context of its container, 16 bits
   * @throws RangeError for a `config` that its type does not have
   */
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

  /** Type and id, as restool writes them: `dpni.0`. */
  get name(): string {
    return `${this.type}.${this.id}`;
  }

  /** The isolation context that its DMA and its messages carry: its own for a container, else that of the container it is in. */
  get icid(): number {
    return this.#icid;
  }

  /** It comes into a container. @internal @param icid isolation context that it has there */
  moveTo(parent: McContainer, icid: number): void {
    this.parent = parent;
    this.#icid = icid;
  }

  /**
   * Something happened: the causes are latched, and told by a message if interrupt and cause are on.
   *
   * @param index of the interrupt, in [0, irqs.length)
   * @param causes 32 bits
   * @throws RangeError for an interrupt that it does not have
   */
  raise(index: number, causes: number): void {
    const irq = this.irqs[index];
    if (irq === undefined) throw new RangeError(`"index" expected an interrupt of ${this.name} in [0, ${this.irqs.length}), got ${index}`);
    irq.status = (irq.status | causes) >>> 0;
    if (irq.enabled && (irq.status & irq.mask) !== 0 && irq.address !== 0) this.#send(irq);
  }

  #send({ address, data }: McIrq): void {
    const { memory, trace } = this.#host;
    if (trace.followed) trace.step(MSI_SENT, { device: this.name, requester: this.icid, address, data });
    memory.write32(address, data, this.icid);
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

/**
 * As on the wire, the last byte first: `FIRST:00:00:00:ID:ID`.
 *
 * @param first byte of the address
 * @param id whose lowest 16 bits are its last two bytes
 */
export function macAddress(first: number, id: number): Uint8Array {
  return Uint8Array.of(id & 0xff, (id >>> 8) & 0xff, 0, 0, 0, first);
}
