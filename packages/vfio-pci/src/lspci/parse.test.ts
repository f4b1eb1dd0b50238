/** lspci's text: what is read, and what is refused, with its place. Whole machines: apps/conformance/src/topology.test.ts. */
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { formatLspciDump, formatLspciList } from './dump.ts';
import { machineOfLspci } from './machine.ts';
import { parseLspci } from './parse.ts';
import { LspciSyntaxError } from './text-error.ts';

const HEADING = '01:00.0 Ethernet controller [0200]: Intel Corporation 82574L Gigabit Network Connection [8086:10d3] (rev 02)';
const ROWS = ['00: 86 80 d3 10 07 00 10 00 02 00 00 02 00 00 00 00', '10: 00 00 40 fe 00 00 00 00 01 60 00 00 00 00 00 00', '20: 00 00 00 00 00 00 00 00 00 00 00 00 86 80 00 00', '30: 00 00 00 00 00 00 00 00 00 00 00 00 0b 01 00 00'];
const TEXT = [HEADING, '\tInterrupt: pin A routed to IRQ 22', '\tRegion 0: Memory at fe400000 (32-bit, non-prefetchable) [size=128K]', '\tRegion 2: I/O ports at 6000 [size=32]', '\tKernel driver in use: e1000e', '\tIOMMU group: 7', ...ROWS, ''].join('\n');

/** Where a text is refused. */
function refused(text: string): string {
  try {
    parseLspci(text);
  } catch (error) {
    if (error instanceof LspciSyntaxError) return `${error.line}:${error.column} ${error.message}`;
    throw error;
  }
  return 'taken';
}

describe('parseLspci', () => {
  it('reads bytes, driver, group, irq and regions', () => {
    const [device, ...more] = parseLspci(TEXT);
    expect(more).toEqual([]);
    expect(device).toMatchObject({
      address: '0000:01:00.0',
      line: 1,
      driver: 'e1000e',
      iommuGroup: 7,
      irq: 22,
      description: 'Intel Corporation 82574L Gigabit Network Connection',
      facts: { vendor: 0x8086, device: 0x10d3, class: 0x02_0000 },
      regions: [
        { index: 0, kind: 'mem32', address: 0xfe40_0000, size: 0x2_0000 },
        { index: 2, kind: 'io', address: 0x6000, size: 32 },
      ],
    });
    expect(device?.config).toHaveLength(64);
  });

  it('takes carriage returns, blank lines, and what lspci says of itself', () => {
    const text = `pcilib: sysfs_read_vpd: read failed\r\n\r\n${TEXT.replaceAll('\n', '\r\n')}\r\n\r\n0001:00:00.0 Host bridge\r\n`;
    expect(parseLspci(text).map(({ address }) => address)).toEqual(['0000:01:00.0', '0001:00:00.0']);
  });

  it('refuses what it cannot read, with line and column', () => {
    const at = (change: (lines: string[]) => void): string => {
      const lines = [HEADING, ...ROWS];
      change(lines);
      return refused(lines.join('\n'));
    };
    expect(at((lines) => (lines[2] = '10: 00 00 4x'))).toMatch(/^3:10 .*expected 16 bytes of two hex digits, got 2 and "4x"/);
    expect(at((lines) => lines.splice(2, 1))).toMatch(/^3:1 .*expected the row at 10 of 0000:01:00.0, got 20/);
    expect(at((lines) => lines.splice(4, 1))).toMatch(/^4:1 .*0000:01:00.0 ends after 48 bytes; expected 64, 128, 256, 4096/);
    expect(at((lines) => (lines[1] = `${ROWS[0]!} 00`))).toMatch(/^2:52 .*expected the end of the row, got "00"/);
    expect(at((lines) => lines.push(HEADING))).toMatch(/^6:1 .*a second time/);
    expect(at((lines) => lines.push('hello'))).toMatch(/^6:1 .*expected the heading of a device/);
    expect(at((lines) => lines.shift())).toMatch(/^1:1 /);
    expect(refused('')).toMatch(/^1:1 .*text without devices/);
    expect(refused('\tKernel driver in use: e1000e')).toMatch(/^1:1 /);
  });

  it('any text: devices, or a place in it', () => {
    const line = fc.oneof(fc.constantFrom(HEADING, ...ROWS, '\tKernel driver in use: x', '', '100: 00', '00:'), fc.string({ maxLength: 30 }));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        const text = lines.join('\n');
        const answer = refused(text);
        const place = /^(\d+):(\d+) /.exec(answer);
        if (place === null) expect(answer).toBe('taken');
        else expect(Number(place[1])).toBeLessThanOrEqual(text.split('\n').length);
      }),
      parameters(),
    );
  });
});

describe('writing', () => {
  it('the dump is read back; the list is the one of lspci -Dn', () => {
    const sources = parseLspci(TEXT).map(({ address, config }) => ({ address, config: config ?? new Uint8Array(64) }));
    const dump = formatLspciDump(sources);
    expect(dump).toBe(`0000:01:00.0 0x020000: 8086:10d3\n${ROWS.join('\n')}\n\n`);
    expect(parseLspci(dump)[0]?.config).toEqual(sources[0]?.config);
    expect(parseLspci(dump)[0]?.facts).toMatchObject({ vendor: 0x8086, device: 0x10d3 });
    expect(formatLspciList(sources)).toBe('0000:01:00.0 0200: 8086:10d3 (rev 02)\n');
  });

  it('a machine has the regions of the text, or what the registers show', () => {
    const told = machineOfLspci(parseLspci(TEXT)).devices['0000:01:00.0'];
    expect(told?.resource[0]).toEqual(['0xfe400000', '0xfe41ffff', '0x40200']);
    expect(told?.resource[2]).toEqual(['0x6000', '0x601f', '0x40101']);
    expect(told).toMatchObject({ iommu_group: '7', irq: 22 });
    expect(told?.config).toHaveLength(512);
    const bare = machineOfLspci(parseLspci([HEADING, ...ROWS].join('\n'))).devices['0000:01:00.0'];
    expect(bare?.resource[0]?.[0]).toBe('0xfe400000');
    expect(bare?.iommu_group).toBeUndefined();
  });
});
