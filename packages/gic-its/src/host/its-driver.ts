import { EBUSY, EINVAL, ENOMEM, type Host, type HostIrq, type MsiController, type Trace } from '@vsim/vfio-core';
import { encode, FIRST_LPI, GICD, GICR, type Gic } from '../hardware/index.ts';
import { DoorbellProxy } from './doorbell-proxy.ts';
import { REGISTER_STUCK } from './events.ts';
import { HostCpus } from './host-cpus.ts';
import { HostMemoryView } from './host-memory-view.ts';
import { ItsDevice } from './its-device.ts';
import { ItsIrq, LPI_DEFAULT_PRIORITY, LPI_GROUP1 } from './its-irq.ts';
import { ItsNode } from './its-node.ts';
import { ItsVm, ItsVpe, VPT_BYTES } from './its-vpe.ts';
import { LpiAllocator } from './lpi-allocator.ts';
import { driverProfile, type DriverProfile } from './driver-profile.ts';
import type { MigrationSwitches } from './switches.ts';

const PROPERTY_TABLE_BYTES = 0x1_0000;
const PENDING_TABLE_BYTES = 0x1_0000;
/** Priority 0xa0, disabled. */
const DEFAULT_PROPERTY: number = LPI_DEFAULT_PRIORITY | LPI_GROUP1;

const SHAREABLE = 0x400;
const CACHEABLE = 7 << 7;
const VALID = 0x8000_0000;

/** How often a status bit is looked at before the kernel gives up. */
const POLLS = 1000;

/** What may be left out of the host's GIC driver. */
export interface ItsDriverInit {
  /** Patches of the VLPI migration series to put in or take out. @default those of the host's kernel profile */
  readonly switches?: Partial<MigrationSwitches> | undefined;
}

/**
 * The host's GIC driver: property and pending tables, LPIs, MSIs of devices, and vPEs of VMs.
 *
 * Kernel: irq-gic-v3-its.c and irq-gic-v4.c. The kernel's page, id and number allocators are the host's; a failure unwinds.
 * Modelled: probing of tables and of coherence, one collection a CPU, devices with their ITTs, the least loaded CPU for a new LPI,
 * ITSLists, the proxy device for doorbells, CPU hotplug. Not modelled: suspend, kexec, quirks.
 *
 * @example
 * ```ts
 * import { Host } from '@vsim/vfio-core';
 * import { Gic, ItsDriver } from '@vsim/gic-its';
 *
 * const host = new Host();
 * const driver = new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 2 }));
 * const [irq] = driver.allocate(0x100, 1, false); // an LPI of DeviceID 0x100
 * irq?.setHandler(() => { console.log('taken'); }); // taken
 * host.memory.write32(irq?.message.address ?? 0, irq?.message.data ?? 0, 0x100);
 * ```
 */
export class ItsDriver implements MsiController {
  /** The hardware that it drives. */
  readonly gic: Gic;
  /** The host's trace, with events `gic-host/*`. */
  readonly trace: Trace;
  /** The host's CPUs, as far as interrupts go. */
  readonly cpus: HostCpus;
  /** The CPUs' view of RAM, with its caches where the GIC does not snoop. */
  readonly view: HostMemoryView;
  /** What the host's kernel does otherwise than others. */
  readonly profile: DriverProfile;
  /** Which changes of the VLPI migration series are there: the profile's, with those of ItsDriverInit over them. */
  readonly switches: MigrationSwitches;
  /** In the order in which they were probed. */
  readonly nodes: readonly ItsNode[];
  /** Those with VLPIs, the last one probed first: its_probe_one() puts each at the head of its_nodes. */
  readonly v4Nodes: readonly ItsNode[];
  /** A device raises only what its DeviceID is mapped to: IRQ_DOMAIN_FLAG_ISOLATED_MSI. */
  readonly isolated: boolean = true;
  /** Name of the interrupt chip in /proc/interrupts. */
  readonly chip: string = 'ITS';
  /** ITS_MSI_FLAGS_SUPPORTED has no MSI_FLAG_PCI_MSIX_ALLOC_DYN. */
  readonly allocatesLater: boolean = false;
  /** The host whose kernel it is in. */
  readonly host: Host;
  readonly #properties: number;
  readonly #lpis: LpiAllocator;
  readonly #devices = new Map<string, ItsDevice>();
  readonly #load: number[];
  readonly #vpes = new Set<ItsVpe>();
  readonly #vpeids: LpiAllocator = new LpiAllocator(0, 0x1_0000);
  /** By what doorbells are commanded on a GICv4.0 without direct access to LPIs; undefined where INVLPIR can be used, or without GICv4. */
  readonly proxy: DoorbellProxy | undefined;
  #nextIrq = 64;
  #vmovpSequence = 0;

  /**
   * Probes the GIC: gives it tables, enables LPIs on every CPU, and maps a collection for each.
   *
   * @throws RangeError when the host's memory does not hold the tables
   */
  constructor(host: Host, gic: Gic, init: ItsDriverInit = {}) {
    if (gic.memory !== host.memory.ram) throw new TypeError('"gic" expected a Gic that was made with the same host, got one of another');
    this.host = host;
    this.gic = gic;
    this.trace = host.trace;
    this.profile = driverProfile(host.profile.name);
    this.switches = { ...this.profile.switches, ...init.switches };
    this.cpus = new HostCpus(host, gic, this.profile.resendsInProgress);
    this.view = new HostMemoryView(host, this.#probeCoherence());
    const typer = host.memory.read32(gic.distributorBase + GICD.TYPER);
    const bits = Math.min(((typer >>> 19) & 0x1f) + 1, 16);
    const counted = (typer >>> 11) & 0x1f;
    const most = 2 ** bits - FIRST_LPI;
    this.#lpis = new LpiAllocator(FIRST_LPI, counted === 0 ? most : Math.min(2 ** (counted + 1), most));
    this.#properties = this.#table(PROPERTY_TABLE_BYTES, DEFAULT_PROPERTY);
    this.#load = gic.redistributors.map(() => 0);
    for (let cpu = 0; cpu < this.cpus.count; cpu += 1) this.#enableLpis(cpu, bits);
    const nodes: ItsNode[] = [];
    for (const its of gic.its) nodes.push(new ItsNode(host, this.cpus, this.view, its, gic.redistributorBase, nodes.findLast(({ vpeTable }) => vpeTable !== undefined)));
    this.nodes = nodes;
    this.v4Nodes = nodes.filter(({ isV4 }) => isV4).reverse();
    for (let cpu = 0; cpu < this.cpus.count; cpu += 1) this.#bringUp(cpu);
    this.proxy = this.gicv4 && !this.directInvalidation ? this.#makeProxy() : undefined;
  }

  /** Redistributors and ITSs have GICv4.1's vPE tables. */
  get gicv41(): boolean {
    return this.gic.version === 'gicv4.1';
  }

  /** Whether VLPIs can be used at all. */
  get gicv4(): boolean {
    return this.v4Nodes.length > 0;
  }

  /** GICR_INVLPIR can be used in place of INV: GICR_TYPER.DirectLPI, GICR_CTLR.IR, or GICv4.1. */
  get directInvalidation(): boolean {
    return this.gicv41 || (this.readRedistributor(0, GICR.CTLR) & 4) !== 0 || (this.readRedistributor(0, GICR.TYPER) & 8) !== 0;
  }

  /** GICv4.0 with several ITSs, each of which has to be told of a move. */
  get usesItsList(): boolean {
    return this.v4Nodes.some(({ movesForAll }) => !movesForAll);
  }

  /** Whether a VM's vPEs are mapped on an ITS only while a device behind it has VLPIs of that VM. */
  get mapsLazily(): boolean {
    return this.usesItsList && !this.gicv41;
  }

  /** The sequence number of the next VMOVP with a list: 16 bits, counted up. */
  nextVmovp(): number {
    const sequence = this.#vmovpSequence;
    this.#vmovpSequence = (sequence + 1) & 0xffff;
    return sequence;
  }

  /** How many LPIs neither a device nor a doorbell has. */
  get freeLpis(): number {
    return this.#lpis.free;
  }

  // MSIs

  /**
   * Gives a device behind the first ITS interrupts, each mapped to an LPI on the least loaded CPU that is online. Kernel:
   * its_irq_domain_alloc()
   *
   * @param requester its DeviceID, 16 bits
   * @param count how many are wanted
   * @param contiguous EventIDs are consecutive, from a multiple of `count` rounded up to a power of two, as multi-message MSI needs them
   * @returns what there was: fewer than `count`, or none, when LPIs, events or memory run out
   */
  allocate(requester: number, count: number, contiguous: boolean): readonly ItsIrq[] {
    return this.allocateOn(this.nodes[0]!, requester, count, contiguous);
  }

  /**
   * allocate() for a device behind a certain ITS.
   *
   * @param requester its DeviceID, 16 bits
   * @param count how many are wanted
   * @param contiguous EventIDs are consecutive, as multi-message MSI needs them
   * @returns fewer than `count`, or none, when LPIs, events or memory run out
   */
  allocateOn(node: ItsNode, requester: number, count: number, contiguous: boolean): readonly ItsIrq[] {
    const device = this.#device(node, requester, count);
    if (device === undefined) return [];
    const irqs: ItsIrq[] = [];
    for (const event of freeEvents(device, count, contiguous)) {
      const cpu = this.#leastLoaded();
      this.#load[cpu]! += 1;
      const irq = new ItsIrq(this, device, event, this.#nextIrq, cpu);
      this.#nextIrq += 1;
      device.events[event] = irq;
      irq.mapPhysical();
      irqs.push(irq);
    }
    return irqs;
  }

  /**
   * Takes interrupts back: each is masked and its event discarded; without events left the device goes, on kernels before 6.16.
   *
   * @param irqs of allocate(); what is released already, or of another controller, is left alone
   * @param _requester the DeviceID, which the interrupts know
   */
  release(_requester: number, irqs: readonly HostIrq[]): void {
    for (const irq of irqs) {
      if (!(irq instanceof ItsIrq)) continue;
      const { device } = irq;
      if (device.events[irq.event] !== irq) continue;
      irq.setHandler(undefined);
      irq.unmapPhysical();
      this.#load[irq.cpu]! -= 1;
      device.events[irq.event] = undefined;
      if (!device.inUse && !this.profile.keepsItt) this.#removeDevice(device);
    }
  }

  // VMs

  /**
   * its_alloc_vcpu_irqs(): `count` vPEs with a doorbell, an id and a VPT each, and one property table.
   *
   * @returns -ENOMEM when memory, ids or LPIs run out
   */
  createVm(count: number): ItsVm | number {
    const block = 2 ** Math.ceil(Math.log2(Math.max(count, 1)));
    const doorbells = this.#lpis.allocate(block);
    if (doorbells === undefined) return -ENOMEM;
    const properties = this.view.allocateTable(PROPERTY_TABLE_BYTES, DEFAULT_PROPERTY);
    const vpts: number[] = [];
    const ids: number[] = [];
    for (let n = 0; n < count && properties !== undefined; n += 1) {
      const vpt = this.view.allocateTable(VPT_BYTES, 0);
      if (vpt === undefined) break;
      vpts.push(vpt);
      const id = this.#vpeids.allocate(1);
      if (id === undefined) break;
      if (this.v4Nodes.some((node) => node.provideVpe(id) < 0)) {
        this.#vpeids.release(id, 1);
        break;
      }
      ids.push(id);
    }
    if (properties === undefined || ids.length < count) {
      for (const vpt of vpts) this.view.freeTable(vpt);
      for (const id of ids) this.#vpeids.release(id, 1);
      if (properties !== undefined) this.view.freeTable(properties);
      this.#lpis.release(doorbells, block);
      return -ENOMEM;
    }
    // The numbers that rounding up took are not used by anybody.
    if (block > count) this.#lpis.release(doorbells + count, block - count);
    const made = new ItsVm(this, properties, (vm) => ids.map((id, n) => new ItsVpe(this, vm, id, doorbells + n, vpts[n]!)));
    for (const vpe of made.vpes) this.#vpes.add(vpe);
    return made;
  }

  /** Frees the VPT, the vPEID and the doorbell of a vPE. @internal */
  releaseVpe(vpe: ItsVpe): void {
    this.#vpes.delete(vpe);
    this.proxy?.forget(vpe);
    this.view.freeTable(vpe.vptAddress);
    this.#vpeids.release(vpe.vpeid, 1);
    this.#lpis.release(vpe.doorbell, 1);
  }

  // CPU hotplug

  /**
   * A CPU is switched off: interrupts and doorbells that it takes go to others, those that are forwarded stay. Kernel:
   * irq_migrate_all_off_this_cpu()
   *
   * @param cpu any number
   * @returns 0; -EINVAL for one that is not online; -EBUSY for the last one, or while it runs a vCPU, whose thread would have to move first
   */
  offlineCpu(cpu: number): number {
    const { cpus } = this;
    if (!cpus.isOnline(cpu)) return -EINVAL;
    const first = this.#load.findIndex((_, other) => other !== cpu && cpus.isOnline(other));
    if (first < 0 || cpus.guests[cpu] !== undefined) return -EBUSY;
    cpus.setOnline(cpu, false);
    for (const { events } of this.#devices.values()) {
      for (const irq of events) if (irq?.cpu === cpu) irq.leaveCpu(this.#leastLoaded());
    }
    for (const vpe of this.#vpes) if (vpe.cpu === cpu) vpe.leaveCpu(first);
    return 0;
  }

  /**
   * A CPU comes back: its collection is mapped anew, its redistributor is as it was. Kernel: its_cpu_init().
   *
   * @param cpu any number
   * @returns 0; -EINVAL for one that is not offline
   */
  onlineCpu(cpu: number): number {
    if (!(cpu >= 0 && cpu < this.cpus.count) || this.cpus.isOnline(cpu)) return -EINVAL;
    this.cpus.setOnline(cpu, true);
    this.#mapCollection(cpu);
    return 0;
  }

  /** The CPU that is online and has the fewest LPIs. Kernel: cpumask_pick_least_loaded() */
  #leastLoaded(): number {
    let best = -1;
    this.#load.forEach((load, cpu) => {
      if (this.cpus.isOnline(cpu) && (best < 0 || load < this.#load[best]!)) best = cpu;
    });
    return best;
  }

  /**
   * An LPI has another CPU.
   *
   * @internal
   * @param from the old CPU
   * @param to the new CPU
   */
  loadMoved(from: number, to: number): void {
    this.#load[from]! -= 1;
    this.#load[to]! += 1;
  }

  // Shared with ItsIrq and ItsVpe

  /** The configuration byte of a physical LPI, as the CPUs see it. @param lpi 8192 or more */
  property(lpi: number): number {
    return this.view.memory.read8(this.#properties + lpi - FIRST_LPI);
  }

  /**
   * Writes the configuration byte of a physical LPI; the GIC sees it after an invalidation.
   *
   * @param lpi 8192 or more
   * @param value 8 bits: LPI_ENABLED, LPI_GROUP1, priority in [7:2]
   */
  writeProperty(lpi: number, value: number): void {
    const address = this.#properties + lpi - FIRST_LPI;
    this.view.memory.write8(address, value);
    this.view.clean(address, 1);
  }

  /** GICR_INVLPIR for a physical LPI, and waits for it. @param cpu below HostCpus.count @param lpi 8192 or more */
  invalidateLpi(cpu: number, lpi: number): void {
    this.writeRedistributor(cpu, GICR.INVLPIR, lpi, 0);
    this.waitForSyncr(cpu);
  }

  /**
   * GICR_CLRLPIR, and waits for it. A redistributor without DirectLPI ignores it.
   *
   * @param cpu below HostCpus.count
   * @param lpi 8192 or more
   */
  clearLpi(cpu: number, lpi: number): void {
    this.writeRedistributor(cpu, GICR.CLRLPIR, lpi, 0);
    this.waitForSyncr(cpu);
  }

  /** Reads GICR_SYNCR until an invalidation through the registers of a redistributor is complete. @param cpu below HostCpus.count */
  waitForSyncr(cpu: number): void {
    this.poll(cpu, GICR.SYNCR, 1, 'SYNCR.Busy');
  }

  /**
   * Reads a redistributor's register until a bit is 0, 1000 times at most.
   *
   * @param cpu below HostCpus.count
   * @param offset bytes from the RD frame
   * @param bit a mask of 32 bits
   * @param what register and bit, for the event
   * @returns what was read then; undefined, with the event `gic-host/register-stuck`, when it takes too long
   */
  poll(cpu: number, offset: number, bit: number, what: string): number | undefined {
    for (let tries = 0; tries < POLLS; tries += 1) {
      const value = this.readRedistributor(cpu, offset);
      if ((value & bit) === 0) return value;
    }
    if (this.trace.on) this.trace.emit(REGISTER_STUCK, { cpu, what });
    return undefined;
  }

  /**
   * An 8-byte store to a redistributor, with interrupts off.
   *
   * @param cpu below HostCpus.count
   * @param offset bytes from the RD frame, GICR
   * @param lo bits [31:0]
   * @param hi bits [63:32]
   */
  writeRedistributor(cpu: number, offset: number, lo: number, hi: number): void {
    this.cpus.withoutInterrupts(() => this.host.memory.write64(this.gic.redistributorBase[cpu]! + offset, lo, hi));
  }

  /**
   * A 4-byte store to a redistributor, with interrupts off.
   *
   * @param cpu below HostCpus.count
   * @param offset bytes from the RD frame, GICR
   * @param value 32 bits
   */
  writeRedistributor32(cpu: number, offset: number, value: number): void {
    this.cpus.withoutInterrupts(() => this.host.memory.write32(this.gic.redistributorBase[cpu]! + offset, value));
  }

  /** A 4-byte load from a redistributor. @param cpu below HostCpus.count @param offset bytes from the RD frame, GICR */
  readRedistributor(cpu: number, offset: number): number {
    return this.host.memory.read32(this.gic.redistributorBase[cpu]! + offset);
  }

  // Probing

  /** Shareability that does not read back as it was written says that the redistributors do not snoop. */
  #probeCoherence(): boolean {
    const register = this.gic.redistributorBase[0]! + GICR.PROPBASER;
    this.host.memory.write64(register, SHAREABLE, 0);
    return (this.host.memory.read32(register) & 0xc00) !== 0;
  }

  #enableLpis(cpu: number, bits: number): void {
    const pending = this.#table(PENDING_TABLE_BYTES, 0);
    const attributes = SHAREABLE + CACHEABLE;
    const properties = this.#properties;
    this.writeRedistributor(cpu, GICR.PROPBASER, (properties % 0x1_0000_0000) + attributes + bits - 1, Math.floor(properties / 0x1_0000_0000));
    this.writeRedistributor(cpu, GICR.PENDBASER, (pending % 0x1_0000_0000) + attributes, Math.floor(pending / 0x1_0000_0000));
    this.host.memory.write32(this.gic.redistributorBase[cpu]! + GICR.WAKER, 0);
    this.host.memory.write32(this.gic.redistributorBase[cpu]! + GICR.CTLR, 1);
  }

  /** A device with the largest DeviceID, with an event for each CPU. */
  #makeProxy(): DoorbellProxy {
    const node = this.v4Nodes[0]!;
    const id = 0xffff;
    const device = this.#device(node, id, this.cpus.count);
    if (device === undefined) throw new RangeError('"host" expected RAM for the doorbells\' device, got none');
    return new DoorbellProxy(node, id, 2 ** Math.ceil(Math.log2(this.cpus.count)));
  }

  /** What a CPU needs on each ITS, and its redistributor's vPE table. */
  #bringUp(cpu: number): void {
    this.#mapCollection(cpu);
    if (this.gicv41) this.#inheritVpeTable(cpu);
    // GICv4.0 drops VLPIs of a redistributor whose VPROPBASER says that there are none.
    else if (this.gicv4) this.writeRedistributor(cpu, GICR.VPROPBASER, 15, 0);
  }

  /** its_cpu_init_collections(). */
  #mapCollection(cpu: number): void {
    for (const node of [...this.nodes].reverse()) {
      node.post((to) => encode.mapc(to, cpu, node.target(cpu), true), (to) => encode.sync(to, node.target(cpu)));
      node.post((to) => encode.invall(to, cpu), (to) => encode.sync(to, node.target(cpu)));
    }
  }

  /** The redistributors share the vPE table of the first ITS: GITS_TYPER.SVPET says so. */
  #inheritVpeTable(cpu: number): void {
    const table = this.v4Nodes[0]?.vpeTable;
    if (table === undefined) return;
    const pages = table.lo & 0xff;
    const indirect = (table.hi & 0x4000_0000) === 0 ? 0 : 0x0080_0000;
    const page64K = 2 << 21;
    const address = table.lo & 0xffff_0000;
    const innerCache = (table.hi >>> 20) & 0x380;
    this.writeRedistributor(cpu, GICR.VPROPBASER, (address | (table.lo & 0xc00) | innerCache | pages) >>> 0, (VALID | page64K | indirect | (table.hi & 0xffff)) >>> 0);
  }

  #table(bytes: number, byte: number): number {
    const address = this.view.allocateTable(bytes, byte);
    if (address === undefined) throw new RangeError(`"host" expected ${bytes} bytes of RAM for LPI tables, got none`);
    return address;
  }

  // Devices

  #device(node: ItsNode, id: number, count: number): ItsDevice | undefined {
    const key = `${node.index}:${id}`;
    const known = this.#devices.get(key);
    if (known !== undefined && (known.inUse || known.events.length >= count)) return known;
    if (known !== undefined) this.#removeDevice(known);
    if (node.provideDevice(id) < 0) return undefined;
    const wanted = 2 ** Math.ceil(Math.log2(Math.max(count, 1)));
    const ites = Math.max(2, wanted);
    const ittBytes = Math.max(4096, 2 ** Math.ceil(Math.log2(ites * 12)));
    const lpis = this.#lpis.allocateUpTo(wanted);
    if (lpis === undefined) return undefined;
    const itt = this.view.allocateTable(ittBytes, 0);
    if (itt === undefined) {
      this.#lpis.release(lpis.base, lpis.count);
      return undefined;
    }
    const device = new ItsDevice(node, id, itt, ittBytes, Math.log2(ites), lpis.base, lpis.count);
    this.#devices.set(key, device);
    this.#mapd(device, true);
    return device;
  }

  /** its_send_mapd(): unmapping it names the ITT as well. */
  #mapd({ node, id, eventBits, ittAddress }: ItsDevice, valid: boolean): void {
    node.post((to) => encode.mapd(to, id, eventBits - 1, ittAddress, valid));
  }

  #removeDevice(device: ItsDevice): void {
    this.#mapd(device, false);
    this.#lpis.release(device.lpiBase, device.events.length);
    this.view.freeTable(device.ittAddress);
    this.#devices.delete(`${device.node.index}:${device.id}`);
  }
}

/** Up to `count` free EventIDs, consecutive and from a multiple of the rounded count when `contiguous`. */
function freeEvents(device: ItsDevice, count: number, contiguous: boolean): readonly number[] {
  const free: number[] = [];
  device.events.forEach((irq, event) => {
    if (irq === undefined) free.push(event);
  });
  if (!contiguous) return free.slice(0, count);
  for (const start of free) {
    if (start % 2 ** Math.ceil(Math.log2(Math.max(count, 1))) !== 0) continue;
    const run = Array.from({ length: count }, (_, i) => start + i);
    if (run.every((event) => free.includes(event))) return run;
  }
  return free.length === 0 ? [] : [free[0]!];
}
