/** A device of the fsl-mc bus: an object of the Management Complex as the kernel sees it. Kernel: struct fsl_mc_device. */
import { createPowerFolder, Device, noRuntimePower, type Host } from '@vsim/vfio-core';
import type { Dprc } from './dprc.ts';
import type { ObjectDescriptor } from './mc-io.ts';

/** A region in physical memory. CACHEABLE 1 and SHAREABLE 2 are flags. */
export interface FslMcRegion {
  readonly start: number;
  readonly size: number;
  readonly flags: number;
}

export const REGION_CACHEABLE = 1;
export const REGION_SHAREABLE = 2;

export class FslMcDevice extends Device {
  /** The container that it is in; undefined for the root. */
  readonly parent: FslMcDevice | undefined;
  readonly descriptor: ObjectDescriptor;
  readonly regions: readonly FslMcRegion[];
  readonly icid: number;
  /** Linux 7.3 gives an object none: its container has one, from when its interrupts are allocated. */
  override readonly hasMsiDomain: boolean;
  readonly children: FslMcDevice[] = [];
  plugged: boolean;
  /** A container that a driver has set up: its portal is open. */
  dprc: Dprc | undefined = undefined;
  /** The handle of a container's last session, which may be closed. Kernel: mc_handle. */
  handle = 0;
  /** Whether a container tells of objects that come and go. Kernel: irq_enabled of struct fsl_mc_bus. */
  listening = false;

  /** @param folder that of the MC, for the root. @default its container's */
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

  protected override get deviceType(): string {
    return `fsl_mc_bus_${this.descriptor.type}`;
  }

  protected override get uevents(): readonly string[] {
    return [`MODALIAS=${this.#modalias}`];
  }

  override createAttributes(): void {
    super.createAttributes();
    this.host.files.constant(`${this.sysfs}/modalias`, `${this.#modalias}\n`);
    createPowerFolder(this, noRuntimePower());
    this.createDriverOverride();
  }
}
