/** What keeps devices and pointers inside what was given to them, up to 2^64. Rows R1, R4 and R7 of docs/robustness.md. */
import { describe, expect, it } from 'vitest';
import {
  DmaPort,
  EFAULT,
  IOMMU_FAULT,
  MAP_SHARED,
  mapDma,
  PROT_READ,
  TASK_SIZE,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_GET_INFO,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_NESTING_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  getDeviceFd,
  setContainer,
  VtdIommu,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { openGroup, sampleHost } from './sample-device.ts';

const RAM = { base: 0, size: 0x400_0000 };
const SECRET = 0x5ec2_e75e;

/** A device behind an IOMMU of 57 bits, on a host with RAM at 0 whose first page nobody may reach. */
function machine() {
  const sample = sampleHost(['a'], { ram: [RAM] });
  const { host, root } = sample;
  const unit = new VtdIommu(host, { addressBits: 57 });
  const device = sample.bus.device('a')!;
  const group = device.iommuGroup!;
  const domain = unit.createDomain();
  group.attachDomain(domain);
  for (let page = 0; page < 4096; page += 4) host.memory.write32(page, SECRET);
  const events = host.trace.record();
  const dma = new DmaPort(host, 'a', 8, () => device.iommuGroup);
  return { ...sample, root, domain, dma, events };
}

describe('[R1] a device reaches what is mapped for it, and nothing else', () => {
  const TOP = [2 ** 53, 2 ** 53 + 4096, 2 ** 56, 2 ** 57, 2 ** 63, 2 ** 64 - 4096, 2 ** 64 - 2048, 2 ** 64, -1, -4096, Number.NaN, Infinity];

  it.each(TOP)('a number of %d that is not mapped is a fault, and moves no byte', (iova) => {
    const { dma, host, events } = machine();
    const into = new Uint8Array(64).fill(0xa5);
    expect([dma.read(iova, into), dma.write(iova, new Uint8Array(64))]).toEqual([false, false]);
    expect(events.map(({ id }) => id)).toEqual([IOMMU_FAULT.id, IOMMU_FAULT.id]);
    expect(into.every((byte) => byte === 0xa5)).toBe(true);
    for (let at = 0; at < 4096; at += 4) expect(host.memory.read32(at)).toBe(SECRET);
  });

  it('halves of 64 bits reach a page at 2^56 byte for byte, and no byte beside it', () => {
    const { dma, domain, host } = machine();
    const frame = 2 ** 44;
    domain.map(frame, 1, 2, 3);
    host.memory.writeBytes(2 * 4096, Uint8Array.from({ length: 4096 }, (_, i) => i));
    for (const offset of [0, 1, 2047, 2049, 4091]) {
      const into = new Uint8Array(5);
      expect(dma.readWide(offset, 2 ** 24, into)).toBe(true);
      expect([...into]).toEqual([0, 1, 2, 3, 4].map((i) => (offset + i) & 0xff));
    }
    expect([dma.readWide(4092, 2 ** 24, new Uint8Array(5)), dma.readWide(0xffff_ffff, 2 ** 24 - 1, new Uint8Array(2))]).toEqual([false, false]);
  });

  it('a transfer that ends at 2^64 is whole; one that goes beyond it does not come round to 0', () => {
    const { dma, domain, events } = machine();
    domain.map(0, 1, 3, 3);
    domain.map(2 ** 52 - 1, 1, 2, 3);
    expect(dma.writeWide(0xffff_fff8, 0xffff_ffff, new Uint8Array(8))).toBe(true);
    expect(dma.writeWide(0xffff_fff8, 0xffff_ffff, new Uint8Array(9))).toBe(false);
    expect(dma.writeWide(0xffff_fff8, 0xffff_ffff, new Uint8Array(1), 8)).toBe(false);
    expect(events.map(({ fields }) => fields)).toEqual([
      { device: 'a', iova: 2n ** 64n - 8n, write: true, why: 'not mapped' },
      { device: 'a', iova: 2n ** 64n, write: true, why: 'not mapped' },
    ]);
  });

  it('a page without permission is told from one that is not mapped', () => {
    const { dma, domain, events } = machine();
    domain.map(1, 1, 2, 1);
    expect([dma.write(4096, new Uint8Array(1)), dma.write(0, new Uint8Array(1))]).toEqual([false, false]);
    expect(events.map(({ fields }) => fields)).toMatchObject([{ why: 'no permission' }, { why: 'not mapped' }]);
  });

  it('the log of a device’s writes has the page at 2^56', () => {
    const { dma, domain } = machine();
    domain.map(2 ** 44, 2, 2, 3);
    const written: number[][] = [];
    dma.written = (...range) => written.push(range);
    dma.writeWide(0xffc, 2 ** 24, new Uint8Array(8));
    expect(written).toEqual([[2 ** 44, 0xffc, 8]]);
  });
});

describe('[R4] a pointer beyond user space is EFAULT', () => {
  const POINTERS = [0x1000n, BigInt(TASK_SIZE) - 1n, BigInt(TASK_SIZE), 1n << 47n, 1n << 53n, (1n << 53n) + 1n, 1n << 55n, 1n << 56n, 1n << 63n, (1n << 64n) - 4096n, (1n << 64n) - 1n, -1n];

  it.each(POINTERS)('0x%x', (pointer) => {
    const sample = sampleHost(['a']);
    const { root } = sample;
    sample.bind('a');
    const { container, group } = openGroup(sample, 0);
    const device = getDeviceFd(root, group, 'a');
    const calls: readonly (readonly [number, number])[] = [
      [container, VFIO_IOMMU_GET_INFO],
      [container, VFIO_IOMMU_MAP_DMA],
      [container, VFIO_IOMMU_UNMAP_DMA],
      [container, VFIO_IOMMU_DIRTY_PAGES],
      [group, VFIO_GROUP_GET_STATUS],
      [group, VFIO_GROUP_SET_CONTAINER],
      [group, VFIO_GROUP_GET_DEVICE_FD],
      [device, VFIO_DEVICE_GET_INFO],
      [device, VFIO_DEVICE_FEATURE],
    ];
    expect(calls.map(([fd, request]) => root.tryIoctl(fd, request, pointer))).toEqual(calls.map(() => -EFAULT));
  });

  it('also where it is inside an argument: vaddr, and a mapping that would end beyond 2^64', () => {
    const sample = sampleHost(['a']);
    const { root } = sample;
    sample.bind('a');
    const { container } = openGroup(sample, 0);
    const map = (iova: bigint, vaddr: bigint, size: bigint) => outcomeOf(() => mapDma(root, container, { iova, vaddr, size, flags: 3 }));
    expect([map(0n, 1n << 63n, 4096n), map(0n, (1n << 64n) - 4096n, 4096n), map(0n, (1n << 64n) - 4096n, 8192n), map((1n << 64n) - 4096n, 0n, 8192n)]).toEqual([
      'EFAULT',
      'EFAULT',
      'EINVAL',
      'EINVAL',
    ]);
  });

  it('memory is accessible up to its own end, whatever the length', () => {
    const { root } = sampleHost(['a']);
    const { address } = root.mmap(-1, 8192);
    const ask = (at: number, length: number) => root.mm.accessible(at, length);
    expect([ask(address, 8192), ask(address, 8193), ask(address + 4096, 4096), ask(address, 2 ** 53), ask(address, Infinity), ask(2 ** 60, 1), ask(-1, 1)]).toEqual([
      true, false, true, false, false, false, false,
    ]);
    expect([ask(2 ** 63, 0), root.mm.copyFromUser(2 ** 63, new Uint8Array(0))]).toEqual([true, true]);
  });

  it('an offset of a file that is negative, or ends beyond 2^63, is EINVAL; of mmap beyond 2^64, EOVERFLOW', () => {
    const sample = sampleHost(['a']);
    const { root } = sample;
    sample.bind('a');
    const device = getDeviceFd(root, openGroup(sample, 0).group, 'a');
    for (const offset of [-2, -4096, 2 ** 63, 2 ** 64, Number.NaN]) {
      expect([root.tryPread(device, new Uint8Array(4), offset), root.tryPwrite(device, new Uint8Array(4), offset)]).toEqual([-22, -22]);
    }
    expect([root.tryMmap(device, 8192, 2 ** 64 - 4096, PROT_READ, MAP_SHARED), root.tryMmap(device, 2 ** 60, 0, PROT_READ, MAP_SHARED)]).toEqual([-75, -12]);
  });
});

describe('[R7] a device whose DMA user space owns reaches nothing until there is a domain', () => {
  /** A device left bus master, and what of the host's first page it can read. */
  function claimed(profile: ProfileName, names: readonly string[] = ['a'], oneGroup = false) {
    const sample = sampleHost(names, { profile, ram: [RAM] }, oneGroup);
    for (const name of names) sample.bind(name);
    sample.host.memory.write32(0x100, SECRET);
    const reads = (name = 'a') => {
      const into = new Uint8Array(4);
      const dma = new DmaPort(sample.host, name, 8, () => sample.bus.device(name)?.iommuGroup);
      return dma.read(0x100, into) && new DataView(into.buffer).getUint32(0, true) === SECRET;
    };
    const { root } = sample;
    const container = root.open('/dev/vfio/vfio');
    const group = root.open('/dev/vfio/0');
    return { ...sample, container, group, reads };
  }

  it.each([
    ['linux-5.10', true],
    ['linux-5.13', true],
    ['linux-6.1', false],
    ['linux-6.12', false],
  ] as const)('%s: between SET_CONTAINER and SET_IOMMU it reads the host’s memory: %s', (profile, leaks) => {
    const { root, container, group, reads } = claimed(profile);
    expect(reads()).toBe(true);
    setContainer(root, group, container);
    expect(reads()).toBe(leaks);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    expect(reads()).toBe(false);
    root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
    expect(reads()).toBe(true); // the default domain, which is identity here
  });

  it.each(['linux-6.1', 'linux-6.12'] as const)('%s: nor after a SET_IOMMU that fails', (profile) => {
    const { root, container, group, reads } = claimed(profile);
    setContainer(root, group, container);
    expect(outcomeOf(() => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_NESTING_IOMMU))).toBe('EINVAL');
    expect(reads()).toBe(false);
  });

  it('a device beside it in the group is blocked with it', () => {
    const { root, container, group, reads } = claimed('linux-6.1', ['a', 'b'], true);
    setContainer(root, group, container);
    expect([reads('a'), reads('b')]).toEqual([false, false]);
    root.close(group);
    expect([reads('a'), reads('b')]).toEqual([true, true]);
  });

  it('another group is not', () => {
    const { root, container, group, reads } = claimed('linux-6.1', ['a', 'b']);
    setContainer(root, group, container);
    expect([reads('a'), reads('b')]).toEqual([false, true]);
  });

  it('a claim that is refused changes nothing', () => {
    const { root, container, group, reads, vfio } = claimed('linux-6.1');
    const { iommuGroup } = vfio.groups[0]!;
    expect(iommuGroup.useDefaultDomain()).toBe(true);
    expect(outcomeOf(() => setContainer(root, group, container))).toBe('EPERM');
    expect(reads()).toBe(true);
  });
});
