/** The smallest text of each kind of paste that a doctor went wrong on, and what is right. apps/conformance/recordings/doctor/README.md has the kinds. */
import { readRecording } from '@vsim/conformance';
import { examine, readPaste, type DeviceReport, type DoctorReport } from '@vsim/doctor';
import { describe, expect, it } from 'vitest';

/** Quality of the text and state of the IOMMU; groups with their standing and number; what cannot be told, with whom it may be; who is in no group. */
const RIGHT: Readonly<Record<string, readonly string[]>> = {
  'binary.txt': ['nothing, IOMMU cannot-tell'],
  'empty.txt': ['nothing, IOMMU cannot-tell'],
  'k01-lspci-nnk.txt': ['list, IOMMU cannot-tell', 'cannot tell: 00:01.0 with 01:00.0', 'cannot tell: 00:1c.0 with 00:1c.1 01:00.0', 'cannot tell: 00:1c.1 with 00:1c.0 01:00.0', 'cannot tell: 01:00.0 with 00:01.0 00:1c.0 00:1c.1'],
  'k01b-lspci-nn.txt': ['list, IOMMU cannot-tell', 'cannot tell: 00:1c.0 with 00:1c.1 01:00.0', 'cannot tell: 00:1c.1 with 00:1c.0 01:00.0', 'cannot tell: 01:00.0 with 00:1c.0 00:1c.1'],
  'k02-lspci-plain.txt': ['list, IOMMU cannot-tell', 'cannot tell: 00:1c.0 with 01:00.0', 'cannot tell: 01:00.0 with 00:1c.0'],
  'k03-lspci-v.txt': ['groups, IOMMU on', 'told 3: 00:06.0', 'told 11: 01:00.0'],
  'k04-decoded-loses-resets.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k05-iommu-off-acs-off.txt': ['registers, IOMMU off', 'derived: 00:1c.0', 'derived: 01:00.0'],
  'k06-no-ids.txt': ['partial, IOMMU cannot-tell', 'derived: 00:14.0', 'derived: 00:14.3'],
  'k06b-with-ids.txt': ['partial, IOMMU cannot-tell', 'derived: 00:14.0', 'derived: 00:14.3'],
  'k07-prompt.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k08-shell-loop.txt': ['groups, IOMMU on', 'told 1: 00:01.0 01:00.0 01:00.1'],
  'k08b-shell-loop-oneline.txt': ['groups, IOMMU on', 'told 1: 00:01.0 01:00.0'],
  'k09-grep-A.txt': ['list, IOMMU cannot-tell', 'cannot tell: 01:00.0', 'cannot tell: 02:00.0'],
  'k10-partial-paste.txt': ['list, IOMMU cannot-tell', 'cannot tell: 01:00.0'],
  'k11-fell-off-bus.txt': ['partial, IOMMU cannot-tell', 'known: 00:01.1', 'derived: 01:00.0'],
  'k12-vmd.txt': ['registers, IOMMU cannot-tell', 'derived: 00:0e.0 10000:e0:06.0 10000:e1:00.0'],
  'k13-access-denied.txt': ['list, IOMMU cannot-tell', 'cannot tell: 00:1c.0 with 01:00.0 01:00.1', 'cannot tell: 01:00.0 with 00:1c.0 01:00.1', 'cannot tell: 01:00.1 with 00:1c.0 01:00.0'],
  'k14-two-commands.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0'],
  'k15-mail-wrapped.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k15b-mail-wrapped-indented.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k15c-quoted.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k16-indented-block.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k16b-first-line-flush.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k17-bom.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0'],
  'k18-xxx-only.txt': ['list, IOMMU cannot-tell', 'cannot tell: 00:1c.0 with 01:00.0', 'cannot tell: 01:00.0 with 00:1c.0'],
  'k18b-x-only.txt': ['list, IOMMU cannot-tell', 'cannot tell: 00:1c.0 with 01:00.0', 'cannot tell: 01:00.0 with 00:1c.0'],
  'k19-mlx5-vfio.txt': ['list, IOMMU cannot-tell', 'cannot tell: 01:00.0 with 01:00.1', 'cannot tell: 01:00.1 with 01:00.0'],
  'k20-pciback.txt': ['list, IOMMU cannot-tell', 'cannot tell: 00:14.0 with 00:14.2', 'cannot tell: 00:14.2 with 00:14.0'],
  'k21-vmm.txt': ['groups, IOMMU on', 'told 0: 00:01.0'],
  'k22-acs-override.txt': ['groups, IOMMU on', 'told 5: 00:1c.0', 'told 11: 01:00.0'],
  'k23-amd-zen.txt': ['partial, IOMMU on', 'derived: 00:01.0', 'none: 00:00.0', 'none: 00:00.2'],
  'k24-amd-no-nn.txt': ['list, IOMMU on', 'none: 00:00.0', 'none: 00:00.2'],
  'k25-find.txt': ['groups, IOMMU on', 'told 1: 01:00.0 01:00.1'],
  'k26-PP.txt': ['list, IOMMU cannot-tell', 'cannot tell: 01:00.0'],
  'k27-truncated-row.txt': ['list, IOMMU cannot-tell', 'cannot tell: 01:00.0'],
  'k28-sunrise-point-decoded.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'known: 00:1c.6', 'derived: 02:00.0', 'derived: 03:00.0'],
  'k29-igpu-with-bytes.txt': ['registers, IOMMU cannot-tell', 'known: 00:02.0'],
  'k29b-igpu-without-bytes.txt': ['list, IOMMU cannot-tell', 'derived: 00:02.0'],
  'k30-amd-host-without-iommu.txt': ['list, IOMMU off', 'derived: 00:01.0', 'cannot tell: 00:00.0'],
  'k31-arm.txt': ['list, IOMMU cannot-tell', 'derived: 00:00.0'],
  'k32-gpu-audio.txt': ['registers, IOMMU cannot-tell', 'known: 00:1c.0', 'derived: 01:00.0 01:00.1'],
  'k33-fence.txt': ['list, IOMMU cannot-tell', 'derived: 00:00.0'],
  'own.json': ['nothing, IOMMU cannot-tell'],
};

function reportOf(name: string): DoctorReport {
  return examine(readPaste(readRecording(`doctor/minimal/${name}.gz`)));
}

function short(address: string): string {
  return address.replace(/^0000:/, '');
}

function told({ input, iommu, wouldBe, groups, cannotTell, ungrouped }: DoctorReport): readonly string[] {
  return [
    `${input.quality}, IOMMU ${wouldBe ? 'off' : iommu.state}`,
    ...groups.map(({ standing, id, devices }) => `${standing}${id === null ? '' : ` ${id}`}: ${devices.map(short).join(' ')}`),
    ...cannotTell.map(({ device, perhaps }) => {
      const others = perhaps.filter((address) => address !== device).map(short);
      return `cannot tell: ${short(device)}${others.length === 0 ? '' : ` with ${others.join(' ')}`}`;
    }),
    ...ungrouped.map(({ device }) => `none: ${short(device)}`),
  ];
}

describe('the smallest text of each kind', () => {
  it.each(Object.entries(RIGHT))('%s', (name, right) => {
    expect(told(reportOf(name))).toEqual(right);
  });
});

function device(name: string, address: string): DeviceReport {
  const { groups, cannotTell } = reportOf(name);
  return [...groups.flatMap(({ members }) => members), ...cannotTell.map(({ about }) => about)].find((each) => each.address === `0000:${address}`)!;
}

function verdict(name: string, address: string): string {
  const { kind, because } = reportOf(name).verdicts.find(({ device: each }) => each.endsWith(address))!;
  return `${kind}: ${because}`;
}

describe('what the smallest texts tell besides', () => {
  it('decoded lines tell resets: FLReset+, NoSoftRst-, and the bus', () => {
    expect(device('k04-decoded-loses-resets.txt', '01:00.0').resetMethods).toEqual(['flr', 'pm', 'bus']);
  });

  it('a bridge is one by its class, whatever else is not shown', () => {
    expect(verdict('k01b-lspci-nn.txt', '00:1c.0')).toMatch(/^no: it is a bridge/);
  });

  it('a list without -k tells no drivers', () => {
    expect(device('k01b-lspci-nn.txt', '01:00.0').driver).toBeUndefined();
    expect(device('k01-lspci-nnk.txt', '01:00.0').driver).toBe('i40e');
  });

  it('a device that fell off the bus is no bridge', () => {
    expect(device('k11-fell-off-bus.txt', '01:00.0')).toMatchObject({ isBridge: false, fellOff: true });
    expect(verdict('k11-fell-off-bus.txt', '01:00.0')).toBe('no: it does not answer: its registers read as ones');
  });

  it('graphics of the processor open, with and without the address of their OpRegion', () => {
    for (const name of ['k29-igpu-with-bytes.txt', 'k29b-igpu-without-bytes.txt']) expect(verdict(name, '00:02.0')).toMatch(/^alone: /);
  });

  it('who is below a VMD cannot be given, the VMD can', () => {
    expect(verdict('k12-vmd.txt', 'e1:00.0')).toMatch(/^no: it is below the VMD 0000:00:0e\.0/);
    expect(verdict('k12-vmd.txt', '00:0e.0')).toMatch(/^alone: /);
  });

  it('pciback is a Xen host', () => {
    expect(verdict('k20-pciback.txt', '00:14.0')).toMatch(/^no: it is bound to pciback: this is a Xen host/);
  });

  it('drivers that do no DMA for the host do not block', () => {
    const { cannotTell } = reportOf('k19-mlx5-vfio.txt');
    expect(cannotTell.map(({ about }) => about.driver)).toEqual(['vfio-pci', 'mlx5_vfio_pci']);
  });

  it('bus is listed for function 0 and does not work beside function 1: a hot reset takes both', () => {
    const text = readRecording('doctor/minimal/k32-gpu-audio.txt.gz').replaceAll('MSI 00\n', 'MSI 00\n\t\tDevCap:\tMaxPayload 256 bytes, PhantFunc 0\n\t\t\tExtTag+ RBE+ FLReset-\n');
    const gpu = examine(readPaste(text)).groups.flatMap(({ members }) => members).find(({ address }) => address === '0000:01:00.0')!;
    expect(gpu.resetMethods).toEqual(['bus']);
    expect(gpu.workingResets).toEqual([]);
    expect(gpu.hotReset).toEqual({ affected: ['0000:01:00.0', '0000:01:00.1'], obstacle: undefined });
  });

  it('told groups beat registers, and the likely cause is said', () => {
    const [first] = reportOf('k22-acs-override.txt').groups;
    expect(first?.difference).toContain('the ACS override patch');
  });

  it('AMD without the function of its IOMMU: off in firmware, or none', () => {
    const { iommu } = reportOf('k30-amd-host-without-iommu.txt');
    expect(iommu.maker).toBe('amd');
    expect(iommu.signs[0]?.what).toContain('no function of class 0806');
    expect(iommu.advice.join()).toContain('AMD-Vi');
  });
});
