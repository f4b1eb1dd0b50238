/**
 * An Intel VT-d kind of IOMMU: 48-bit IOVAs, interrupt remapping, the MSI window 0xfee00000.
 *
 * Modelled: groups, domains, page sizes, reserved regions, coherence, interrupt remapping as a fact. Not modelled: its
 * registers, caches, PASIDs, nested translation.
 */
import { assertSameCore, type Host } from '../host/host.ts';
import type { Device } from '../model/device.ts';
import { IommuDomain, type IommuUnit, type ReservedRegion } from './iommu.ts';
import { IommuGroup } from './iommu-group.ts';

export interface VtdInit {
  /** @default 'dmar0' */
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

export class VtdIommu implements IommuUnit {
  readonly host: Host;
  readonly name: string;
  readonly pageSizes: bigint;
  readonly aperture: { readonly firstFrame: number; readonly lastFrame: number };
  readonly reservedRegions: readonly ReservedRegion[] = [{ first: 0xfee0_0000, last: 0xfeef_ffff, type: 'msi' }];
  readonly coherent: boolean = true;
  readonly enforcesCoherency: boolean;
  readonly isolatesMsi: boolean;
  readonly nesting: boolean = false;
  readonly #groups: (IommuGroup | undefined)[] = [];

  constructor(host: Host, init: VtdInit = {}) {
    assertSameCore(host);
    this.host = host;
    this.name = init.name ?? 'dmar0';
    // Before 6.1 VT-d offered every size from 4 KiB on, whatever its tables could do (D61-45).
    this.pageSizes = host.profile.dmaOwnership ? (init.pageSizes ?? 0x4020_1000n) : 0xffff_ffff_ffff_f000n;
    this.aperture = { firstFrame: 0, lastFrame: 2 ** ((init.addressBits ?? 48) - 12) - 1 };
    this.enforcesCoherency = init.snoopControl ?? false;
    this.isolatesMsi = init.interruptRemapping ?? true;
  }

  createDomain(): IommuDomain {
    return new IommuDomain(this);
  }

  /** Makes a group of devices that the IOMMU cannot tell apart. `id` is the next free number if left out. */
  addGroup(devices: readonly Device[], id?: number): IommuGroup {
    const free = this.#groups.indexOf(undefined);
    const number = id ?? (free < 0 ? this.#groups.length : free);
    if (this.#groups[number] !== undefined) throw new RangeError(`"id" expected a free group number, got ${number}`);
    const group = new IommuGroup(this.host, this, number);
    while (this.#groups.length < number) this.#groups.push(undefined);
    this.#groups[number] = group;
    for (const device of devices) group.addDevice(device);
    return group;
  }

  groupGone(group: IommuGroup): void {
    if (this.#groups[group.id] === group) this.#groups[group.id] = undefined;
  }
}
