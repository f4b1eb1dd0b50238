/**
 * The type1 IOMMU driver of VFIO: its module parameters, the types that it knows, and an instance for each container.
 * Kernel: vfio_iommu_type1.c.
 */
import type { Host } from '../host/host.ts';
import type { Sleeps } from '../host/scheduler.ts';
import { constant } from '../model/bus.ts';
import { EINVAL } from '../uapi/errno.ts';
import {
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1_NESTING_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UNMAP_ALL,
  VFIO_UPDATE_VADDR,
} from '../uapi/vfio.ts';
import type { IommuBackendKind } from '../vfio/iommu-backend.ts';
import { Type1Instance } from './type1-instance.ts';

/** The module: its parameters are read where the kernel reads them. */
export class Type1 implements IommuBackendKind {
  readonly name: string = 'vfio-iommu-type1';
  readonly host: Host;
  /** Module parameter: groups without interrupt remapping may be used all the same. */
  allowUnsafeInterrupts = false;
  /** Module parameter: mappings of one container at most; sampled by VFIO_SET_IOMMU. */
  dmaEntryLimit = 65535;

  constructor(host: Host) {
    this.host = host;
    const parameters = '/sys/module/vfio_iommu_type1/parameters';
    host.files.add(`${parameters}/allow_unsafe_interrupts`, {
      kind: 'attribute',
      mode: 0o644,
      show: () => constant(this.allowUnsafeInterrupts ? 'Y\n' : 'N\n'),
      store: (bytes) => this.#storeUnsafe(bytes),
    });
    host.files.add(`${parameters}/dma_entry_limit`, {
      kind: 'attribute',
      mode: 0o644,
      show: () => constant(`${this.dmaEntryLimit}\n`),
      store: (bytes) => this.#storeLimit(bytes),
    });
  }

  checkExtension(extension: number): number {
    switch (extension) {
      case VFIO_TYPE1_IOMMU:
      case VFIO_TYPE1v2_IOMMU:
      case VFIO_TYPE1_NESTING_IOMMU:
      case VFIO_UNMAP_ALL:
        return 1;
      case VFIO_UPDATE_VADDR:
        return this.host.profile.vaddrNeedsInstance ? 0 : 1;
      default:
        return 0;
    }
  }

  open(type: number): Type1Instance | number {
    switch (type) {
      case VFIO_TYPE1_IOMMU:
        return new Type1Instance(this, false, false);
      case VFIO_TYPE1v2_IOMMU:
        return new Type1Instance(this, true, false);
      case VFIO_TYPE1_NESTING_IOMMU:
        return new Type1Instance(this, true, true);
      default:
        return -EINVAL;
    }
  }

  *#storeUnsafe(bytes: Uint8Array): Sleeps<number> {
    const on = parseBool(new TextDecoder().decode(bytes));
    if (on === undefined) return -EINVAL;
    this.allowUnsafeInterrupts = on;
    return bytes.length;
  }

  *#storeLimit(bytes: Uint8Array): Sleeps<number> {
    const line = new TextDecoder().decode(bytes).trim();
    const value = /^\+?(0x[0-9a-f]+|[0-9]+)$/i.test(line) ? Number(line) : Number.NaN;
    if (!(value <= 0xffff_ffff)) return -EINVAL;
    this.dmaEntryLimit = value;
    return bytes.length;
  }
}

/** kstrtobool(). */
export function parseBool(value: string): boolean | undefined {
  const word = value.trim().toLowerCase();
  if (['1', 'y', 't', 'yes', 'true'].includes(word) || word.startsWith('on')) return true;
  if (['0', 'n', 'f', 'no', 'false'].includes(word) || word.startsWith('of')) return false;
  return undefined;
}
