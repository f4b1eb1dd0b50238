import { describe, expect, it } from 'vitest';
import { examine } from '../examine.ts';
import { readPaste } from '../read/read-paste.ts';

/** What is stated of a text: groups, and who is left open. */
function saidOf(text: string): { readonly groups: readonly string[]; readonly open: readonly string[] } {
  const { groups, cannotTell } = examine(readPaste(text));
  return { groups: groups.map(({ devices }) => devices.join(' ')), open: cannotTell.map(({ device }) => device) };
}

const PORT = `00:02.0 PCI bridge [0604]: Intel Corporation Device [8086:3420]
\tControl: I/O- Mem+ BusMaster+
\tStatus: Cap+ 66MHz-
\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0
\tCapabilities: [40] Express (v2) Root Port (Slot+), MSI 00
\tCapabilities: [148 v1] Access Control Services
\t\tACSCap:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-

`;
const vf = (fn: string): string => `01:10.${fn} Ethernet controller [0200]: Intel Corporation 82576 Virtual Function [8086:10ca]
\tControl: I/O- Mem- BusMaster-
\tStatus: Cap+ 66MHz-
\tCapabilities: [a0] Express (v2) Endpoint, MSI 00

`;

describe('virtual functions whose PF is not in the text', () => {
  it('are no functions of one device, whatever their numbers look like', () => {
    expect(saidOf(`${PORT}${vf('0')}${vf('2')}${vf('4')}`)).toEqual({ groups: ['0000:00:02.0', '0000:01:10.0', '0000:01:10.2', '0000:01:10.4'], open: [] });
  });

  it('are left open where the bridge above is missing, too', () => {
    expect(saidOf(`${vf('0')}${vf('2')}`)).toEqual({ groups: [], open: ['0000:01:10.0', '0000:01:10.2'] });
  });
});

describe('a bridge that was left out', () => {
  it('may be beside a host bridge of AMD that is alone in its slot', () => {
    const text = (port: string): string => `00:00.0 Host bridge [0600]: Advanced Micro Devices, Inc. [AMD] Device [1022:14a4]
00:00.2 IOMMU [0806]: Advanced Micro Devices, Inc. [AMD] Device [1022:149e]
00:01.0 Host bridge [0600]: Advanced Micro Devices, Inc. [AMD] Device [1022:149f]
00:01.1 PCI bridge [0604]: Advanced Micro Devices, Inc. [AMD] Device [1022:14ab]
00:07.0 Host bridge [0600]: Advanced Micro Devices, Inc. [AMD] Device [1022:149f]
${port}01:00.0 USB controller [0c03]: Advanced Micro Devices, Inc. [AMD] Device [1022:14c9]
`;
    expect(saidOf(text('')).open).toContain('0000:00:07.0');
    expect(saidOf(text('')).groups).not.toContain('0000:00:07.0');
  });

  it('leads to any bus: each of those that look alike may be the one', () => {
    const ports = ['2', '3', '4'].map((slot) => `00:0${slot}.0 PCI bridge [0604]: Red Hat, Inc. QEMU PCIe Root port [1b36:000c]\n`).join('');
    expect(saidOf(`${ports}01:00.0 Ethernet controller [0200]: Intel Corporation Device [8086:10d3]\n`).open).toEqual(['0000:00:02.0', '0000:00:03.0', '0000:00:04.0', '0000:01:00.0']);
  });
});
