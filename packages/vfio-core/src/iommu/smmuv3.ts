/**
 * An Arm SMMUv3 kind of IOMMU: stage 1 or 2 tables of 4 KiB pages, and a window of IOVAs through which the kernel maps the
 * MSI doorbell (SW_MSI), since the SMMU translates MSI writes like any other.
 *
 * Modelled: groups, domains, page sizes, the reserved window. The doorbell mapping itself is not built: an MSI write reaches
 * the address that the interrupt controller gave. Not modelled: its registers, queues, stream tables, stalls, nesting.
 */
import type { Host } from '../host/host.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import type { ReservedRegion } from './iommu.ts';
import { IommuUnitBase } from './iommu-unit-base.ts';

export interface SmmuV3Init {
  /** @default 'smmu3' */
  readonly name?: string | undefined;
  /** Input address size in bits. @default 48 */
  readonly addressBits?: number | undefined;
  /** Whether the interrupt controller tells devices apart, as an ITS does. @default true */
  readonly isolatesMsi?: boolean | undefined;
}

export class SmmuV3Iommu extends IommuUnitBase {
  override readonly pageSizes: bigint = 0x4020_1000n;
  override readonly aperture: FrameRange;
  /** MSI_IOVA_BASE and MSI_IOVA_LENGTH of the kernel's driver. */
  override readonly reservedRegions: readonly ReservedRegion[] = [{ first: 0x800_0000, last: 0x80f_ffff, type: 'sw-msi' }];
  override readonly enforcesCoherency: boolean = false;
  override readonly isolatesMsi: boolean;

  constructor(host: Host, init: SmmuV3Init = {}) {
    super(host, init.name ?? 'smmu3');
    this.aperture = { first: 0, last: 2 ** ((init.addressBits ?? 48) - 12) - 1 };
    this.isolatesMsi = init.isolatesMsi ?? true;
  }
}
