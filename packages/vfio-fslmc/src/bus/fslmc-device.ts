import { createPowerFolder, Device, noRuntimePower, type Host } from '@vsim/vfio-core';
import type { Dprc } from './dprc.ts';
import type { ObjectDescriptor } from './mc-io.ts';

/** A region of an object in physical memory. Kernel: a resource of struct fsl_mc_device. */
export interface FslMcRegion {
  /** Physical address, in bytes. */
  readonly start: number;
  /** Bytes, as DPRC_GET_OBJ_REG says: 64 or 4096 before its version 3. */
  readonly size: number;
  /** REGION_CACHEABLE and REGION_SHAREABLE. */
  readonly flags: number;
}

/** Bit 0 of a region's flags, FSL_MC_REGION_CACHEABLE. */
export const REGION_CACHEABLE = 1;
/** Bit 1 of a region's flags, FSL_MC_REGION_SHAREABLE. Only a region that has both bits is mapped through the caches. */
export const REGION_SHAREABLE = 2;

/** A device of the fsl-mc bus: an object of the Management Complex as the kernel sees it. Kernel: struct fsl_mc_device. */
export class FslMcDevice extends Device {
  /** The container that it is in; undefined for the root. */
  readonly parent: FslMcDevice | undefined;
  /** What the MC said of the object when it was scanned. */
  readonly descriptor: ObjectDescriptor;
  /** By index, in physical memory; VFIO shows the first `descriptor.regionCount` of them. */
  readonly regions: readonly FslMcRegion[];
  /** Isolation context of its container, which its DMA and its messages carry: the stream id at the IOMMU. */
  readonly icid: number;
  /** Linux 7.3 gives an object none: its container has one, from when its interrupts are allocated. */
  override readonly hasMsiDomain: boolean;
  /** Devices of what a container has in it, in the order in which scans added them. */
  readonly children: FslMcDevice[] = [];
  /** Whether the object is plugged: the kernel's own drivers take no other. */
  plugged: boolean;
  /** A container that a driver has set up: its portal is open. */
  dprc: Dprc | undefined = undefined;
  /** The handle of a container's last session, which may be closed. Kernel: mc_handle. */
  handle = 0;
  /** Whether a container tells of objects that come and go. Kernel: irq_enabled of struct fsl_mc_bus. */
  listening = false;

  /**
   * @param parent the container that it is in; undefined for the root
   * @param icid isolation context, 16 bits
   * @param folder that of the MC, for the root; by default its container's
   * @default its container's
   */
  constructor(host: Host, parent: FslMcDevice | undefined, descriptor: ObjectDescriptor, regions: readonly FslMcRegion[], icid: number, folder: string = parent?.sysfs ?? '') {
    const name = `${descriptor.type}.${descriptor.id}`;
    super(host, name, `${folder}/${name}`);
    this.parent = parent;
    this.descriptor = descriptor;
    this.regions = regions;
    this.icid = icid;
    this.hasMsiDomain = !host.profile.fslmcIrqDomains;
    this.plugged = (descriptor.state & 2) !== 0;
  }

  /** Whether it is a container, of type `dprc`. */
  get isDprc(): boolean {
    return this.descriptor.type === 'dprc';
  }

  /** The container whose portal it uses: itself, or its parent. */
  get container(): FslMcDevice {
    return this.isDprc ? this : (this.parent ?? this);
  }

  get #modalias(): string {
    const { vendor, type } = this.descriptor;
    return `fsl-mc:v${vendor.toString(16).toUpperCase().padStart(8, '0')}d${type}`;
  }

  /** DEVTYPE of its uevents: `fsl_mc_bus_` and the type. */
  protected override get deviceType(): string {
    return `fsl_mc_bus_${this.descriptor.type}`;
  }

  /** MODALIAS with vendor and type: `fsl-mc:v00001957ddpni`. Kernel: fsl_mc_bus_uevent(). */
  protected override get uevents(): readonly string[] {
    return [`MODALIAS=${this.#modalias}`];
  }

  /** The files of its folder in sysfs: `modalias`, `power/`, `driver_override`. */
  override createAttributes(): void {
    super.createAttributes();
    this.host.files.constant(`${this.sysfs}/modalias`, `${this.#modalias}\n`);
    createPowerFolder(this, noRuntimePower());
    this.createDriverOverride();
  }
}
