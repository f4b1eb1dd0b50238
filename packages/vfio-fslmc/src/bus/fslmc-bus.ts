import {
  BAD_VALUE,
  Bus,
  constant,
  ENODEV,
  firstLine,
  parseUnsigned,
  type ArmIommu,
  assertSameHost,
  type Host,
  type MsiController,
  type Sleeps,
} from '@vsim/vfio-core';
import { OPEN_COMMANDS } from '../mc/command.ts';
import type { ManagementComplex } from '../mc/management-complex.ts';
import { FslMcAllocatorDriver } from './allocator-driver.ts';
import { listen, type Dprc } from './dprc.ts';
import { startFirmware, stopFirmware } from './firmware-check.ts';
import { DprcDriver } from './dprc-driver.ts';
import { FslMcDevice } from './fslmc-device.ts';
import type { IrqSpace } from './irq-pool.ts';
import { McIo, type ObjectDescriptor } from './mc-io.ts';
import { ObjectRegions, type McRange } from './object-regions.ts';

/** What the bus is made of: its MC, and what firmware says of the ways to it. */
export interface FslMcBusInit {
  /** The Management Complex whose root container the bus finds. */
  readonly mc: ManagementComplex;
  /** Behind which all objects are, with their ICID as stream id. Left out, there is no IOMMU. */
  readonly iommu?: ArmIommu | undefined;
  /** Whether the bus around the MC's node has `dma-ranges`: without, the kernel looks for no IOMMU, in silence. @default true */
  readonly dmaRanges?: boolean | undefined;
  /** The MSI domain; its requesters are isolation contexts. Left out, objects have no interrupts. */
  readonly msi?: MsiController | undefined;
  /** Which properties of the MC's node lead to it; `msi-map` alone is none for Linux 7.3. @default 'msi-parent' */
  readonly msiProperty?: 'msi-parent' | 'msi-map' | undefined;
  /** The `ranges` of the MC's node, for an MC whose API does not tell bases (before 6.3). @default none: an offset is an address */
  readonly ranges?: readonly McRange[] | undefined;
}

/** The first `reg` of the MC's node, as boards have it. */
const ROOT_PORTAL_SIZE = 0x40;

/** The fsl-mc bus: the root container that firmware describes, and what scans find below it. Kernel: fsl-mc-bus.c. */
export class FslMcBus extends Bus<FslMcDevice> {
  /** The Management Complex behind it. */
  readonly mc: ManagementComplex;
  /** The MSI domain of its containers; undefined: there is none that the kernel finds, and objects have no interrupts. */
  readonly msi: MsiController | undefined;
  /** The kernel's driver of containers, which start() adds to the bus. */
  readonly dprcDriver: DprcDriver;
  /** What the pools of containers share. @internal */
  readonly irqSpace: IrqSpace = { used: new Map<number, number>(), warned: false };
  readonly #iommu: ArmIommu | undefined;
  readonly #dmaRanges: boolean;
  readonly #regions: ObjectRegions;
  readonly #portals = new Map<number, number>();
  /** The root's portal, which the bus has whether or not a driver has the root. */
  readonly #io: McIo;

  /** Adds `rescan` and `autorescan` to /sys/bus/fsl-mc; nothing is probed before start(). */
  constructor(host: Host, init: FslMcBusInit) {
    assertSameHost(host, init.mc, 'mc', 'a Management Complex', 'the fsl-mc bus');
    assertSameHost(host, init.msi, 'msi', 'an MSI controller', 'the fsl-mc bus');
    assertSameHost(host, init.iommu, 'iommu', init.iommu?.name ?? 'an IOMMU', 'the fsl-mc bus');
    super(host, 'fsl-mc');
    this.mc = init.mc;
    this.#io = new McIo(host, init.mc.baseOf('mc-portal'));
    this.msi = init.msiProperty === 'msi-map' && host.profile.fslmcIrqDomains ? undefined : init.msi;
    this.#iommu = init.iommu;
    this.#dmaRanges = init.dmaRanges ?? true;
    this.#regions = new ObjectRegions(this.#io.portal, init.ranges ?? []);
    this.dprcDriver = new DprcDriver(this);
    host.files.add(`${this.sysfs}/rescan`, { kind: 'attribute', mode: 0o200, store: (bytes) => this.#rescan(bytes) });
    host.files.add(`${this.sysfs}/autorescan`, {
      kind: 'attribute',
      mode: 0o644,
      show: () => constant(this.root === undefined ? '' : this.root.listening ? '1\n' : '0\n'),
      store: (bytes) => constant(this.#autorescan(bytes)),
    });
  }

  /** The root container, once probed. */
  get root(): FslMcDevice | undefined {
    return this.devices.find(({ parent }) => parent === undefined);
  }

  /**
   * fsl_mc_bus_probe(): the kernel's own drivers, and the root, with all that is in it.
   *
   * @returns 0; -EFAULT, -EPROBE_DEFER, -EOPNOTSUPP or -EINVAL for a firmware that cannot be used; what the MC answers
   */
  start(): Sleeps<number> {
    return this.host.scheduler.expectRun('bus.start()', this.#start());
  }

  *#start(): Sleeps<number> {
    yield* this.addDriver(this.dprcDriver);
    yield* this.addDriver(new FslMcAllocatorDriver());
    const booted = startFirmware(this.host, this.mc);
    const root = booted < 0 ? booted : this.#findRoot();
    if (typeof root === 'number') return root;
    this.takePortal(this.#io.portal, ROOT_PORTAL_SIZE);
    yield* this.add(root);
    return 0;
  }

  /** What the MC says of its root. @returns a negative errno where it does not */
  #findRoot(): FslMcDevice | number {
    const portal = this.mc.baseOf('mc-portal');
    const io = this.#io;
    const version = io.version();
    const id = version < 0 ? version : io.containerId();
    if (id < 0) return id;
    const api = io.apiVersion();
    if (typeof api === 'number') return api;
    const token = io.open('dprc', id);
    if (token < 0) return token;
    const icid = io.icid(token);
    io.close(token);
    if (icid < 0) return icid;
    const { root } = this.mc;
    const regions = root.regions.map(({ offset, size, flags }) => ({ start: portal + offset, size, flags }));
    const descriptor: ObjectDescriptor = {
      type: 'dprc',
      id,
      vendor: root.vendor,
      version: root.version,
      irqCount: 1,
      // Its portal is the bus's: a driver has no region.
      regionCount: 0,
      state: 2,
      label: '',
      flags: 0,
    };
    return new FslMcDevice(this.host, undefined, descriptor, regions, icid, `/sys/devices/platform/soc/${portal.toString(16)}.fsl-mc`);
  }

  /** fsl_mc_bus_shutdown(): the machine goes down, and the root with all that is in it. Where the probe failed there is nobody to be told. */
  *shutDown(): Sleeps<void> {
    const { root } = this;
    if (root === undefined) return;
    yield* this.removeObject(root);
    this.putPortal(this.#io.portal);
    stopFirmware(this.host, this.mc);
  }

  /**
   * fsl_mc_device_add() of an object of a container.
   *
   * @returns 0; -ENODEV for a type that the bus does not know; -EINVAL or -EFAULT for regions that it cannot have; what the MC answers
   */
  *addObject(dprc: Dprc, descriptor: ObjectDescriptor): Sleeps<number> {
    if (!OPEN_COMMANDS.has(descriptor.type)) return -ENODEV;
    const icid = descriptor.type === 'dprc' ? childIcid(dprc, descriptor) : dprc.device.icid;
    if (icid < 0) return icid;
    const regions = this.#regions.read(dprc, descriptor);
    if (typeof regions === 'number') return regions;
    const device = new FslMcDevice(this.host, dprc.device, descriptor, regions, icid);
    dprc.device.children.push(device);
    yield* this.add(device);
    return 0;
  }

  /** fsl_mc_device_remove(): the children of a container go with its driver. */
  *removeObject(device: FslMcDevice): Sleeps<void> {
    yield* this.remove(device);
    const siblings = device.parent?.children;
    const at = siblings?.indexOf(device) ?? -1;
    if (at >= 0) siblings?.splice(at, 1);
  }

  /** Who is behind the IOMMU: fsl_mc_dma_configure(). */
  override announce(device: FslMcDevice): void {
    if (this.#dmaRanges) this.#iommu?.addMaster(device, device.icid);
    super.announce(device);
  }

  /**
   * request_mem_region() of a portal.
   *
   * @param address physical
   * @param size bytes
   * @returns false if it is taken
   */
  takePortal(address: number, size: number): boolean {
    if (this.#portals.has(address)) return false;
    this.#portals.set(address, size);
    return true;
  }

  /** release_mem_region() of a portal. @param address physical */
  putPortal(address: number): void {
    this.#portals.delete(address);
  }

  /** Portals that bus and drivers hold, as /proc/iomem has them: sizes by address. */
  get portals(): ReadonlyMap<number, number> {
    return this.#portals;
  }

  *#rescan(bytes: Uint8Array): Sleeps<number> {
    const value = number(bytes);
    if (value === undefined) return this.host.refusals.refuse(BAD_VALUE, { attribute: 'rescan', text: firstLine(bytes), wants: 'a number' });
    if (value === 0n || this.root === undefined) return bytes.length;
    const { dprc, handle } = this.root;
    // scan_fsl_mc_bus() asks for no driver: without one it goes on with the handle of the closed session, which the MC refuses.
    if (dprc === undefined) this.#io.objectCount(handle);
    else yield* dprc.scan();
    return bytes.length;
  }

  /** autorescan_store(): what is no number changes nothing, and is taken; so is what the MC refuses. No driver is asked for here, either. */
  #autorescan(bytes: Uint8Array): number {
    const value = number(bytes);
    if (value !== undefined && this.root !== undefined) listen(this.root, this.#io, value !== 0n);
    return bytes.length;
  }
}

function childIcid({ io }: Dprc, { id }: ObjectDescriptor): number {
  const token = io.open('dprc', id);
  if (token < 0) return token;
  const icid = io.icid(token);
  io.close(token);
  return icid;
}

/** kstrtoul(), base 0. */
function number(bytes: Uint8Array): bigint | undefined {
  return parseUnsigned(new TextDecoder().decode(bytes), 64);
}
