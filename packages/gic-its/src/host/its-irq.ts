import { EINVAL, type HostIrq, type MsiMessage } from '@vsim/vfio-core';
import { encode, OPCODE, SPURIOUS } from '../hardware/index.ts';
import type { ItsDevice } from './its-device.ts';
import type { ItsDriver } from './its-driver.ts';
import type { ItsNode } from './its-node.ts';
import type { ItsVpe } from './its-vpe.ts';

/** Enable, bit 0 of an LPI's configuration byte. */
export const LPI_ENABLED = 1;
/** Bit 1 of an LPI's configuration byte, RES1 in the architecture: the kernel always sets it. */
export const LPI_GROUP1 = 2;
export const LPI_DEFAULT_PRIORITY = 0xa0;

/** What an interrupt is forwarded to. Kernel: struct its_vlpi_map. */
export interface VlpiMap {
  /** The vPE that gets it. */
  readonly vpe: ItsVpe;
  /** The INTID that the guest sees, 8192 or more. */
  readonly vintid: number;
  /** Configuration byte in the VM's property table: LPI_ENABLED, LPI_GROUP1, priority in [7:2]. */
  readonly properties: number;
  /** GICv4.0: the vPE's doorbell LPI is rung for this VLPI. */
  readonly doorbell: boolean;
}

/**
 * An interrupt of the host behind an ITS: an LPI, or, when it is forwarded, a VLPI of some vPE.
 *
 * Kernel: its_irq_chip and its_irq_set_vcpu_affinity() of irq-gic-v3-its.c, irq_set_vcpu_affinity()'s commands as methods.
 * Forwarding is not atomic: an MSI between the DISCARD of the physical event and the VMAPTI of the virtual one is lost.
 */
export class ItsIrq implements HostIrq {
  /** The interrupt's number in /proc/interrupts. */
  readonly number: number;
  /** The device that raises it. */
  readonly device: ItsDevice;
  /** EventID: what the device writes, from 0. */
  readonly event: number;
  /** The physical LPI, 8192 or more. */
  readonly lpi: number;
  readonly #driver: ItsDriver;
  readonly #node: ItsNode;
  #cpu: number;
  #map: VlpiMap | undefined;
  #handler: (() => void) | undefined;

  /**
   * Made by ItsDriver.
   *
   * @internal
   * @param event EventID
   * @param number in /proc/interrupts
   * @param cpu the CPU that takes the LPI
   */
  constructor(driver: ItsDriver, device: ItsDevice, event: number, number: number, cpu: number) {
    this.#driver = driver;
    this.#node = device.node;
    this.device = device;
    this.event = event;
    this.lpi = device.lpiBase + event;
    this.number = number;
    this.#cpu = cpu;
  }

  /** What the device is told to write: GITS_TRANSLATER's address and the EventID. */
  get message(): MsiMessage {
    return { address: this.#node.its.translater, data: this.event };
  }

  /** Whether it is a VLPI of some vPE: the host sees none of it. */
  get forwarded(): boolean {
    return this.#map !== undefined;
  }

  /** The driver has not given its event to another interrupt: whoever holds it longer commands nothing. */
  get #live(): boolean {
    return this.device.events[this.event] === this;
  }

  /** The CPU that takes the LPI. */
  get cpu(): number {
    return this.#cpu;
  }

  /** request_irq() starts the interrupt up, free_irq() shuts it down. */
  setHandler(handler: (() => void) | undefined): void {
    if (!this.#live) return;
    const had = this.#handler !== undefined;
    if (handler === undefined && had) this.mask();
    this.#handler = handler;
    this.#driver.cpus.setHandler(this.lpi, handler);
    if (handler !== undefined && !had) this.unmask();
  }

  /** its_mask_irq(): clears Enable in the configuration byte, of the VLPI while it is forwarded, and invalidates it. */
  mask(): void {
    this.#configure(LPI_ENABLED, 0);
  }

  /** its_unmask_irq(): sets Enable in the configuration byte, of the VLPI while it is forwarded, and invalidates it. */
  unmask(): void {
    this.#configure(0, LPI_ENABLED);
  }

  /**
   * its_set_affinity(): MOVI to the collection of another CPU.
   *
   * @param cpu any number
   * @returns 0, or -EINVAL for a forwarded interrupt or a CPU that does not exist or is offline
   */
  setAffinity(cpu: number): number {
    if (!this.#live || this.#map !== undefined || !this.#driver.cpus.isOnline(cpu)) return -EINVAL;
    if (cpu === this.#cpu) return 0;
    const { id } = this.device;
    // its_build_movi_cmd() answers with the collection that the event has so far: it is that one which is synchronised.
    this.#node.post((to) => encode.movi(to, id, this.event, cpu), this.#sync());
    this.#driver.loadMoved(this.#cpu, cpu);
    this.#cpu = cpu;
    return 0;
  }

  /**
   * Its CPU goes. Kernel: migrate_one_irq(), which leaves alone what nobody requested
   *
   * @internal
   * @param cpu where it goes: one that is online
   */
  leaveCpu(cpu: number): void {
    if (this.#handler !== undefined) this.setAffinity(cpu);
  }

  /** irq_set_irqchip_state(IRQCHIP_STATE_PENDING): INT or CLEAR, on the VLPI if it is forwarded. Does nothing once it is released. */
  setPending(pending: boolean): void {
    if (!this.#live) return;
    const { id } = this.device;
    this.#node.post((to) => encode.event(to, pending ? OPCODE.INT : OPCODE.CLEAR, id, this.event), this.#sync());
  }

  // Forwarding

  /** MAP_VLPI. @returns 0, or -EINVAL: the ITS has no VLPIs, the device belongs to another VM, or either is gone. */
  mapVlpi(map: VlpiMap): number {
    const { vm } = map.vpe;
    if (!this.#node.isV4 || !this.#live || vm.freed) return -EINVAL;
    const owner = this.device.vm;
    if (owner !== undefined && owner !== vm) return -EINVAL;
    const { id } = this.device;
    if (this.#map !== undefined) {
      this.#map = map;
      this.#moveVlpi(map);
      return 0;
    }
    this.#map = map;
    this.device.vlpiMapped(vm);
    vm.vlpiMapped(this, this.#node);
    vm.writeProperty(map.vintid, map.properties);
    this.#discard();
    this.#node.post(
      (to) => encode.vmapti(to, id, this.event, map.vpe.vpeid, map.vintid, this.#doorbellOf(map)),
      (to) => encode.vpe(to, OPCODE.VSYNC, map.vpe.vpeid),
    );
    return 0;
  }

  /** GET_VLPI. @returns what it is forwarded to; undefined where the kernel has -EINVAL. */
  getVlpi(): VlpiMap | undefined {
    return this.#map;
  }

  /**
   * UNMAP_VLPI: back to a physical LPI, enabled. The VLPI's pending state is discarded.
   *
   * @returns 0, or -EINVAL while it is not forwarded
   */
  unmapVlpi(): number {
    const map = this.#map;
    if (map === undefined) return -EINVAL;
    this.#discard();
    this.#map = undefined;
    this.mapPhysical();
    this.#driver.writeProperty(this.lpi, LPI_DEFAULT_PRIORITY | LPI_GROUP1 | LPI_ENABLED);
    this.#invalidate();
    map.vpe.vm.vlpiUnmapped(this, this.#node);
    this.device.vlpiUnmapped();
    return 0;
  }

  /**
   * PROP_UPDATE_VLPI and PROP_UPDATE_AND_INV_VLPI: gives the VLPI another configuration byte.
   *
   * @param properties 8 bits: LPI_ENABLED, LPI_GROUP1, priority in [7:2]
   * @param invalidate whether the GIC is told at once
   * @returns 0, or -EINVAL while it is not forwarded
   */
  updateVlpi(properties: number, invalidate: boolean): number {
    const map = this.#map;
    if (map === undefined) return -EINVAL;
    this.#map = { ...map, properties };
    map.vpe.vm.writeProperty(map.vintid, properties);
    if (invalidate) this.#invalidate();
    this.#setDoorbell((properties & LPI_ENABLED) !== 0);
    return 0;
  }

  /** its_vlpi_set_doorbell(): GICv4.0's individual doorbell follows the enable bit, by a VMOVI to the same vPE. */
  #setDoorbell(enabled: boolean): void {
    const map = this.#map;
    if (map === undefined || this.#node.isV41 || map.doorbell === enabled) return;
    this.#map = { ...map, doorbell: enabled };
    this.#moveVlpi(this.#map);
  }

  #moveVlpi(map: VlpiMap): void {
    const { id } = this.device;
    this.#node.post(
      (to) => encode.vmovi(to, id, this.event, map.vpe.vpeid, this.#doorbellOf(map)),
      (to) => encode.vpe(to, OPCODE.VSYNC, map.vpe.vpeid),
    );
  }

  #doorbellOf(map: VlpiMap): number {
    return this.#node.isV41 || !map.doorbell ? SPURIOUS : map.vpe.doorbell;
  }

  // Life

  /** MAPTI: the event becomes an LPI of its CPU's collection. @internal */
  mapPhysical(): void {
    const { id } = this.device;
    this.#node.post((to) => encode.mapti(to, id, this.event, this.lpi, this.#cpu), this.#sync());
  }

  /** Deactivation. One that nobody has taken back from its VM is discarded as a VLPI. @internal */
  unmapPhysical(): void {
    this.#discard();
    const map = this.#map;
    if (map === undefined) return;
    this.#map = undefined;
    map.vpe.vm.vlpiUnmapped(this, this.#node);
    this.device.vlpiUnmapped();
  }

  #discard(): void {
    const { id } = this.device;
    this.#node.post((to) => encode.event(to, OPCODE.DISCARD, id, this.event), (to) => encode.sync(to, this.#node.target(this.#cpu)));
  }

  #configure(clear: number, set: number): void {
    if (!this.#live) return;
    const map = this.#map;
    if (map === undefined) {
      this.#driver.writeProperty(this.lpi, (this.#driver.property(this.lpi) & ~clear) | set | LPI_GROUP1);
      this.#invalidate();
      return;
    }
    const properties = (map.properties & ~clear) | set | LPI_GROUP1;
    this.#setDoorbell((properties & LPI_ENABLED) !== 0);
    this.#map = { ...(this.#map ?? map), properties };
    map.vpe.vm.writeProperty(map.vintid, properties);
    this.#invalidate();
  }

  /** lpi_update_config()'s second half: INVLPIR where it works, else INV. */
  #invalidate(): void {
    const map = this.#map;
    if (map === undefined) {
      if (this.#driver.directInvalidation) this.#driver.invalidateLpi(this.#cpu, this.lpi);
      else this.#inv();
    } else if (this.#node.isV41) {
      map.vpe.invalidate(map.vintid);
    } else {
      this.#inv();
    }
  }

  #inv(): void {
    const { id } = this.device;
    this.#node.post((to) => encode.event(to, OPCODE.INV, id, this.event), this.#sync());
  }

  /** SYNC, or VSYNC while forwarded. */
  #sync(): (to: Uint32Array) => void {
    const map = this.#map;
    return map === undefined ? (to) => encode.sync(to, this.#node.target(this.#cpu)) : (to) => encode.vpe(to, OPCODE.VSYNC, map.vpe.vpeid);
  }
}
