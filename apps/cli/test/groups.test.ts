/** `vsim groups` and `vsim lspci`: what they print, and what they refuse. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
  readonly groups: readonly { readonly id: number; readonly devices: readonly string[]; readonly reason: string; readonly viable: boolean; readonly blockers: readonly string[] }[];
  readonly ungrouped: readonly string[];
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
    const { groups, ungrouped } = json(file(`${name}.txt`, topologyText(name)));
    const computed = groups.map((group) => group.devices.filter((address) => groupOf(address) !== null)).filter((group) => group.length > 0);
    expect(computed.map((group) => group.join(' ')).sort()).toEqual([...recorded.values()].map((group) => group.sort().join(' ')).sort());
    expect(ungrouped).toEqual([]);
    for (const group of groups) expect(group.reason).not.toBe('');
  });

  it('tells who is together and why, what is in the way, and what VFIO answers', () => {
    const { code, text } = run('groups', file('gpu.txt', topologyText('gpu-audio')));
    expect(code).toBe(0);
    expect(text).toContain('0000:01:00.1 and 0000:01:00.0 are functions of one device without ACS');
    expect(text).toContain('\tVFIO: 0000:01:00.0 alone: EPERM at VFIO_GROUP_SET_CONTAINER\n');
    expect(text).toContain('\tVFIO: all of them: ok\n');
    expect(text).toContain('\tBlocker: only bridges, which VFIO does not take: EINVAL at bind\n');
    expect(text).toMatch(/\nIOMMU vt-d: 14 groups, /);
  });

  it('without an IOMMU: no groups; without interrupt remapping: EPERM at SET_IOMMU', () => {
    const name = file('rootports.txt', topologyText('rootports'));
    const none = json(name, '--iommu', 'none');
    expect(none.groups).toEqual([]);
    expect(none.ungrouped).toHaveLength(20);
    const { text } = run('groups', name, '--no-intremap');
    expect(text).toContain('\tVFIO: 0000:04:00.0 alone: EPERM at VFIO_SET_IOMMU\n');
    expect(text).toContain('Blocker: no interrupt remapping');
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

  it('says where the running kernel groups otherwise, and takes its numbers', () => {
    const lines = topologyText('rootports').split('\n').map((line) => (/^0000:(01|04):00\.0/.test(line) ? `${line}\n\tIOMMU group: 77` : line));
    const { groups } = json(file('history.txt', lines.join('\n')));
    const one = groups.find(({ devices }) => devices.includes('0000:04:00.0'));
    expect(one?.id).toBe(77);
    expect(one?.blockers.join()).toContain('the running kernel groups otherwise (group 77 there: 0000:01:00.0 0000:04:00.0)');
  });

  it('refuses what is no machine, with the place', () => {
    const bad = topologyText('rootports').replace('10: 00', '10: 0g');
    expect(run('groups', file('bad.txt', bad))).toMatchObject({ code: 2, out: [] });
    expect(run('groups', 'bad.txt').err[0]).toMatch(/^vsim groups: bad\.txt:6:\d+: expected 16 bytes/);
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
