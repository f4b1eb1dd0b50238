/** Any text is read, in time that its length bounds: mutations of what people paste, and what makes patterns go back and forth. */
import { describe, expect, it } from 'vitest';
import { staysBounded } from '../../../../testing/cost.ts';
import { fc, parameters } from '../../../../testing/random.ts';
import { readPaste } from './read-paste.ts';
import { tarEntries } from './tar.ts';
import { readTree } from './tree.ts';

const TEXTS: readonly string[] = [
  '00:1c.0 PCI bridge [0604]: Intel Root Port #1 [8086:a338] (rev f0) (prog-if 00 [Normal decode])\n\tIOMMU group: 5\n\tBus: primary=00, secondary=01, subordinate=01\n\t\tACSCtl:\tSrcValid+ TransBlk-\n\tKernel driver in use: pcieport\n00: 86 80 38 a3 07 04 10 00 f0 00 04 06 10 00 81 00\n10: 00 00 00 00 00 00 00 00 00 01 01 00 f0 00 00 00\n20: f0 ff 00 00 f1 ff 01 00 00 00 00 00 00 00 00 00\n30: 00 00 00 00 40 00 00 00 00 00 00 00 ff 01 12 00\n',
  'root@pve:~# for d in /sys; do\n> echo\nIOMMU Group 1:\n\t00:01.0 PCI bridge [0604]: Intel [8086:1901]\n[RESET]\t01:00.0 VGA [0300]: NVIDIA [10de:1b81]\n',
  'Group 1:\t[8086:1901] [R] 00:01.0  PCI bridge     Device 1901\n        \t[10de:1b81]     01:00.0  VGA compatible controller   GP104\n',
  '[    0.4] pci 0000:00:00.0: Adding to iommu group 1\nMay 30 17:32:17 host kernel: [ 2.5] DMAR: RMRR base: 0x0000009c0f1000\n',
  '-[0000:00]-+-00.0\n           +-01.0-[01]--+-00.0  NVIDIA\n           |            \\-00.1\n           \\-1f.0\n',
  'Slot:\t00:01.0\nClass:\tHost bridge [0600]\nIOMMUGroup:\t0\n\n00:02.0 "VGA [0300]" "Intel [8086]" "HD [1912]" -r06\n',
  "<device>\n  <name>pci_0000_01_00_0</name>\n  <driver><name>vfio-pci</name></driver>\n  <capability type='pci'>\n    <iommuGroup number='1'>\n      <address domain='0x0000' bus='0x00' slot='0x01' function='0x0'/>\n    </iommuGroup>\n  </capability>\n</device>\n",
  '│ class    │ device │ id           │ iommugroup │\n│ 0x010601 │ 0xa282 │ 0000:00:17.0 │          5 │\n- class: 0x060000\n  id: 0000:00:00.0\n[{"class":"0x030000","id":"0000:01:00.0","iommugroup":1}]\n',
  '/sys/kernel/iommu_groups/1/devices:\n0000:00:01.0 -> ../../../../devices/pci0000:00/0000:00:01.0\n28000000-2fffffff : 0000:c3:00.0\nBOOT_IMAGE=/vmlinuz-6.8.0 ro\n',
];
const PIECES: readonly string[] = ['>', '&gt;', '<br>', '\r', '\t', ' ', '\u00a0', '\u001b[31m', '[code]', '```', '--', '...', '0', 'f', ':', '.', '[', ']', '(', ')', '"', '{', '}', '/', '\\', '+-', '\0', '\ud800', '01:00.0', '\n\n'];

/** A change of a text at a place. */
type Change = readonly ['cut' | 'double' | 'swap' | 'put' | 'join', at: number, piece: number];
const changes = fc.array(fc.tuple(fc.constantFrom<Change[0]>('cut', 'double', 'swap', 'put', 'join'), fc.nat(10_000), fc.nat(10_000)), { maxLength: 12 });

function changed(text: string, [kind, place, other]: Change): string {
  if (text === '') return text;
  const at = place % text.length;
  if (kind === 'put') return text.slice(0, at) + PIECES[other % PIECES.length]! + text.slice(at);
  if (kind === 'cut') return text.slice(0, at) + text.slice(at + 1 + (other % 40));
  const lines = text.split('\n');
  const [here, there] = [place % lines.length, other % lines.length];
  if (kind === 'double') lines.splice(here, 0, lines[there]!);
  else if (kind === 'swap') [lines[here], lines[there]] = [lines[there]!, lines[here]!];
  else lines.splice(here, 2, lines.slice(here, here + 2).join(''));
  return lines.join('\n');
}

describe('a paste', () => {
  it('is read however it was damaged: every line of what is told is one of the text, addresses are addresses', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...TEXTS], { minLength: 1 }), changes, (texts, list) => {
        const text = list.reduce(changed, texts.join('\n'));
        const { devices, unread, parts, machine } = readPaste(text);
        const last = text.split(/\r\n|[\n\r\u0085\u2028\u2029]/).length;
        const lines = [...devices, ...unread, ...parts, ...machine.log, ...machine.iomem].map(({ line }) => line);
        expect(lines.every((line) => line >= 1 && line <= last)).toBe(true);
        expect(devices.every(({ address }) => /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(address))).toBe(true);
        expect(devices.every(({ config }) => config === undefined || [64, 128, 256, 4096].includes(config.length))).toBe(true);
        expect(new Set(devices.map(({ address }) => address)).size).toBe(devices.length);
      }),
      parameters(25),
    );
  });

  it('says the same read twice', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TEXTS), changes, (text, list) => {
        const damaged = list.reduce(changed, text);
        expect(readPaste(damaged)).toEqual(readPaste(damaged));
      }),
      parameters(5),
    );
  });

  it('may be anything', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.array(fc.constantFrom(...PIECES, ...TEXTS), { maxLength: 40 }).map((pieces) => pieces.join(''))), (text) => {
        expect(readPaste(text).devices).toBeInstanceOf(Array);
      }),
      parameters(25),
    );
  });
});

describe('a long text of one piece', () => {
  const PER_TEXT = 60_000;
  const HEADS = ['', '00:00.0 A: b\n\t', '[    0.1] vgaarb: '];
  const REPEATED = [' ', '[', '{\n', '[\n', '<device>\n', '<a b="', '&amp;', '\u001b[', '01:00.0/', '01:00.0 ', '" "', '+-', '-[0000:00]-+-00.0', 'A: ', 'A\n', '1\n', '1: a\n', '00: 00\n', 'kern.log/', '/', '../', ' -> /', 'ls /sys/class/iommu ', 'sudo -a ', 'find a ', '00:00.0 A: b (rev ', '[code ', 'Slot:\t00:01.0\n', 'IOMMU Group 1\n', 'vgaarb:', 'dmar0\n', '\r', '\u2028'];

  it.each(REPEATED)('"%s" is read in time that its length bounds', (piece) => {
    for (const head of HEADS) {
      const text = head + piece.repeat(Math.ceil(PER_TEXT / piece.length));
      expect(staysBounded(() => readPaste(text)), head).toBe(true);
    }
  });

  it('with another number each time is read in such time', () => {
    for (const line of [(n: number) => `Group ${n}: 01:00.0 x`, (n: number) => `dmar${n}`, (n: number) => `Group 1: ${(n % 256).toString(16).padStart(2, '0')}:00.0 x`]) {
      const text = Array.from({ length: 20_000 }, (_, n) => line(n)).join('\n');
      expect(staysBounded(() => readPaste(text)), line(0)).toBe(true);
    }
  });
});

describe('an archive and a tree', () => {
  it('may be anything', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        expect(tarEntries(bytes)).toBeInstanceOf(Array);
      }),
      parameters(10),
    );
    const step = fc.constantFrom('0000:01:00.0', 'config', 'driver', 'iommu_group', 'iommu_groups', '1', 'devices', 'class', 'iommu', 'proc', 'iomem', 'pci0000:00', 'resource', '', '..', 'reset_method');
    const content = fc.oneof(fc.uint8Array({ maxLength: 300 }), step.map((link) => ({ link })));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.array(step, { maxLength: 6 }).map((steps) => steps.join('/')), content), { maxLength: 12 }), (files) => {
        expect(readTree(files).devices).toBeInstanceOf(Array);
      }),
      parameters(25),
    );
  });
});
