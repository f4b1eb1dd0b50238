/** `vsim groups` asked what would be: IOMMU on, another slot, VFs, the override patch, another kernel. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRecording, topologyText } from '@vsim/conformance';
import type { DoctorReport } from '@vsim/doctor';
import { afterAll, describe, expect, it } from 'vitest';
import { called } from './called.ts';

const folder = mkdtempSync(join(tmpdir(), 'vsim-what-if-'));
afterAll(() => rmSync(folder, { recursive: true }));
for (const name of ['mix-on', 'mix-off', 'switch-acsless']) writeFileSync(join(folder, name), topologyText(name));
writeFileSync(join(folder, 'override'), readRecording('doctor/minimal/k22-acs-override.txt.gz'));

function run(...args: readonly string[]) {
  return called(['groups', ...args], { cwd: folder });
}

function report(...args: readonly string[]): DoctorReport {
  const { code, out } = run(...args, '--json');
  expect(code).toBe(0);
  return JSON.parse(out[0]!) as DoctorReport;
}

const shape = ({ groups }: DoctorReport): readonly string[] => groups.map(({ devices }) => devices.join(' '));

describe('vsim groups, what if', () => {
  it('the IOMMU were on: the groups that the same machine had with it', () => {
    const { wouldBe } = report('mix-off');
    expect(wouldBe).toBe(true);
    expect(report('mix-off', '--iommu-on').wouldBe).toBe(false);
    expect(shape(report('mix-off', '--iommu-on', '--vfs', '01:00.0=3'))).toEqual(shape(report('mix-on')));
  });

  it('VFs were made: as many as the device can have, and each by its own', () => {
    expect(shape(report('mix-off', '--vfs', '01:00.0=2'))).toContain('0000:01:10.2');
    expect(shape(report('mix-on', '--vfs', '01:00.0=1')).filter((group) => group.startsWith('0000:01:1'))).toEqual(['0000:01:10.0']);
    expect(run('mix-off', '--vfs', '01:00.0=99').err[0]).toMatch(/^vsim groups: 0000:01:00\.0 can have 1 to \d+ VFs, got 99$/);
    expect(run('mix-off', '--vfs', '00:1f.2=1').err[0]).toBe('vsim groups: 0000:00:1f.2 shows no SR-IOV capability with its VF offset and stride');
  });

  it('a device were in another slot', () => {
    expect(shape(report('switch-acsless')).find((group) => group.includes('03:00.0'))).toBe('0000:02:00.0 0000:03:00.0');
    expect(run('switch-acsless', '--move', '03:00.0=00:02.0').err[0]).toBe('vsim groups: there is 0000:01:00.0 below 0000:00:02.0 already: nothing else has room there');
    expect(run('switch-acsless', '--move', '03:00.0=00:1f.0').err[0]).toBe('vsim groups: 0000:00:1f.0 is no bridge whose bus the text tells');
    expect(run('switch-acsless', '--move', '09:09.0=00:02.0').err[0]).toBe('vsim groups: there is no 0000:09:09.0 in the text');
  });

  it('the override patch were there: every port isolates, and the report says what that is worth', () => {
    expect(shape(report('switch-acsless', '--acs-override', 'downstream'))).toContain('0000:03:00.0');
    expect(run('switch-acsless', '--acs-override', 'downstream').out.find((line) => line.startsWith('What if'))).toContain('can read and write each other');
    expect(run('switch-acsless', '--acs-override', 'x').code).toBe(2);
  });

  it('forgets what the running kernel told', () => {
    expect(report('override').groups.map(({ standing }) => standing)).toEqual(['told', 'told']);
    expect(report('override', '--iommu-on').groups.map(({ standing }) => standing)).toEqual(['derived', 'derived']);
  });

  it('the kernel were another: its profile answers', () => {
    expect(report('mix-on').kernel).toEqual({ version: '6.1', source: 'default', profile: 'linux-6.1' });
    expect(report('mix-on', '--kernel', '5.15').kernel).toEqual({ version: '5.15', source: 'asked', profile: 'linux-5.13' });
    expect(report('mix-on', '--kernel', '7.4').kernel.profile).toBe('linux-7.3');
    expect(run('mix-on', '--kernel', 'x').code).toBe(2);
  });
});
