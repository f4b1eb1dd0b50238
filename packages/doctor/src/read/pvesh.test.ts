import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

const BOXES = `┌──────────┬────────┬──────────────┬────────────┬────────┬─────────────┬──────┬──────────────────┐
│ class    │ device │ id           │ iommugroup │ vendor │ device_name │ mdev │ subsystem_device │
╞══════════╪════════╪══════════════╪════════════╪════════╪═════════════╪══════╪══════════════════╡
│ 0x010601 │ 0xa282 │ 0000:00:17.0 │          5 │ 0x8086 │ AHCI        │      │ 0x8694           │
├──────────┼────────┼──────────────┼────────────┼────────┼─────────────┼──────┼──────────────────┤
│ 0x030000 │ 0x1b81 │ 0000:01:00.0 │         -1 │ 0x10de │ GP104       │      │ 0x6276           │
└──────────┴────────┴──────────────┴────────────┴────────┴─────────────┴──────┴──────────────────┘
`;
const RULES = BOXES.replaceAll('│', '|').replaceAll(/[┌┬┐╞╪╡├┼┤└┴┘]/g, '+').replaceAll(/[─═]/g, '-');
const JSON_TEXT = '[{"class":"0x010601","device":"0xa282","device_name":"AHCI","id":"0000:00:17.0","iommugroup":5,"subsystem_device":"0x8694","vendor":"0x8086"},\n{"class":"0x030000","device":"0x1b81","device_name":"GP104","id":"0000:01:00.0","iommugroup":-1,"subsystem_device":"0x6276","vendor":"0x10de"}]\n';
const YAML = `---
- class: '0x010601'
  device: '0xa282'
  device_name: AHCI
  id: 0000:00:17.0
  iommugroup: 5
  subsystem_device: '0x8694'
  vendor: '0x8086'
- class: '0x030000'
  device: '0x1b81'
  device_name: GP104
  id: '0000:01:00.0'
  iommugroup: -1
  subsystem_device: '0x6276'
  vendor: '0x10de'
`;

describe('pvesh get /nodes/NODE/hardware/pci', () => {
  it.each([
    ['in boxes', BOXES],
    ['in boxes, cut at the right', BOXES.replaceAll(/^(.{75}).*$/gm, '$1')],
    ['in rules', RULES],
    ['without rules between', BOXES.split('\n').filter((line) => line.startsWith('│')).join('\n')],
    ['without its heads', BOXES.split('\n').slice(3).join('\n')],
    ['without borders', BOXES.split('\n').filter((line) => line.startsWith('│')).map((line) => line.replaceAll('│', '').trim()).join('\n')],
    ['as JSON', JSON_TEXT],
    ['as JSON over many lines', JSON.stringify(JSON.parse(JSON_TEXT), undefined, 3)],
    ['as an answer of the API', `{"data":${JSON_TEXT.trim()}}`],
    ['as YAML', YAML],
  ])('%s tells classes, ids and groups', (name, text) => {
    const { devices, unread, parts } = readPaste(text);
    expect(devices.map(({ address, classCode, progIf, vendor, device, groups }) => [address, classCode, progIf, vendor, device, groups.map(({ number }) => number)])).toEqual([
      ['0000:00:17.0', 0x106, 1, 0x8086, 0xa282, [5]],
      ['0000:01:00.0', 0x300, 0, 0x10de, 0x1b81, []],
    ]);
    if (!name.includes('cut') && !name.includes('without borders')) expect(devices.map((device) => device.subsystem)).toEqual([0x8694, 0x6276]);
    expect(devices.map((device) => device.name)).toEqual(['AHCI', 'GP104']);
    expect([unread, parts.map(({ form }) => form)]).toEqual([[], ['pvesh']]);
  });
});

describe('JSON', () => {
  it('that is a recorded machine is read', () => {
    const text = JSON.stringify({ devices: { '0000:00:02.0': { config: `3412e811${'00'.repeat(60)}`, irq: 11, driver: 'edu', iommu_group: '7' } } });
    const { devices, unread } = readPaste(text);
    expect(devices[0]).toMatchObject({ address: '0000:00:02.0', driver: 'edu', groups: [{ number: 7, line: 1, form: 'sysfs' }] });
    expect([devices[0]!.config?.length, unread]).toEqual([64, []]);
  });

  it.each([
    ['{"groups":[]}', "vsim's own report: it tells no machine"],
    ['{"devices":{"nonsense":{}}}', 'expected addresses, as 0000:00:02.0, got nonsense'],
    ['{"a":1}', 'JSON of which nothing is known'],
    ['[{"id":1}]', 'JSON of which nothing is known'],
    ['{"a":', undefined],
  ])('that is not, %s, is told', (text, why) => {
    expect(readPaste(text)).toMatchObject({ devices: [], unread: [{ line: 1, text, why }] });
  });
});
