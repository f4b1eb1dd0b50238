import type { Host } from '../host/host.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import type { ReservedRegion } from './iommu.ts';
import { IommuUnitBase } from './iommu-unit-base.ts';

/** What a VT-d unit of a machine is like. */
export interface VtdInit {
  /** What sysfs calls it. @default 'dmar0' */
  readonly name?: string | undefined;
  /** Guest address width of the second level, in bits. @default 48 */
  readonly addressBits?: 39 | 48 | 57 | undefined;
  /** Page sizes of the second level. @default 4 KiB, 2 MiB, 1 GiB */
  readonly pageSizes?: bigint | undefined;
  /** Snoop control: no-snoop DMA can be forced to snoop (ECAP.SC). @default false */
  readonly snoopControl?: boolean | undefined;
  /** Interrupt remapping is on. @default true */
  readonly interruptRemapping?: boolean | undefined;
}

/**
 * An Intel VT-d kind of IOMMU: 48-bit IOVAs, interrupt remapping, the MSI window 0xfee00000.
 *
 * Modelled: groups, domains, page sizes, reserved regions, coherence, interrupt remapping as a fact. Not modelled: its registers, caches,
 * PASIDs, nested translation.
 */
export class VtdIommu extends IommuUnitBase {
  /** As a bitmap; every size from 4 KiB on in kernels whose profile says so (vtdPageSizes). */
  override readonly pageSizes: bigint;
  /** From page frame 0 up to the guest address width. */
  override readonly aperture: FrameRange;
  /** The MSI window, 0xfee0_0000 to 0xfeef_ffff. */
  override readonly reservedRegions: readonly ReservedRegion[] = [{ first: 0xfee0_0000, last: 0xfeef_ffff, type: 'msi' }];
  /** Whether DMA is coherent: in old kernels only with snoop control. */
  override readonly coherent: boolean;
  /** Snoop control. */
  override readonly enforcesCoherency: boolean;
  /** Interrupt remapping. */
  override readonly isolatesMsi: boolean;

  /** @throws TypeError if another copy of @vsim/vfio-core made the host */
  constructor(host: Host, init: VtdInit = {}) {
    super(host, init.name ?? 'dmar0');
    this.pageSizes = host.profile.vtdPageSizes === 'all' ? 0xffff_ffff_ffff_f000n : (init.pageSizes ?? 0x4020_1000n);
    this.aperture = { first: 0, last: 2 ** ((init.addressBits ?? 48) - 12) - 1 };
    this.enforcesCoherency = init.snoopControl ?? false;
    // Older kernels call VT-d coherent only where it can also force no-snoop DMA to snoop.
    this.coherent = host.profile.enforcedCoherency || this.enforcesCoherency;
    this.isolatesMsi = init.interruptRemapping ?? true;
  }
}
