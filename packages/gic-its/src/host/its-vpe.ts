/**
 * Virtual PEs of a VM as the host's GIC driver holds them: tables, mapping, residency and doorbells.
 *
 * Kernel: struct its_vm and struct its_vpe, its_vpe_irq_domain_*(), its_vpe_4_1_*() of irq-gic-v3-its.c, and irq-gic-v4.c.
 * Modelled: eager mapping on every ITS with VLPIs, lazy mapping with ITSLists; GICv4.0 residency with individual doorbells, through a
 * proxy device where redistributors give no direct access; GICv4.1 residency with default doorbells; Dirty is waited for.
 */
import { EINVAL } from '@vsim/vfio-core';
import { encode, GICR, OPCODE } from '../hardware/index.ts';
import { DOORBELL, VLPI_LEFT, VPT_FLUSHED, VPT_READ_MAPPED } from './events.ts';
import { LPI_DEFAULT_PRIORITY, LPI_ENABLED, LPI_GROUP1, type ItsIrq } from './its-irq.ts';
import { IrqDescriptor } from './irq-descriptor.ts';
import type { ItsDriver } from './its-driver.ts';
import type { ItsNode } from './its-node.ts';
import { ItsVsgis } from './its-vsgi.ts';

/** VPTs and property tables are for 16 INTID bits. */
export const VPT_BYTES = 0x1_0000;
const ID_BITS = 15;
const FIRST_LPI = 8192;

// High halves of GICR_VPENDBASER.
const VALID = 0x8000_0000;
const DOORBELL_REQUEST = 0x4000_0000; // GICv4.1
const IDAI = 0x4000_0000; //             GICv4.0
const PENDING_LAST = 0x2000_0000;
const DIRTY = 0x1000_0000;
const VGRP1EN = 0x0400_0000;
const VGRP0EN = 0x0800_0000;
// Low halves, GICv4.0: normal memory, inner shareable, write-back.
const VPROP_ATTRIBUTES = 0x580; // read-allocate
const VPEND_ATTRIBUTES = 0x780; // read- and write-allocate

/** The vPEs of one VM and their property table. Kernel: struct its_vm. */
export class ItsVm {
  /** One for each vCPU, in the order of their indices. */
  readonly vpes: readonly ItsVpe[];
  readonly #driver: ItsDriver;
  /** Physical address of the VM's virtual configuration table. */
  readonly propertyTable: number;
  readonly #forwarded = new Set<ItsIrq>();
  #freed = false;
  /** VLPIs of this VM behind each ITS. Kernel: vlpi_count[]. */
  readonly #vlpis = new Map<ItsNode, number>();

  /** Made by ItsDriver.createVm(). @internal @param propertyTable physical address, 64 KiB aligned */
  constructor(driver: ItsDriver, propertyTable: number, make: (vm: ItsVm) => readonly ItsVpe[]) {
    this.#driver = driver;
    this.propertyTable = propertyTable;
    this.vpes = make(this);
  }

  /**
   * Writes a VLPI's configuration byte. The GIC sees it after an invalidation.
   *
   * @param vintid 8192 or more
   * @param value 8 bits: LPI_ENABLED, LPI_GROUP1, priority in [7:2]
   */
  writeProperty(vintid: number, value: number): void {
    const address = this.propertyTable + vintid - FIRST_LPI;
    this.#driver.view.memory.write8(address, value);
    this.#driver.view.clean(address, 1);
  }

  /** ITSs that have VLPIs of this VM. */
  hasVlpis(node: ItsNode): boolean {
    return (this.#vlpis.get(node) ?? 0) > 0;
  }

  /** The first VLPI behind an ITS maps all vPEs there, if they are mapped lazily. Kernel: its_map_vm(). */
  vlpiMapped(irq: ItsIrq, node: ItsNode): void {
    this.#forwarded.add(irq);
    const count = this.#vlpis.get(node) ?? 0;
    this.#vlpis.set(node, count + 1);
    if (count === 0 && this.#driver.mapsLazily) for (const vpe of this.vpes) vpe.mapOn(node);
  }

  /** The last one gone unmaps them. Kernel: its_unmap_vm(). */
  vlpiUnmapped(irq: ItsIrq, node: ItsNode): void {
    this.#forwarded.delete(irq);
    const count = (this.#vlpis.get(node) ?? 0) - 1;
    this.#vlpis.set(node, count);
    if (count === 0 && this.#driver.mapsLazily) for (const vpe of this.vpes) vpe.unmapOn(node);
  }

  /** Its vPEs and tables are gone. */
  get freed(): boolean {
    return this.#freed;
  }

  /** Frees every doorbell, id and table. No interrupt stays forwarded to what another VM may be given. Kernel: its_free_vcpu_irqs(). */
  free(): void {
    if (this.#freed) return;
    const { trace } = this.#driver;
    for (const irq of [...this.#forwarded]) {
      if (trace.on) trace.emit(VLPI_LEFT, { device: irq.device.id, event: irq.event, vintid: irq.getVlpi()?.vintid ?? 0 });
      irq.unmapVlpi();
    }
    this.#freed = true;
    for (const vpe of this.vpes) vpe.free();
    this.#driver.view.freeTable(this.propertyTable);
  }
}

/** One vPE. Kernel: struct its_vpe. */
export class ItsVpe {
  /** The VM that it is of. */
  readonly vm: ItsVm;
  /** Its number in commands and in the vPE table, 16 bits. */
  readonly vpeid: number;
  /** The LPI that says that something is pending while the vPE is not resident. */
  readonly doorbell: number;
  /** Physical address of the virtual pending table. */
  readonly vptAddress: number;
  /** Something enabled was pending when the vPE was last descheduled, or the doorbell rang since. */
  pendingLast = false;
  /** Told when the doorbell rings. */
  onDoorbell: (() => void) | undefined;
  /** GICv4.1: its SGIs, delivered by the GIC. */
  readonly sgis: ItsVsgis;
  readonly #driver: ItsDriver;
  #cpu = 0;
  #resident = false;
  /** ITSs that map the vPE. */
  readonly #mappedOn = new Set<ItsNode>();
  #requested = false;
  /** The doorbell as an interrupt of the host. */
  readonly #line = new IrqDescriptor();
  /** Nobody knows what an implementation keeps of a VPT that it has not seen. */
  #idai = true;

  /**
   * Made by ItsDriver.createVm().
   *
   * @internal
   * @param vpeid 16 bits
   * @param doorbell an LPI
   * @param vptAddress physical, 64 KiB aligned
   */
  constructor(driver: ItsDriver, vm: ItsVm, vpeid: number, doorbell: number, vptAddress: number) {
    this.#driver = driver;
    this.vm = vm;
    this.vpeid = vpeid;
    this.doorbell = doorbell;
    this.vptAddress = vptAddress;
    this.sgis = new ItsVsgis(driver, this);
  }

  /** The redistributor to which the vPE is mapped. Kernel: col_idx. */
  get cpu(): number {
    return this.#cpu;
  }

  /** Whether a redistributor delivers its VLPIs now: GICR_VPENDBASER.Valid is 1. */
  get resident(): boolean {
    return this.#resident;
  }

  /** Whether some ITS maps it: a VMAPP with V=1 has been posted. */
  get mapped(): boolean {
    return this.#mappedOn.size > 0;
  }

  /** How many ITSs map it. Kernel: vmapp_count. */
  get mappings(): number {
    return this.#mappedOn.size;
  }

  /** request_irq() of the doorbell: the vPE is mapped everywhere, then the doorbell enabled. */
  requestDoorbell(): void {
    if (this.#requested) return;
    this.#requested = true;
    this.#driver.cpus.setHandler(this.doorbell, () => this.#rang());
    if (!this.#driver.mapsLazily) this.#map();
    // GICv4.0: when the vPE blocks.
    if (this.#driver.gicv41 && this.#line.enable()) this.#setDoorbellEnabled(true);
  }

  /** free_irq() of the doorbell: it is disabled, then the vPE unmapped everywhere. */
  freeDoorbell(): void {
    if (!this.#requested) return;
    this.#requested = false;
    if (this.#line.shutDown()) this.#setDoorbellEnabled(false);
    this.#driver.cpus.setHandler(this.doorbell, undefined);
    // Lazily mapped vPEs go with the last VLPI.
    if (!this.#driver.mapsLazily) this.#unmap();
  }

  /**
   * Its CPU goes: where the doorbell was ever enabled it has to follow an interrupt of the host. Kernel: migrate_one_irq()
   *
   * @internal
   * @param cpu where it goes: one that is online
   */
  leaveCpu(cpu: number): void {
    if (this.#line.started) this.setAffinity(cpu);
  }

  /**
   * its_vpe_set_affinity(): VMOVP if the CPU changes.
   *
   * @param cpu below HostCpus.count
   * @returns 0; -EINVAL while the vPE is not mapped, unless the next mapping will follow
   */
  setAffinity(cpu: number): number {
    if (this.#mappedOn.size === 0) {
      if (!this.#driver.mapsLazily || !this.#driver.profile.keepsVpeCpu) return -EINVAL;
      this.#cpu = cpu;
      return 0;
    }
    const from = this.#cpu;
    if (cpu === from) return 0;
    this.#cpu = cpu;
    this.#vmovp(cpu);
    if (!this.#driver.gicv41) this.#moveDoorbell(from);
    return 0;
  }

  /** To the first ITS; or with a list, to each ITS that has VLPIs of the VM, under one sequence number. */
  #vmovp(cpu: number): void {
    const { v4Nodes, gicv41, usesItsList } = this.#driver;
    const doorbell = gicv41 ? this.doorbell : undefined;
    const nodes = usesItsList ? v4Nodes.filter((node) => gicv41 || this.vm.hasVlpis(node)) : v4Nodes.slice(0, 1);
    const list = usesItsList ? nodes.reduce((bits, { index }) => bits | (1 << index), 0) : 0;
    const sequence = usesItsList ? this.#driver.nextVmovp() : 0;
    for (const node of nodes) {
      node.post(
        (to) => encode.vmovp(to, this.vpeid, node.target(cpu), sequence, list, doorbell),
        (to) => encode.vpe(to, OPCODE.VSYNC, this.vpeid),
      );
    }
  }

  /** GICv4.0: a doorbell that waits at the old redistributor is cleared, or moved with the proxy's event. */
  #moveDoorbell(from: number): void {
    const { proxy } = this.#driver;
    if (proxy !== undefined) proxy.move(this, from);
    else this.#driver.clearLpi(from, this.doorbell);
  }

  /** its_make_vpe_resident(): on the CPU where the vPE is mapped. */
  makeResident(group0: boolean, group1: boolean): void {
    if (this.#resident) return;
    this.#resident = true;
    if (this.#driver.gicv41) {
      const groups = (group0 ? VGRP0EN : 0) | (group1 ? VGRP1EN : 0);
      this.#vpendbaser(this.vpeid, (VALID | groups) >>> 0);
      this.#waitForDirty();
      return;
    }
    if (this.#line.disable()) this.#setDoorbellEnabled(false);
    const prop = this.vm.propertyTable;
    this.#driver.writeRedistributor(this.#cpu, GICR.VPROPBASER, (prop % 0x1_0000_0000) + VPROP_ATTRIBUTES + ID_BITS, Math.floor(prop / 0x1_0000_0000));
    const high = Math.floor(this.vptAddress / 0x1_0000_0000) + VALID + PENDING_LAST + (this.#idai ? IDAI : 0);
    this.#vpendbaser((this.vptAddress % 0x1_0000_0000) + VPEND_ATTRIBUTES, high);
    this.#waitForDirty();
    this.#clearDoorbell();
  }

  /** its_make_vpe_non_resident(). @param doorbell whether a doorbell is wanted from now on */
  makeNonResident(doorbell: boolean): void {
    if (!this.#resident) return;
    this.#resident = false;
    if (this.#driver.gicv41) {
      // A doorbell that rings meanwhile is taken after this: it must not be overwritten.
      this.#driver.cpus.withoutInterrupts(() => {
        const high = doorbell ? this.#deschedule(PENDING_LAST, DOORBELL_REQUEST) : this.#deschedule(0, PENDING_LAST);
        this.pendingLast = !doorbell || (high & PENDING_LAST) !== 0;
      });
      return;
    }
    // A doorbell that waits at the redistributor rings as soon as it is enabled, and its handler disables it.
    while (doorbell && this.#line.enable()) this.#setDoorbellEnabled(true);
    const high = this.#deschedule(0, 0);
    this.pendingLast = (high & PENDING_LAST) !== 0;
    this.#idai = (high & IDAI) !== 0;
  }

  /** its_clear_vpend_valid(). @returns the high half of VPENDBASER after it */
  #deschedule(clear: number, set: number): number {
    const high = this.#waitForDirty();
    const low = this.#driver.readRedistributor(this.#cpu, GICR.VPENDBASER);
    this.#vpendbaser(low, ((high & ~VALID & ~clear) | set) >>> 0);
    return this.#waitForDirty();
  }

  /** The redistributor reads the configuration of one VLPI again: GICR_INVLPIR of GICv4.1. @param vintid 8192 or more */
  invalidate(vintid: number): void {
    this.#driver.writeRedistributor(this.#cpu, GICR.INVLPIR, vintid, (VALID | this.vpeid) >>> 0);
    this.#driver.waitForSyncr(this.#cpu);
  }

  /** Configuration of all VLPIs is read again. */
  invalidateAll(): void {
    if (this.#driver.gicv41) {
      this.#driver.writeRedistributor(this.#cpu, GICR.INVALLR, 0, (VALID | this.vpeid) >>> 0);
      this.#driver.waitForSyncr(this.#cpu);
      return;
    }
    // Any ITS that maps the vPE will do.
    for (const node of this.#mappedOn) {
      this.#post([node], OPCODE.VINVALL);
      return;
    }
  }

  /**
   * The pending bit of a VLPI, as the CPU sees the VPT. Only meaningful while the vPE is mapped nowhere, on GICv4.1. Kernel:
   * vgic_v4_get_vlpi_state().
   *
   * @param vintid below 65536
   */
  peek(vintid: number): boolean {
    const { trace } = this.#driver;
    if (this.mapped && trace.on) trace.emit(VPT_READ_MAPPED, { vpe: this.vpeid });
    return (this.#driver.view.memory.read8(this.vptAddress + (vintid >>> 3)) & (1 << (vintid & 7))) !== 0;
  }

  /** Deschedules and unmaps it, and gives everything back to the driver. @internal */
  free(): void {
    if (this.#resident) this.makeNonResident(false);
    this.freeDoorbell();
    this.#driver.releaseVpe(this);
  }

  #rang(): void {
    const { trace } = this.#driver;
    if (trace.on) trace.emit(DOORBELL, { vpe: this.vpeid });
    if (!this.#driver.gicv41 && !this.#line.disabled && this.#line.disable()) this.#setDoorbellEnabled(false);
    this.pendingLast = true;
    this.onDoorbell?.();
  }

  #map(): void {
    this.#cpu = 0;
    for (const node of this.#driver.v4Nodes) this.#mapOn(node);
  }

  /** Lazy mapping: VMAPP on one ITS, where the vPE's first VLPI is. @internal */
  mapOn(node: ItsNode): void {
    if (this.#mappedOn.size === 0 && !this.#driver.profile.keepsVpeCpu) this.#cpu = 0;
    this.#mapOn(node);
  }

  /** Lazy mapping: VMAPP with V=0 on one ITS, where its last VLPI was. @internal */
  unmapOn(node: ItsNode): void {
    this.#unmapOn(node);
  }

  #mapOn(node: ItsNode): void {
    const alloc = this.#mappedOn.size === 0;
    this.#mappedOn.add(node);
    node.post((to) => this.#vmapp(node, to, true, alloc), (to) => encode.vpe(to, OPCODE.VSYNC, this.vpeid));
    this.#post([node], OPCODE.VINVALL);
  }

  #unmapOn(node: ItsNode): void {
    this.#mappedOn.delete(node);
    const alloc = this.#mappedOn.size === 0;
    // VMAPP V=0 of GICv4.1 synchronises itself; a VSYNC names a vPE that is not mapped.
    if (this.#driver.gicv41 && !this.#driver.profile.syncsUnmappedVpe) node.post((to) => this.#vmapp(node, to, false, alloc));
    else node.post((to) => this.#vmapp(node, to, false, alloc), (to) => encode.vpe(to, OPCODE.VSYNC, this.vpeid));
  }

  #unmap(): void {
    const { gicv41, view, trace, switches, v4Nodes } = this.#driver;
    for (const node of v4Nodes) this.#unmapOn(node);
    if (!gicv41 || !switches.flushVptOnUnmap) return;
    // The GIC has written the VPT back; lines that this CPU read before are stale.
    view.cleanInvalidate(this.vptAddress, VPT_BYTES);
    if (trace.on) trace.emit(VPT_FLUSHED, { vpe: this.vpeid, address: this.vptAddress });
  }

  #vmapp(node: ItsNode, to: Uint32Array, valid: boolean, alloc: boolean): void {
    const v41 = this.#driver.gicv41;
    encode.vmapp(to, {
      vpeid: this.vpeid,
      valid,
      rdbase: valid ? node.target(this.#cpu) : 0,
      vptAddress: valid ? this.vptAddress : 0,
      vptSize: valid ? ID_BITS : 0,
      alloc: v41 && alloc,
      ptz: v41 && valid && alloc && !this.#driver.switches.neverPtz,
      vconfAddress: v41 && valid ? this.vm.propertyTable : 0,
      defaultDoorbell: v41 && valid ? this.doorbell : 0,
    });
  }

  #post(nodes: ItsDriver['v4Nodes'], opcode: number): void {
    for (const node of nodes) {
      node.post((to) => encode.vpe(to, opcode, this.vpeid), (to) => encode.vpe(to, OPCODE.VSYNC, this.vpeid));
    }
  }

  #setDoorbellEnabled(enabled: boolean): void {
    this.#driver.writeProperty(this.doorbell, LPI_DEFAULT_PRIORITY | LPI_GROUP1 | (enabled ? LPI_ENABLED : 0));
    const { proxy } = this.#driver;
    if (this.#driver.gicv41) this.#post(this.#driver.v4Nodes.slice(0, 1), OPCODE.INVDB);
    else if (proxy !== undefined) proxy.invalidate(this);
    else this.#driver.invalidateLpi(this.#cpu, this.doorbell);
  }

  /** GICv4.0: a doorbell that is pending has nothing to say once the vPE runs. */
  #clearDoorbell(): void {
    const { proxy } = this.#driver;
    if (proxy !== undefined) proxy.setPending(this, false);
    else this.#driver.clearLpi(this.#cpu, this.doorbell);
  }

  #vpendbaser(lo: number, hi: number): void {
    this.#driver.writeRedistributor(this.#cpu, GICR.VPENDBASER, lo, hi);
  }

  /** @returns the high half of VPENDBASER; with PendingLast when Dirty does not clear, as the kernel assumes it */
  #waitForDirty(): number {
    return this.#driver.poll(this.#cpu, GICR.VPENDBASER + 4, DIRTY, 'VPENDBASER.Dirty') ?? PENDING_LAST;
  }
}
