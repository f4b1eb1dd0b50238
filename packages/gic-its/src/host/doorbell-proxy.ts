import { encode, OPCODE } from '../hardware/index.ts';
import type { ItsNode } from './its-node.ts';

/** What the proxy needs of a vPE. */
export interface ProxiedVpe {
  readonly doorbell: number;
  readonly cpu: number;
}

/**
 * A device that does not exist, by whose events the doorbell LPIs of GICv4.0 are invalidated, cleared and moved.
 *
 * Kernel: vpe_proxy of irq-gic-v3-its.c. A doorbell is an LPI without an event, and commands name LPIs by event: where
 * the redistributors cannot be asked directly, a doorbell is mapped to an event of this device for as long as no other needs the slot.
 */
export class DoorbellProxy {
  readonly #node: ItsNode;
  readonly #device: number;
  readonly #slots: (ProxiedVpe | undefined)[];
  #victim = 0;

  /** @param device its DeviceID: the largest, which no device has @param slots events, as many as CPUs, a power of two */
  constructor(node: ItsNode, device: number, slots: number) {
    this.#node = node;
    this.#device = device;
    this.#slots = new Array<ProxiedVpe | undefined>(slots).fill(undefined);
  }

  invalidate(vpe: ProxiedVpe): void {
    this.#event(OPCODE.INV, vpe);
  }

  setPending(vpe: ProxiedVpe, pending: boolean): void {
    this.#event(pending ? OPCODE.INT : OPCODE.CLEAR, vpe);
  }

  /** VMOVP does not take a doorbell with it. @param from where the vPE was */
  move(vpe: ProxiedVpe, from: number): void {
    const event = this.#map(vpe, from);
    this.#node.post((to) => encode.movi(to, this.#device, event, vpe.cpu), (to) => encode.sync(to, this.#node.target(vpe.cpu)));
  }

  /** The vPE goes. */
  forget(vpe: ProxiedVpe): void {
    const event = this.#slots.indexOf(vpe);
    if (event >= 0) this.#unmap(event, vpe);
  }

  #event(opcode: number, vpe: ProxiedVpe): void {
    const event = this.#map(vpe, vpe.cpu);
    this.#node.post((to) => encode.event(to, opcode, this.#device, event), (to) => encode.sync(to, this.#node.target(vpe.cpu)));
  }

  #map(vpe: ProxiedVpe, cpu: number): number {
    const known = this.#slots.indexOf(vpe);
    if (known >= 0) return known;
    const event = this.#victim;
    const victim = this.#slots[event];
    if (victim !== undefined) this.#unmap(event, victim);
    this.#slots[event] = vpe;
    this.#victim = (event + 1) % this.#slots.length;
    this.#node.post((to) => encode.mapti(to, this.#device, event, vpe.doorbell, cpu), (to) => encode.sync(to, this.#node.target(cpu)));
    return event;
  }

  #unmap(event: number, vpe: ProxiedVpe): void {
    this.#node.post((to) => encode.event(to, OPCODE.DISCARD, this.#device, event), (to) => encode.sync(to, this.#node.target(vpe.cpu)));
    this.#slots[event] = undefined;
  }
}
