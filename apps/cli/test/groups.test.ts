/** `vsim groups` and `vsim lspci`: what they print, and what they refuse. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRecording, topologyMachine, topologyNames, topologyText } from '@vsim/conformance';
import { afterAll, describe, expect, it } from 'vitest';
import { called } from './called.ts';

const folder = mkdtempSync(join(tmpdir(), 'vsim-groups-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return name;
}

function run(...args: readonly string[]) {
  const told = called(args, { cwd: folder });
  return { ...told, text: told.out.join('\n') };
}

interface Report {
  readonly input: { readonly quality: string; readonly command?: string };
  readonly wouldBe: boolean;
  readonly groups: readonly { readonly id: number | null; readonly standing: string; readonly devices: readonly string[]; readonly reason: string; readonly viable: boolean; readonly blockers: readonly { readonly what: string }[]; readonly difference?: string }[];
  readonly cannotTell: readonly { readonly device: string }[];
  readonly ungrouped: readonly { readonly device: string; readonly why: string }[];
}

function json(...args: readonly string[]): Report {
  const { code, out } = run('groups', ...args, '--json');
  expect(code).toBe(0);
  expect(out).toHaveLength(1);
  return JSON.parse(out[0]!) as Report;
}

describe('vsim groups', () => {
  it.each(topologyNames())('%s: the recorded groups, from the blind text', (name) => {
    const devices = topologyMachine(name).object('devices');
    const groupOf = (address: string) => devices.object(address).raw('iommu_group');
    const recorded = new Map<unknown, string[]>();
    for (const address of devices.keys) if (groupOf(address) !== null) recorded.set(groupOf(address), [...(recorded.get(groupOf(address)) ?? []), address]);
    const { groups, ungrouped, cannotTell, input } = json(file(`${name}.txt`, topologyText(name)));
    const computed = groups.map((group) => group.devices.filter((address) => groupOf(address) !== null)).filter((group) => group.length > 0);
    expect(computed.map((group) => group.join(' ')).sort()).toEqual([...recorded.values()].map((group) => group.sort().join(' ')).sort());
    expect(ungrouped).toEqual([]);
    expect(cannotTell).toEqual([]);
    expect(input).toMatchObject({ quality: 'registers' });
    for (const group of groups) expect(group.reason).not.toBe('');
  });

  it('says that a boot was without an IOMMU, and what the groups would be with one', () => {
    const { wouldBe, groups } = json(file('off.txt', topologyText('mix-off')));
    const on = json(file('on.txt', topologyText('mix-on')));
    expect(wouldBe).toBe(true);
    expect(on.wouldBe).toBe(false);
    const shape = (report: Report['groups']) => report.map(({ devices }) => devices.join(' ')).filter((devices) => !devices.includes('01:1'));
    expect(shape(groups)).toEqual(shape(on.groups));
  });

  it('begins with the quality of the text, and has a table of what people give away', () => {
    const { out } = run('groups', file('gpu.txt', topologyText('gpu-audio')));
    expect(out[0]).toBe('24 functions from lspci: everything that isolation depends on is shown.');
    expect(out).toContain('Graphics');
    expect(out.find((line) => line.startsWith('  01:00.0'))).toMatch(/yes, with 01:00\.1$/);
    expect(out.length).toBeLessThan(50);
  });

  it('--all tells who is together and why, what is in the way, and what VFIO answers', () => {
    const { code, text } = run('groups', file('gpu.txt', topologyText('gpu-audio')), '--all');
    expect(code).toBe(0);
    expect(text).toContain('0000:01:00.1 and 0000:01:00.0 are functions of one device without ACS');
    expect(text).toContain('\tVFIO: 0000:01:00.0 alone: EPERM at VFIO_GROUP_SET_CONTAINER\n');
    expect(text).toContain('\tVFIO: all of them: ok\n');
    expect(text).toContain('\tBlocker: only bridges, which VFIO does not take: EINVAL at bind\n');
    expect(text).toMatch(/\n14 groups, 0 functions whose group cannot be told, 0 in none$/);
  });

  it('--device answers for one, the verdict first', () => {
    const name = file('gpu.txt', topologyText('gpu-audio'));
    const { out } = run('groups', name, '--device', '01:00.0');
    expect(out[0]).toBe('01:00.0 can be given to a VM, with 01:00.1, once both are bound to vfio-pci: they are one IOMMU group.');
    expect(out).toContain('  driverctl set-override 0000:01:00.0 vfio-pci');
    expect(out.join('\n')).toContain("<address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/>");
    expect(out.join('\n')).toContain('-device vfio-pci,host=0000:01:00.0 -device vfio-pci,host=0000:01:00.1');
    expect(run('groups', name, '--device', '00:02.0').out[0]).toMatch(/^00:02\.0 cannot be given to a VM: it is a bridge/);
    expect(run('groups', name, '--device', 'gpu').out).toHaveLength(5);
    expect(run('groups', name, '--device', 'nothing')).toMatchObject({ code: 2, out: [] });
  });

  it('answers for a line of the log alone, and for the device that it names', () => {
    const name = file('line.txt', 'qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 1 is not viable\n');
    const advice = /To do: Bind every endpoint of the group to vfio-pci/;
    expect(run('groups', name).text).toMatch(advice);
    const { out, text } = run('groups', name, '--device', '01:00.0');
    expect(out[0]).toBe('Whether 01:00.0 can be given to a VM cannot be told: the text does not show it; sudo lspci -Dnnvvxxxx tells it.');
    expect(text).toMatch(advice);
    expect(run('groups', name, '--device', '02:00.0').code).toBe(2);
  });

  it('says what QEMU prints where another member keeps its driver', () => {
    const { out } = run('groups', file('gpu.txt', topologyText('gpu-audio')), '--device', '01:00.0');
    expect(out).toContain('  Where one of the two keeps a driver of the host, QEMU says: "vfio 0000:01:00.0: group N is not viable"');
  });

  it('--tree shows each function below its bridge', () => {
    const { out } = run('groups', file('gpu.txt', topologyText('gpu-audio')), '--tree');
    expect(out.some((line) => /^[├└]─ 00:02\.0 /.test(line))).toBe(true);
    expect(out.some((line) => /^. {2}[├└]─ 01:00\.1 .*\(group \{01:00\.0\}\)$/.test(line))).toBe(true);
  });

  it('does not tell groups of a list without capabilities, and says what would', () => {
    const { out } = run('groups', file('nnk.txt', readRecording('doctor/minimal/k01-lspci-nnk.txt.gz')), '--device', '01:00.0');
    expect(out[0]).toMatch(/^Whether 01:00\.0 can be given to a VM cannot be told: the text lacks .*; sudo lspci -Dnnvvxxxx tells it\.$/);
  });

  it('without an IOMMU: no groups; without interrupt remapping: EPERM at SET_IOMMU', () => {
    const name = file('rootports.txt', topologyText('rootports'));
    const none = json(name, '--iommu', 'none');
    expect(none.groups).toEqual([]);
    expect(none.ungrouped).toHaveLength(20);
    const { text } = run('groups', name, '--no-intremap', '--all');
    expect(text).toContain('\tVFIO: 0000:04:00.0 alone: EPERM at VFIO_SET_IOMMU\n');
    expect(text).toContain('Blocker: no interrupt remapping');
  });

  it('does not call VFs an obstacle whose driver takes them along', () => {
    const { groups } = json(file('igb.txt', topologyText('sriov-igb')));
    const pf = groups.find(({ devices }) => devices.includes('0000:01:00.0'));
    expect(pf?.blockers.map(({ what }) => what)).toEqual(['0000:01:00.0 is bound to igb: unbind it, and bind it to vfio-pci']);
  });

  it('takes the dump, the recorded description and a folder of sysfs alike', () => {
    const shape = ({ groups }: Report) => groups.map(({ devices }) => devices.join(' '));
    const fromDump = shape(json(file('host.dump', readRecording('lspci/host.dump.txt.gz'))));
    expect(fromDump).toHaveLength(34);
    expect(shape(json(file('host.json', readRecording('vfio/host.json.gz'))))).toEqual(fromDump);
    const host = JSON.parse(readRecording('vfio/host.json.gz')) as { devices: Record<string, { config: string; driver: string | null }> };
    for (const [address, { config }] of Object.entries(host.devices)) {
      const place = join(folder, 'sysfs/bus/pci/devices', address);
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, 'config'), Buffer.from(config, 'hex'));
      symlinkSync('../../../../bus/pci/drivers/nvme', join(place, 'driver'));
    }
    const fromFolder = json('sysfs');
    expect(shape(fromFolder)).toEqual(fromDump);
    expect(fromFolder.groups.every(({ viable, blockers }) => !viable && blockers.length > 0)).toBe(true);
  });

  it.each([
    ['without the folder of groups', false],
    ['with an empty folder of groups', true],
  ])('of a /sys without IOMMU, %s, says so first, and what to switch on: no group is as if it were there', (_, listed) => {
    const root = mkdtempSync(join(folder, 'vm-'));
    const host = JSON.parse(readRecording('topology/desktop-intel.json.gz')) as { devices: Record<string, { config: string }> };
    for (const [address, { config }] of Object.entries(host.devices)) {
      mkdirSync(join(root, 'sys/bus/pci/devices', address), { recursive: true });
      writeFileSync(join(root, 'sys/bus/pci/devices', address, 'config'), Buffer.from(config, 'hex'));
    }
    for (const name of ['sys/class/iommu', ...(listed ? ['sys/kernel/iommu_groups'] : [])]) mkdirSync(join(root, name), { recursive: true });
    const { code, out } = run('groups', join(root, 'sys'));
    expect(code).toBe(0);
    const first = out.slice(0, out.indexOf(''));
    expect(first.slice(2)).toEqual([
      `IOMMU: off or not there, Intel's (VT-d): ${listed ? '/sys/kernel/iommu_groups' : '/sys/class/iommu'} is empty.`,
      'No device can be given away like this. What follows is how it would be with the IOMMU on.',
      '  To do: switch on "VT-d" (Intel Virtualization Technology for Directed I/O) in the firmware',
      "  To do: add intel_iommu=on iommu=pt to the kernel's command line, where the distribution does not switch it on by itself",
    ]);
    const { wouldBe, groups } = json(join(root, 'sys'));
    expect(wouldBe).toBe(true);
    expect(groups.filter(({ id, standing }) => id !== null || standing === 'told')).toEqual([]);
    expect(out.at(-1)).toMatch(/ groups that there would be\./);
    expect(run('groups', join(root, 'sys'), '--tree').out[0]).toBe('No IOMMU is on: the groups are those that there would be with one.');
    expect(run('groups', join(root, 'sys'), '--device', 'nvme').text).not.toContain('can be given to a VM,');
  });

  it('takes the groups that are told, and says where the registers give others', () => {
    const lines = topologyText('rootports').split('\n').map((line) => (/^0000:(01|04):00\.0/.test(line) ? `${line}\n\tIOMMU group: 77` : line));
    const { groups } = json(file('history.txt', lines.join('\n')));
    const one = groups.find(({ devices }) => devices.includes('0000:04:00.0'));
    expect(one).toMatchObject({ id: 77, standing: 'told', devices: ['0000:01:00.0', '0000:04:00.0'] });
    expect(one?.difference).toContain('the registers put 0000:00:02.0');
  });

  it('uses what it understands, and names the lines that it does not', () => {
    const bad = topologyText('rootports').replace('10: 00', '10: 0g');
    const { code, text } = run('groups', file('bad.txt', bad));
    expect(code).toBe(0);
    expect(text).toContain('\n  line 6: not understood: 10: 0g 00');
  });

  it('refuses what is no machine', () => {
    expect(run('groups', file('empty.txt', 'nothing here\n'))).toMatchObject({ code: 2, out: [] });
    expect(run('groups', 'empty.txt').err[0]).toMatch(/^vsim groups: empty\.txt: no PCI function in it; best is what "sudo lspci -Dnnvvxxxx" prints/);
    expect(run('groups', 'nowhere').err[0]).toBe('vsim groups: nowhere: no such file or folder');
    expect(run('groups', '--iommu', 'x').code).toBe(2);
    expect(run('groups', 'a', 'b').err[0]).toContain('Expected 1 argument but got 2');
    expect(run('groups', file('bad.json', '{"devices": {"0000:00:00.0": {}}}')).err[0]).toContain('bad.json');
  });
});

describe('vsim lspci', () => {
  it('--dump: the recorded machine byte for byte; also what it reads itself', () => {
    const dump = readRecording('lspci/host.dump.txt.gz');
    expect(`${run('lspci', '--dump').text}\n`).toBe(dump);
    expect(`${run('lspci', '--dump', file('again.txt', dump)).text}\n`).toBe(dump);
  });

  it('a line for each device', () => {
    const { out } = run('lspci', file('sriov.txt', topologyText('sriov-igb')));
    expect(out).toHaveLength(26);
    expect(out).toContain('0000:01:10.0 0200: 8086:10ca (rev 01)');
  });

  it('as objects', () => {
    const list = JSON.parse(run('lspci', '--json', file('gpu.txt', topologyText('gpu-audio'))).text) as readonly Readonly<Record<string, unknown>>[];
    expect(list.find(({ address }) => address === '0000:01:00.1')).toMatchObject({ class: '0x040300', vendor: '0x8086', device: '0x293e', revision: '0x03', driver: 'snd_hda_intel', config: expect.stringMatching(/^86803e29/) as string });
  });
});

describe('vsim groups --html', () => {
  const page = (name: string) => readFileSync(join(folder, name), 'utf8');
  const data = (html: string) => JSON.parse(/<script type="application\/json" id="paste">(.*?)<\/script>/s.exec(html)?.[1] ?? '') as Readonly<Record<string, unknown>>;
  const hidden = `${topologyText('desktop-intel')}\n</script><b>&amp;\n`;

  it('writes the page with the text, the device and what is taken for true, and prints nothing', () => {
    const { code, out, err } = run('groups', file('html.txt', hidden), '--html', 'report.html', '--device', '00:1f.0', '--no-intremap', '--iommu', 'amd');
    expect({ code, out, err }).toEqual({ code: 0, out: [], err: [] });
    expect(data(page('report.html'))).toEqual({ text: hidden, name: 'html.txt', device: '00:1f.0', whatIf: { iommu: 'amd', intremap: 'off' } });
  });

  it('changes nothing in the page but its data: what runs is what the policy names', () => {
    run('groups', file('html.txt', hidden), '--html', 'one.html');
    run('groups', file('other.txt', topologyText('i440fx')), '--html', 'two.html');
    const empty = (html: string) => html.replace(/(id="paste">).*?(<\/script>)/s, '$1$2');
    expect(empty(page('one.html'))).toBe(empty(page('two.html')));
    expect(page('one.html')).not.toBe(page('two.html'));
  });

  it('has the files of a folder of sysfs, with bytes as base64', () => {
    const device = join(folder, 'sys-html', '0000:00:01.0');
    mkdirSync(device, { recursive: true });
    writeFileSync(join(device, 'config'), Buffer.alloc(64, 0x86));
    expect(run('groups', 'sys-html', '--html', 'folder.html').code).toBe(0);
    expect(data(page('folder.html'))['files']).toContainEqual(['0000:00:01.0/config', Buffer.alloc(64, 0x86).toString('base64')]);
  });

  it.each([
    ['a device that nobody is called so', ['--device', 'nobody', '--html', 'x.html'], 'no device here is called "nobody"'],
    ['a folder that is not there', ['--html', 'nowhere/x.html'], 'nowhere/x.html: no such file or folder'],
  ])('refuses %s', (_, args, why) => {
    const { code, err } = run('groups', file('html.txt', hidden), ...args);
    expect({ code, err: err.join() }).toEqual({ code: 2, err: expect.stringContaining(why) as string });
  });
});
