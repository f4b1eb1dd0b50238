/** Every text of recordings/doctor: what is read of it. Real machines in every form of lspci, with what mail and forums do to texts. */
import { readdirSync } from 'node:fs';
import { readRecording } from '@vsim/conformance';
import { DEGRADATIONS, fieldMachines } from '@vsim/conformance/doctor';
import { readPaste, type Paste } from '@vsim/doctor';
import { parseLspci } from '@vsim/vfio-pci';
import { describe, expect, it } from 'vitest';

const FOLDER = new URL('../../conformance/recordings/doctor/', import.meta.url);

/** How many devices have what, where any has it; what else is read, and what is not. */
const READ: readonly (readonly [file: string, what: string])[] = [
  ['02-hp-coffeelake/lspci-vv.txt', '34 devices, 34 classes, 34 decoded, 32 drivers, 2 none, 34 grouped, 27 groups'],
  ['02-hp-coffeelake/truth.dmesg.txt', '34 devices, 34 grouped, 27 groups'],
  ['04-egpu-thunderbolt/lspci-nnvvv.txt', '48 devices, 48 ids, 48 classes, 48 decoded, 42 drivers, 6 none, 48 grouped, 13 groups'],
  ['04-egpu-thunderbolt/lspci-tree.txt', '48 devices, 48 parents'],
  ['04-egpu-thunderbolt/truth.dmesg.txt', '48 devices, 48 grouped, 13 groups'],
  ['06-x99-linux59/listing-as-quoted.txt', '11 devices, 11 ids, 11 classes, 11 grouped, 4 groups, 6 unread'],
  ['06-x99-linux59/paste-as-mailed.txt', '3 devices, 3 classes, 3 decoded, 3 bytes, 3 drivers, 3 grouped, 3 groups'],
  ['07-t450s-plain-lspci/dmesg-dmar.txt', '22 log'],
  ['07-t450s-plain-lspci/lspci-without-prompt.txt', '16 devices, 16 classes'],
  ['07-t450s-plain-lspci/lspci.txt', '16 devices, 16 classes'],
  ['07-t450s-plain-lspci/truth.dmesg.txt', '15 devices, 15 grouped, 12 groups'],
  ['10-hp-alderlake-lspci-v/lspci-v.txt', '30 devices, 30 classes, 30 decoded, 22 drivers, 8 none, 30 grouped, 22 groups'],
  ['11-aer-lspci-vv-no-nn/lspci-vv.txt', '22 devices, 22 classes, 22 decoded, 19 drivers, 3 none, 22 grouped, 16 groups'],
  ['12-ryzen-216865/lspci-vvv.txt', '25 devices, 25 classes, 25 decoded, 14 drivers, 11 none, 23 grouped, 10 groups'],
  ['13-z370-desktop/lspci-nnk-as-pasted.txt', '20 devices, 20 ids, 20 classes, 20 decoded, 17 drivers, 3 none'],
  ['13-z370-desktop/lspci-nnk.txt', '20 devices, 20 ids, 20 classes, 20 decoded, 17 drivers, 3 none'],
  ['13-z370-desktop/truth.listing.txt', '21 devices, 21 ids, 21 classes, 21 grouped, 15 groups'],
  ['17-x670e-board/ls-iommu.txt', '62 devices, 62 ids, 62 classes, 62 grouped, 27 groups, 36 resettable'],
  ['17-x670e-board/other-tool.txt', '53 devices, 53 ids, 53 classes, 53 grouped, 45 groups'],
  ['18-genoa-supermicro/lspci.txt', '149 devices, 149 classes'],
  ['18-genoa-supermicro/truth.dmesg.txt', '133 devices, 133 grouped, 81 groups'],
  ['19-sample-boards/z170-listing.txt', '20 devices, 20 ids, 20 classes, 20 grouped, 14 groups'],
  ['21-x570-single-gpu/loop.txt', '45 devices, 45 ids, 45 classes, 45 grouped, 32 groups'],
  ['21-x570-single-gpu/truth.dmesg.txt', '45 devices, 45 grouped, 32 groups'],
  ['23-pciutils-dumps/PCI-X-bridges-and-domains.txt', '31 devices, 31 classes, 31 bytes'],
  ['23-pciutils-dumps/broken-ecaps.txt', '1 devices, 1 classes, 1 bytes'],
  ['23-pciutils-dumps/tree-asus-p6t6.txt', '53 devices, 53 classes, 53 bytes'],
  ['23-pciutils-dumps/tree-fsl-p2020.txt', '6 devices, 6 ids, 6 classes, 6 bytes'],
  ['23-pciutils-dumps/tree-fujitsu-p8010.txt', '22 devices, 22 classes, 22 bytes'],
  ['24-coreboot-logs/h61.txt', '11 devices, 11 ids, 11 classes, 11 decoded, 11 bytes, 10 drivers, 1 none'],
  ['24-coreboot-logs/jetway.txt', '29 devices, 29 ids, 29 classes, 29 decoded, 19 drivers, 10 none'],
  ['24-coreboot-logs/m11x.txt', '23 devices, 23 ids, 23 classes, 23 decoded, 23 bytes, 21 drivers, 2 none'],
  ['24-coreboot-logs/t400.txt', '27 devices, 27 ids, 27 classes, 27 decoded, 27 bytes, 23 drivers, 4 none'],
  ['25-xio2001-bridge/lspci-n-as-posted.txt', '2 devices, 2 ids, 2 classes'],
  ['25-xio2001-bridge/lspci-vvnn-reconstructed.txt', '3 devices, 3 ids, 3 classes, 2 decoded, 2 drivers, 1 none'],
  ['27-harvester-7945/listing-1.8.txt', '6 devices, 6 ids, 6 classes, 6 grouped, 1 groups'],
  ['28-rmrr-proliant/dmesg-lines.txt', '1 log'],
  ['28-rmrr-proliant/lspci-vvnn-reconstructed.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['29-vmd-laptop/lspci-nn.txt', '6 devices, 6 ids, 6 classes'],
  ['29-vmd-laptop/truth.dmesg.txt', '5 devices, 5 grouped, 2 groups'],
  ['30-qubes-i219/lspci-vvnn-reconstructed.txt', '2 devices, 2 ids, 2 classes, 1 decoded, 1 drivers, 1 none'],
  ['31-bootfb/dmesg-lines.txt', '1 log'],
  ['31-bootfb/iomem.txt', '3 iomem'],
  ['31-bootfb/lspci-nnk-reconstructed.txt', '2 devices, 2 ids, 2 classes, 2 drivers'],
  ['32-stuck-in-d3/lspci-vvnn-reconstructed.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 1 bytes, 2 drivers'],
  ['34-hda-no-reset/lspci-vvnn-reconstructed.txt', '4 devices, 4 ids, 4 classes, 1 decoded, 3 drivers, 1 none'],
  ['35-vga-passthrough-15/listing.txt', '4 devices, 4 ids, 4 classes, 4 grouped, 2 groups'],
  ['38-surface-book2/lspci.txt', '23 devices, 23 classes, 23 decoded, 21 drivers, 2 none, 23 grouped, 14 groups'],
  ['39-titan-ridge/lspci.txt', '16 devices, 16 ids, 16 classes, 16 decoded, 12 drivers, 4 none, 16 grouped, 11 groups'],
  ['41-igpu-opregion/k29-igpu-with-bytes.txt', '1 devices, 1 ids, 1 classes, 1 bytes, 1 drivers'],
  ['minimal/binary.txt', '24 unread'],
  ['minimal/empty.txt', ''],
  ['minimal/k01-lspci-nnk.txt', '4 devices, 4 ids, 4 classes, 4 drivers'],
  ['minimal/k01b-lspci-nn.txt', '3 devices, 3 ids, 3 classes'],
  ['minimal/k02-lspci-plain.txt', '2 devices, 2 classes'],
  ['minimal/k03-lspci-v.txt', '2 devices, 2 classes, 2 decoded, 2 drivers, 2 grouped, 2 groups'],
  ['minimal/k04-decoded-loses-resets.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k05-iommu-off-acs-off.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k06-no-ids.txt', '2 devices, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k06b-with-ids.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k07-prompt.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k08-shell-loop.txt', '3 devices, 3 ids, 3 classes, 3 grouped, 1 groups'],
  ['minimal/k08b-shell-loop-oneline.txt', '2 devices, 2 ids, 2 classes, 2 grouped, 1 groups'],
  ['minimal/k09-grep-A.txt', '2 devices, 2 ids, 2 classes, 1 decoded, 2 drivers'],
  ['minimal/k10-partial-paste.txt', '1 devices, 1 ids, 1 classes, 1 decoded, 1 drivers'],
  ['minimal/k11-fell-off-bus.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 1 bytes, 2 drivers'],
  ['minimal/k12-vmd.txt', '3 devices, 3 ids, 3 classes, 3 decoded, 3 drivers'],
  ['minimal/k13-access-denied.txt', '3 devices, 3 ids, 3 classes, 3 decoded, 3 drivers'],
  ['minimal/k14-two-commands.txt', '1 devices, 1 ids, 1 classes, 1 decoded, 1 bytes, 1 drivers'],
  ['minimal/k15-mail-wrapped.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k15b-mail-wrapped-indented.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k15c-quoted.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k16-indented-block.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k16b-first-line-flush.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k17-bom.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k18-xxx-only.txt', '2 devices, 2 classes, 2 bytes'],
  ['minimal/k18b-x-only.txt', '2 devices, 2 classes, 2 bytes'],
  ['minimal/k19-mlx5-vfio.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers'],
  ['minimal/k20-pciback.txt', '2 devices, 2 ids, 2 classes, 1 drivers, 1 none'],
  ['minimal/k21-vmm.txt', '1 devices, 1 ids, 1 classes, 1 grouped, 1 groups'],
  ['minimal/k22-acs-override.txt', '2 devices, 2 ids, 2 classes, 2 decoded, 2 drivers, 2 grouped, 2 groups'],
  ['minimal/k23-amd-zen.txt', '3 devices, 3 ids, 3 classes, 1 decoded'],
  ['minimal/k24-amd-no-nn.txt', '2 devices, 2 classes'],
  ['minimal/k25-find.txt', '2 devices, 2 grouped, 1 groups'],
  ['minimal/k26-PP.txt', '1 devices, 1 ids, 1 classes, 1 drivers, 1 parents'],
  ['minimal/k27-truncated-row.txt', '1 devices, 1 ids, 1 classes, 1 unread'],
  ['minimal/k28-sunrise-point-decoded.txt', '4 devices, 4 ids, 4 classes, 4 decoded, 4 drivers'],
  ['minimal/k29-igpu-with-bytes.txt', '1 devices, 1 ids, 1 classes, 1 bytes, 1 drivers'],
  ['minimal/k29b-igpu-without-bytes.txt', '1 devices, 1 ids, 1 classes, 1 drivers'],
  ['minimal/k30-amd-host-without-iommu.txt', '2 devices, 2 ids, 2 classes'],
  ['minimal/k31-arm.txt', '1 devices, 1 ids, 1 classes, 1 decoded'],
  ['minimal/k32-gpu-audio.txt', '3 devices, 3 ids, 3 classes, 3 decoded, 3 drivers'],
  ['minimal/k33-fence.txt', '1 devices, 1 ids, 1 classes'],
  ['minimal/own.json', '1 unread'],
];

function summary({ devices, machine, unread }: Paste): string {
  const having = (has: (device: Paste['devices'][number]) => boolean): number => devices.filter(has).length;
  const counts = {
    devices: devices.length,
    ids: having(({ vendor, device }) => vendor !== undefined && device !== undefined),
    classes: having(({ classCode, className }) => classCode !== undefined || className !== undefined),
    decoded: having(({ decoded }) => decoded.length > 0),
    bytes: having(({ config }) => config !== undefined),
    drivers: having(({ driver }) => typeof driver === 'string'),
    none: having(({ driver }) => driver === null),
    grouped: having(({ groups }) => groups.length > 0),
    groups: new Set(devices.flatMap(({ groups }) => groups.map(({ number }) => number))).size,
    parents: having(({ parent }) => parent !== undefined),
    resettable: having(({ resettable }) => resettable === true),
    log: machine.log.length,
    iomem: machine.iomem.length,
    unread: unread.length,
  };
  return Object.entries(counts).filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`).join(', ');
}

describe('a recorded text', () => {
  it.each(READ)('%s: %s', (file, what) => {
    expect(summary(readPaste(readRecording(`doctor/${file}.gz`)))).toBe(what);
  });

  it('is in the table', () => {
    const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.txt.gz')).map((file) => file.replaceAll('\\', '/').slice(0, -'.gz'.length));
    expect(READ.map(([file]) => file)).toEqual(expect.arrayContaining(files));
  });
});

const each = (text: string, change: (line: string, index: number) => string): string => text.split('\n').map(change).join('\n');

/** As a mailer breaks lines, at the last blank before the column. */
function wrapped(text: string, width: number, indent: string, end: string): string {
  return each(text.replaceAll('\t', '        '), (line) => {
    const out: string[] = [];
    let rest = line;
    for (let at = rest.lastIndexOf(' ', width); rest.length > width && at > 12; at = rest.lastIndexOf(' ', width)) {
      out.push(rest.slice(0, at) + end);
      rest = indent + rest.slice(at + 1);
    }
    return [...out, rest].join('\n');
  });
}

const DISGUISES: readonly (readonly [name: string, change: (text: string) => string])[] = [
  ['quoted', (text) => each(text, (line) => `> ${line}`)],
  ['quoted twice', (text) => each(text, (line) => `>>${line}`)],
  ['with CRLF', (text) => text.replaceAll('\n', '\r\n')],
  ['as HTML', (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\n', '<br>\n')],
  ['numbered by cat -n', (text) => `${each(text.trimEnd(), (line, i) => `${String(i + 1).padStart(6)}\t${line}`)}\n`],
  ['numbered by an editor', (text) => `${each(text.trimEnd(), (line, i) => `${i + 1}: ${line}`)}\n`],
  ['as a block', (text) => each(text, (line) => `    ${line}`)],
  ['with spaces', (text) => text.replaceAll('\t', '        ')],
  ['without indentation', (text) => each(text, (line) => line.trimStart())],
  ['wrapped at 72', (text) => wrapped(text, 72, '', '')],
  ['wrapped and flowed', (text) => wrapped(text, 72, '', ' ')],
  ['wrapped at 76 and indented', (text) => wrapped(text, 76, '                    ', ' ')],
  ['with blank lines between', (text) => text.replaceAll('\n', '\n\n')],
];

const MACHINES = fieldMachines();

describe.each(MACHINES.map((machine, place) => [machine.name, machine, place] as const))('%s', (_name, { text, truth }, place) => {
  const forms = DEGRADATIONS.flatMap(({ name, of }) => {
    const less = of(text);
    return less === undefined ? [] : [[name, less] as const];
  });

  it.each([['as it is', text] as const, ...forms])('by lspci %s is told of its groups what its kernel made', (_form, shown) => {
    const told = readPaste(shown).devices.flatMap(({ address, groups }) => groups.map(({ number }) => [address, number] as const));
    expect(told).toEqual(told.map(([address]) => [address, truth.get(address)]));
  });

  it.each(forms)('by lspci %s says what the strict reader says, and nothing is unread', (_form, less) => {
    const { devices, unread } = readPaste(less);
    const strict = parseLspci(less);
    expect(unread).toEqual([]);
    expect(devices.map(({ address, driver, config }) => [address, driver ?? undefined, config?.length])).toEqual(
      strict.map(({ address, driver, config }) => [address, driver, config?.length] as const).sort(byAddress),
    );
  });

  // Each form in another disguise; each machine begins with another one.
  it.each(forms.map(([name, less], at) => [name, ...DISGUISES[(at + place) % DISGUISES.length]!, less] as const))('by lspci %s says the same %s', (_form, _disguise, change, less) => {
    expect(told(readPaste(change(less)))).toEqual(told(readPaste(less)));
  });
});

function told({ devices, unread }: Paste): unknown {
  const plain = devices.map((device) => ({ ...device, line: 0, groups: device.groups.map(({ number }) => number), decoded: device.decoded.join(' ').replaceAll(/\s+/g, ' ') }));
  return [plain, unread];
}

function byAddress([a]: readonly [string, ...unknown[]], [b]: readonly [string, ...unknown[]]): number {
  return orderOf(a) - orderOf(b);
}

function orderOf(address: string): number {
  return Number.parseInt(address.replaceAll(/[:.]/g, '').padStart(13, '0'), 16);
}
