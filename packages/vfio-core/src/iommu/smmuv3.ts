/**
 * An Arm SMMUv3 kind of IOMMU: stage 1 or 2 tables of 4 KiB pages, and a window of IOVAs through which the kernel maps the
 * MSI doorbell (SW_MSI), since the SMMU translates MSI writes like any other.
 *
 * Modelled: groups, domains, page sizes, the reserved window, who has which stream id. The doorbell mapping itself is not built: an MSI write reaches
 * the address that the interrupt controller gave. A nesting domain is a plain one. Not modelled: its registers, queues, stream tables, stalls, the tables of a guest.
 */
import type { Host } from '../host/host.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import type { Device } from '../model/device.ts';
import { EPERM } from '../uapi/errno.ts';
import type { ReservedRegion } from './iommu.ts';
import { IommuUnitBase } from './iommu-unit-base.ts';

/** The firmware gives a device a stream id that another one has: the device gets no group. Kernel: arm_smmu_insert_master(). */
export const STREAM_TAKEN: EventKind<{ readonly device: string; readonly stream: number; readonly owner: string }> = eventKind(
  'iommu/stream-taken',
  'warn',
  ({ device, stream, owner }) => `${device}: stream ${stream} is that of ${owner} already`,
);

export interface SmmuV3Init {
  /** @default 'smmu3' */
  readonly name?: string | undefined;
  /** Input address size in bits. @default 48 */
  readonly addressBits?: number | undefined;
  /** Whether the interrupt controller tells devices apart, as an ITS does. @default true */
  readonly isolatesMsi?: boolean | undefined;
  /** What the kernel gives devices for their own drivers: identity is `iommu=pt`. Both let every DMA through here. @default 'DMA' */
  readonly defaultDomain?: 'DMA' | 'identity' | undefined;
  /** Whether its page walks are coherent: `dma-coherent` in its node. VFIO takes no device behind one that is not. @default true */
  readonly coherent?: boolean | undefined;
}

export class SmmuV3Iommu extends IommuUnitBase {
  override readonly pageSizes: bigint = 0x4020_1000n;
  override readonly aperture: FrameRange;
  /** MSI_IOVA_BASE and MSI_IOVA_LENGTH of the kernel's driver. */
  override readonly reservedRegions: readonly ReservedRegion[] = [{ first: 0x800_0000, last: 0x80f_ffff, type: 'sw-msi' }];
  override readonly enforcesCoherency: boolean = false;
  override readonly isolatesMsi: boolean;
  override readonly coherent: boolean;
  override readonly defaultDomain: 'DMA' | 'identity';
  /** `iommus` and `iommu-map` of a device tree, or IORT, say who is behind it. */
  readonly describedByFirmware: boolean = true;
  override readonly nesting: boolean;
  /** It has one stage of tables only, and nesting wants both: arm_smmu_enable_nesting(). */
  readonly nestingErrno: number = EPERM;
  /** Who has a stream id, as long as it has a group. */
  readonly #masters = new Map<number, Device>();

  constructor(host: Host, init: SmmuV3Init = {}) {
    super(host, init.name ?? 'smmu3');
    this.aperture = { first: 0, last: 2 ** ((init.addressBits ?? 48) - 12) - 1 };
    this.isolatesMsi = init.isolatesMsi ?? true;
    this.coherent = init.coherent ?? true;
    this.nesting = host.profile.nestsWithOneStage;
    this.defaultDomain = init.defaultDomain ?? 'DMA';
  }

  /**
   * The firmware says that the device's DMA bears this stream id (`iommus` of its node). Its group, of it alone, comes when the kernel reads that:
   * see Device.configureDma. Whoever comes first has a stream id.
   */
  addMaster(device: Device, stream: number): void {
    const insert = (): void => {
      this.#insert(device, stream);
    };
    device.configureDma = insert;
    if (this.host.profile.groupsWithDevices && device.busName !== undefined && device.iommuGroup === undefined) insert();
  }

  #insert(device: Device, stream: number): void {
    const owner = this.#masters.get(stream);
    if (owner?.iommuGroup !== undefined) {
      this.host.trace.emit(STREAM_TAKEN, { device: device.name, stream, owner: owner.name });
      return;
    }
    this.#masters.set(stream, device);
    this.addGroup([device]);
  }
}
