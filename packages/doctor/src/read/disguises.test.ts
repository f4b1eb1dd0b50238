/** What terminals, mail and forums do to a text changes nothing of what it says. */
import { describe, expect, it } from 'vitest';
import type { Paste } from './paste.ts';
import { readPaste } from './read-paste.ts';

const DECODED = `00:1c.0 PCI bridge [0604]: Intel Corporation Cannon Lake PCH PCI Express Root Port #1 [8086:a338] (rev f0) (prog-if 00 [Normal decode])
	Subsystem: ASUSTeK Computer Inc. Device [1043:8694]
	Control: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+
	Status: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
	IOMMU group: 5
	Bus: primary=00, secondary=01, subordinate=01, sec-latency=0
	Region 0: Memory at d3000000 (64-bit, non-prefetchable) [size=16M]
	Expansion ROM at 000c0000 [virtual] [disabled] [size=128K]
	Capabilities: [40] Express (v2) Root Port (Slot+), MSI 00
		DevCap:	MaxPayload 256 bytes, PhantFunc 0
			ExtTag- RBE+
	Capabilities: [140 v1] Access Control Services
		ACSCap:	SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
		ACSCtl:	SrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
	Capabilities: [e0] Vendor Specific Information: Len=14 <?>
	Kernel driver in use: pcieport
00: 86 80 38 a3 07 04 10 00 f0 00 04 06 10 00 81 00
10: 00 00 00 00 00 00 00 00 00 01 01 00 f0 00 00 00
20: f0 ff 00 00 f1 ff 01 00 00 00 00 00 00 00 00 00
30: 00 00 00 00 40 00 00 00 00 00 00 00 ff 01 12 00

01:00.0 Non-Volatile memory controller [0108]: Samsung Electronics Co Ltd NVMe SSD Controller SM981/PM981/PM983 [144d:a808] (prog-if 02 [NVM Express])
	IOMMU group: 11
	Capabilities: <access denied>
	Kernel driver in use: nvme
	Kernel modules: nvme
`;
const LISTING = `IOMMU Group 1:
	00:01.0 PCI bridge [0604]: Intel Corporation Xeon E3-1200 v3/4th Gen Core Processor PCI Express x16 Controller [8086:0c01] (rev 06)
	01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GK104 [GeForce GTX 760] [10de:1187] (rev a1)
	01:00.1 Audio device [0403]: NVIDIA Corporation GK104 HDMI Audio Controller [10de:0e0a] (rev a1)
IOMMU Group 2:
	00:02.0 VGA compatible controller [0300]: Intel Corporation HD Graphics 530 [8086:1912] (rev 06)
`;
const LOG = `[    0.427880] pci 0000:00:02.0: Adding to iommu group 0
[    0.427906] pci 0000:00:00.0: Adding to iommu group 1
[    0.168658] DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR [0x000000009d800000-0x000000009fffffff], contact BIOS vendor for fixes
[    9.000000] vfio-pci 0000:00:02.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.
`;
const TEXTS: readonly (readonly [string, string])[] = [['lspci', DECODED], ['a listing', LISTING], ['a log', LOG]];

const each = (text: string, change: (line: string, index: number) => string): string => text.split('\n').map(change).join('\n');
const spaces = (text: string): string => text.replaceAll('\t', '        ');
/** As a mailer breaks lines, at the last blank before the column. */
const wrapped = (text: string, width: number, indent: string, trailing: string): string =>
  each(spaces(text), (line) => {
    const out: string[] = [];
    let rest = line;
    while (rest.length > width) {
      const at = rest.lastIndexOf(' ', width);
      if (at <= 12) break;
      out.push(rest.slice(0, at) + trailing);
      rest = indent + rest.slice(at + 1);
    }
    return [...out, rest].join('\n');
  });

const DISGUISES: readonly (readonly [string, (text: string) => string])[] = [
  ['a byte order mark', (text) => `\ufeff${text}`],
  ['CRLF', (text) => text.replaceAll('\n', '\r\n')],
  ['CR alone', (text) => text.replaceAll('\n', '\r')],
  ['two bytes a character', (text) => text.replaceAll(/[\s\S]/g, '$&\0')],
  ['spaces for tabs', spaces],
  ['blanks that do not break', (text) => text.replaceAll('\t', '\u00a0\u00a0\u00a0\u00a0').replaceAll(' ', '\u00a0')],
  ['blanks of Unicode', (text) => text.replaceAll('\t', '\u2003')],
  ['invisible characters', (text) => text.replaceAll(' ', ' \u200b').replaceAll('\n', '\u200d\n')],
  ['blanks at the ends', (text) => each(text, (line) => (line.length < 30 ? `${line}  ` : line))],
  ['a block of four blanks', (text) => each(text, (line) => `    ${line}`)],
  ['a block of a tab', (text) => each(text, (line) => `\t${line}`)],
  ['a block whose first line is flush', (text) => each(text, (line, i) => (i === 0 ? line : `    ${line}`))],
  ['lost indentation', (text) => each(text, (line) => line.trimStart())],
  ['a quotation', (text) => each(text, (line) => `> ${line}`)],
  ['a tight quotation', (text) => each(text, (line) => `>${line}`)],
  ['a quotation of quotations', (text) => each(text, (line) => `> >>> ${line}`)],
  ['a fence', (text) => `\`\`\`\n${text}\`\`\`\n`],
  ['a fence in a quotation', (text) => each(`\`\`\`text\n${text}\`\`\``, (line) => `> ${line}`)],
  ['BBCode', (text) => `[code]${text}[/code]\n`],
  ['BBCode with a language', (text) => `[CODE=bash]\n${text}[/CODE]\n`],
  ['HTML', (text) => `<pre><code>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}</code></pre>\n`],
  ['HTML breaks', (text) => text.replaceAll('\n', '<br>').replaceAll('\t', '&nbsp; &nbsp; ')],
  ['HTML breaks with line ends', (text) => text.replaceAll('\n', '<br/>\n')],
  ['details', (text) => `<details><summary>lspci</summary>\n\n${text}</details>\n`.replace('lspci', '')],
  ['colours', (text) => text.replaceAll('NVIDIA', '\u001b[01;31m\u001b[KNVIDIA\u001b[m\u001b[K').replaceAll('Kernel', '\u001b[32mKernel\u001b[0m').replaceAll('iommu', '\u001b[1;31miommu\u001b[0m')],
  ['colours without their escapes', (text) => text.replaceAll('NVIDIA', '[01;31m[KNVIDIA[m[K').replaceAll('IOMMU', '[01;31m[KIOMMU[m[K')],
  ['colours as cat -v shows them', (text) => text.replaceAll('NVIDIA', '^[[01;31m^[[KNVIDIA^[[m^[[K')],
  ['brackets that an editor escaped', (text) => text.replaceAll(/[[\]_]/g, '\\$&')],
  ['invisible entities', (text) => text.replaceAll('\n', '&#x200B;\n')],
  ['cat -n', (text) => each(text.trimEnd(), (line, i) => `${String(i + 1).padStart(6)}\t${line}`)],
  ['cat -n with blanks', (text) => each(spaces(text.trimEnd()), (line, i) => `${String(i + 1).padStart(6)}  ${line}`)],
  ['cat -A', (text) => each(text, (line) => `${line.replaceAll('\t', '^I')}$`).replace(/^\$$/gm, '')],
  ['nl', (text) => { let n = 0; return each(text, (line) => (line === '' ? '       ' : `${String(++n).padStart(6)}\t${line}`)); }],
  ['numbers of an editor', (text) => each(text.trimEnd(), (line, i) => `${i + 1}: ${line}`)],
  ['numbers with bars', (text) => each(text.trimEnd(), (line, i) => `${i + 1} | ${line}`.replace(' |', '|'))],
  ['blank lines between all', (text) => text.replaceAll('\n', '\n\n')],
  ['a mail wrapped at 72', (text) => wrapped(text, 72, '', ' ')],
  ['a mail wrapped at 72 without blanks', (text) => wrapped(text, 72, '', '')],
  ['a mail wrapped at 72 and indented', (text) => wrapped(text, 72, '                        ', ' ')],
  ['a wrapped mail, quoted', (text) => each(wrapped(text, 74, '', ''), (line) => `> ${line}`)],
  ['a prompt', (text) => `root@pve:~# sudo something-of-mine\n${text}root@pve:~# \n`],
  ['people', (text) => `Hi all,\n\nmy machine is slow, and 01:00.0 is what I want to pass through.\n\n${text}\nThanks in advance\n`],
];

function told({ devices, machine }: Paste): unknown {
  return { devices: devices.map((device) => ({ ...device, line: 0, groups: device.groups.map(({ number }) => number), decoded: device.decoded.join(' ').replaceAll(/\s+/g, ' ') })), log: machine.log.map(({ text, address }) => [text, address]) };
}

describe.each(TEXTS)('%s', (_name, text) => {
  const plain = readPaste(text);

  it('is read whole', () => {
    expect(plain.unread).toEqual([]);
    expect(plain.devices.length).toBeGreaterThan(1);
  });

  it.each(DISGUISES)('says the same in %s', (name, disguise) => {
    const paste = readPaste(disguise(text));
    expect(told(paste)).toEqual(told(plain));
    expect(paste.unread.map((unread) => unread.text)).toEqual(name === 'people' ? ['Hi all,', 'my machine is slow, and 01:00.0 is what I want to pass through.', 'Thanks in advance'] : []);
  });
});
