import type { Host } from '../host/host.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import type { Device } from '../model/device.ts';
import { EPERM } from '../uapi/errno.ts';
import type { ReservedRegion } from './iommu.ts';
import { IommuUnitBase } from './iommu-unit-base.ts';

/** What an SMMU of a machine is like. */
export interface ArmIommuInit {
  /** What sysfs calls it. @default 'smmu3' or 'mmu500', by its kind */
  readonly name?: string | undefined;
  /** The platform device that it is, as its node is called: what is behind it then has `iommu` and `supplier:platform:NAME` in its folder. */
  readonly device?: string | undefined;
  /** Input address size in bits. @default 48 */
  readonly addressBits?: number | undefined;
  /** Whether the interrupt controller tells devices apart, as an ITS does. @default true */
  readonly isolatesMsi?: boolean | undefined;
  /** What the kernel gives devices for their own drivers: identity is `iommu=pt`. Both let every DMA through here. @default 'DMA' */
  readonly defaultDomain?: 'DMA' | 'identity' | undefined;
  /** Whether its page walks are coherent: `dma-coherent` in its node. VFIO takes no device behind one that is not. @default true */
  readonly coherent?: boolean | undefined;
}

/**
 * What the Arm IOMMUs have in common: tables of 4 KiB pages, a window of IOVAs through which the kernel maps the MSI doorbell (SW_MSI),
 * since an SMMU translates MSI writes like any other, and firmware that says which stream id the DMA of a device bears.
 *
 * Modelled: groups, domains, page sizes, the reserved window, who has which stream id. The doorbell mapping itself is not built: an MSI
 * write reaches the address that the interrupt controller gave. A nesting domain is a plain one. Not modelled: registers, queues, stream
 * tables, stalls, the tables of a guest.
 */
export abstract class ArmIommu extends IommuUnitBase {
  /** 4 KiB, 2 MiB and 1 GiB, as a bitmap. */
  override readonly pageSizes: bigint = 0x4020_1000n;
  /** From page frame 0 up to the input address size. */
  override readonly aperture: FrameRange;
  /** MSI_IOVA_BASE and MSI_IOVA_LENGTH of the kernel's drivers. */
  override readonly reservedRegions: readonly ReservedRegion[] = [{ first: 0x800_0000, last: 0x80f_ffff, type: 'sw-msi' }];
  /** Always false: an SMMU forces nothing to snoop. */
  override readonly enforcesCoherency: boolean = false;
  /** Whether the interrupt controller tells devices apart. */
  override readonly isolatesMsi: boolean;
  /** Whether its page walks are coherent. */
  override readonly coherent: boolean;
  /** The domain of the kernel's own drivers, as sysfs shows it. */
  override readonly defaultDomain: 'DMA' | 'identity';
  /** The platform device that it is. */
  override readonly device: string | undefined;
  /** `iommus` and `iommu-map` of a device tree, or IORT, say who is behind it. */
  readonly describedByFirmware: boolean = true;
  /** Whether VFIO_TYPE1_NESTING_IOMMU can be had of it: until 6.1. */
  override readonly nesting: boolean;
  /** It has one stage of tables only, and nesting wants both: arm_smmu_enable_nesting(). */
  readonly nestingErrno: number = EPERM;

  /** @param kind its name where `init` has none @throws TypeError if another copy of @vsim/vfio-core made the host */
  constructor(host: Host, kind: string, init: ArmIommuInit) {
    super(host, init.name ?? kind);
    this.aperture = { first: 0, last: 2 ** ((init.addressBits ?? 48) - 12) - 1 };
    this.isolatesMsi = init.isolatesMsi ?? true;
    this.coherent = init.coherent ?? true;
    this.nesting = host.profile.nestsWithOneStage;
    this.defaultDomain = init.defaultDomain ?? 'DMA';
    this.device = init.device;
  }

  /**
   * The firmware says that the device's DMA bears this stream id (`iommus` of its node, an `iommu-map` of its bus). Its group comes when
   * the kernel reads that: see Device.configureDma.
   *
   * @param stream the stream id, a number that the firmware gives
   */
  addMaster(device: Device, stream: number): void {
    const insert = (): void => {
      this.insert(device, stream);
    };
    device.configureDma = insert;
    if (this.host.profile.groupsWithDevices && device.busName !== undefined && device.iommuGroup === undefined) insert();
  }

  /** The kernel has read the stream id of a device that has no group yet. @param stream the stream id */
  protected abstract insert(device: Device, stream: number): void;
}
