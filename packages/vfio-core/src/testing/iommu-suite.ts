import type { Host } from '../host/host.ts';
import { DmaPort, IOMMU_FAULT, IOMMU_READ, IOMMU_WRITE, type IommuUnit } from '../iommu/iommu.ts';
import { IommuGroup } from '../iommu/iommu-group.ts';
import { expectSame, type ComplianceCase } from './suite.ts';

/** A fresh unit on its host, for each case. */
export interface IommuSubject {
  /** The host that the unit belongs to. */
  readonly host: Host;
  /** The IOMMU that is held to the suite. */
  readonly unit: IommuUnit;
}

const PAGE = 4096;

/** What every kind of IOMMU has to do for type1 and for devices. `setup` is called once for each case. */
export function iommuSuite(setup: () => IommuSubject): readonly ComplianceCase[] {
  return [
    {
      name: 'says what it can map: pages of 4 KiB, a range of addresses',
      run: () => {
        const { unit } = setup();
        expectSame('4 KiB pages', (unit.pageSizes & BigInt(PAGE)) !== 0n, true);
        expectSame('an aperture', unit.aperture.first <= unit.aperture.last && unit.aperture.last < 2 ** 52, true);
        for (const { first, last } of unit.reservedRegions) expectSame('a reserved region', first <= last, true);
      },
    },
    {
      name: 'translates what is mapped, as it is allowed, from the first to the last page that it can map',
      run: () => {
        const { unit } = setup();
        const domain = unit.createDomain();
        const { first, last } = unit.aperture;
        expectSame('map the first page', domain.map(first, 1, 0x100, IOMMU_READ), 0);
        expectSame('map the last page', domain.map(last, 1, 0x200, IOMMU_READ | IOMMU_WRITE), 0);
        expectSame('read the first', domain.translate(first, IOMMU_READ), 0x100);
        expectSame('write the first', domain.translate(first, IOMMU_WRITE), undefined);
        expectSame('write the last', domain.translate(last, IOMMU_WRITE), 0x200);
        expectSame('between', domain.translate(first + 1, IOMMU_READ), undefined);
        domain.unmap(first, first);
        expectSame('after unmap', domain.translate(first, IOMMU_READ), undefined);
        expectSame('the other', domain.translate(last, IOMMU_READ), 0x200);
      },
    },
    {
      name: 'keeps its domains apart',
      run: () => {
        const { unit } = setup();
        const [one, other] = [unit.createDomain(), unit.createDomain()];
        one.map(unit.aperture.first, 4, 0x100, IOMMU_READ);
        expectSame('the other domain', other.translate(unit.aperture.first, IOMMU_READ), undefined);
      },
    },
    {
      name: 'stops DMA that nobody allowed, whole, and tells',
      run: () => {
        const { host, unit } = setup();
        const group = new IommuGroup(host, unit);
        const domain = unit.createDomain();
        expectSame('attach', group.attachDomain(domain), 0);
        const run = host.pages.allocate(1);
        if (run === undefined) throw new RangeError('"host" expected one free page of RAM');
        domain.map(unit.aperture.first, 1, run.first, IOMMU_READ | IOMMU_WRITE);
        const faults: string[] = [];
        const end = host.trace.listen(({ id }) => faults.push(id));
        const port = new DmaPort(host, 'subject', 0, () => group);
        const at = unit.aperture.first * PAGE + PAGE - 2;
        expectSame('inside', port.write(at, new Uint8Array([1, 2])), true);
        expectSame('across the end', port.write(at, new Uint8Array([3, 4, 5])), false);
        const back = new Uint8Array(2);
        port.read(at, back);
        expectSame('bytes', back.join(), '1,2');
        expectSame('faults', faults.join(), IOMMU_FAULT.id);
        end();
        group.detachDomain();
        run.put();
      },
    },
  ];
}
