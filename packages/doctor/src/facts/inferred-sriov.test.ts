import { describe, expect, it } from 'vitest';
import { examine } from '../examine.ts';
import { readPaste } from '../read/read-paste.ts';

/** A port that isolates, a card with SR-IOV of which the registers are not shown, and three of its VFs. */
const text = (vf: string, slot: string): string => `00:00.0 Host bridge [0600]: Intel Corporation 82G33 [8086:29c0]
	Flags: fast devsel

00:01.0 PCI bridge [0604]: Intel Corporation Root Port [8086:a338]
	Flags: bus master
	Bus: primary=00, secondary=01, subordinate=01, sec-latency=0
	Capabilities: [40] Express Root Port (Slot+), MSI 00
	Capabilities: [100] Access Control Services

01:00.0 Ethernet controller [0200]: Intel Corporation 82576 [8086:10c9]
	Flags: bus master
	Capabilities: [a0] Express Endpoint, MSI 00
	Capabilities: [160] Single Root I/O Virtualization (SR-IOV)

${['0', '2', '4'].map((fn) => `01:${slot}.${fn} Ethernet controller [0200]: ${vf} [8086:10ca]\n\tFlags: fast devsel\n\tCapabilities: [a0] Express Endpoint, MSI 00\n`).join('\n')}
`;

function groups(source: string): readonly string[] {
  return examine(readPaste(source)).groups.map(({ devices }) => devices.join(' ')).filter((group) => group.includes('01:'));
}

describe('virtual functions of a PF whose registers are not shown', () => {
  it('are known by their name', () => {
    expect(groups(text('Intel Corporation 82576 Virtual Function', '10'))).toEqual(['0000:01:00.0', '0000:01:10.0', '0000:01:10.2', '0000:01:10.4']);
  });

  it('are known by a device number that nobody else has below a port', () => {
    expect(groups(text('Intel Corporation Device', '10'))).toEqual(['0000:01:00.0', '0000:01:10.0', '0000:01:10.2', '0000:01:10.4']);
  });

  it('functions of the same device are none', () => {
    const one = text('Intel Corporation Device', '00').replace(/01:00\.0 Ethernet controller \[0200\]: Intel Corporation Device.*?\n\n/s, '');
    expect(groups(one)).toEqual(['0000:01:00.0', '0000:01:00.2 0000:01:00.4']); // the 82576 isolates by a quirk
  });
});
