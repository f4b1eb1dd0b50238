import { describe, expect, it } from 'vitest';
import { KNOWN_ERRORS, findErrors } from './find-errors.ts';

const idsOf = (text: string): readonly string[] => findErrors(text).map(({ error }) => error.id);

/** Lines that stand for two errors, as their own words say. */
const BOTH: ReadonlyMap<string, readonly string[]> = new Map([
  ['vfio 0000:01:00.0: failed to setup container for group 1: memory listener initialization failed: Region pc.ram: vfio_dma_map(0x55f1, 0x0, 0xa0000, 0x7f12) = -12 (Cannot allocate memory)', ['dma-no-memory', 'dma-gave-up']],
]);

describe('known errors', () => {
  it('have an id each, and words for all that they are asked for', () => {
    expect(new Set(KNOWN_ERRORS.map(({ id }) => id)).size).toBe(KNOWN_ERRORS.length);
    for (const { id, means, remedies, sources } of KNOWN_ERRORS) {
      expect(id).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/);
      expect([means, ...remedies, ...sources.map(({ where }) => where)].filter((words) => words.trim() === '')).toEqual([]);
      expect(Math.min(remedies.length, sources.length)).toBeGreaterThan(0);
      expect([means, ...remedies].filter((words) => !words.endsWith('.'))).toEqual([]);
    }
  });

  it.each(KNOWN_ERRORS.map(({ id, examples }) => [id, examples] as const))('%s: is found in each of its messages, alone', (id, examples) => {
    for (const example of examples) expect([example, idsOf(example)]).toEqual([example, BOTH.get(example) ?? [id]]);
  });

  it.each(KNOWN_ERRORS.map(({ id, examples, patterns }) => [id, examples, patterns] as const))('%s: has a message for each of its patterns', (_, examples, patterns) => {
    expect(patterns.filter((pattern) => !examples.some((example) => pattern.test(example)))).toEqual([]);
  });

  it('have patterns that keep nothing from one line to the next', () => {
    expect(KNOWN_ERRORS.flatMap(({ patterns }) => patterns).filter(({ global, sticky }) => global || sticky)).toEqual([]);
  });

  it('have patterns without a run of any length, so that a line costs what it is long', () => {
    expect(KNOWN_ERRORS.flatMap(({ patterns }) => patterns).map(({ source }) => source).filter((source) => /[.\]\w)][*]|[.\])][+]|\{\d+,\}/.test(source))).toEqual([]);
  });
});

describe('findErrors', () => {
  it('tells where, how often, and of which functions and groups', () => {
    const text = [
      'qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 1 is not viable',
      'Please ensure all devices within the iommu_group are bound to their vfio bus driver.',
      "vfio-pci 0000:02:00.0: BAR 0: can't reserve [mem 0xe0000000-0xefffffff 64bit pref]",
      'qemu-system-x86_64: -device vfio-pci,host=03:00.0: vfio 0000:03:00.0: group 14 is not viable',
    ].join('\n');
    expect(findErrors(text).map(({ error, line, count, addresses, groups }) => [error.id, line, count, addresses, groups])).toEqual([
      ['group-not-viable', 1, 3, ['0000:01:00.0', '0000:03:00.0'], [1, 14]],
      ['bar-reserved', 3, 1, ['0000:02:00.0'], []],
    ]);
  });

  it('takes lines with numbers of their own', () => {
    expect(findErrors([{ line: 40, text: '  vfio-pci 0000:05:00.0: Cannot bind to PF with SR-IOV enabled' }])).toMatchObject([
      { error: { id: 'pf-with-vfs' }, line: 40, text: 'vfio-pci 0000:05:00.0: Cannot bind to PF with SR-IOV enabled' },
    ]);
  });

  it('tells the number of a group by its file', () => {
    expect(findErrors('vfio 0000:03:00.0: failed to open /dev/vfio/14: Device or resource busy')).toMatchObject([{ groups: [14] }]);
  });

  it('finds nothing in what lspci prints of a machine', () => {
    const text = '00:02.0 PCI bridge: Red Hat, Inc. QEMU PCIe Root port\n\tFlags: bus master, fast devsel, latency 0, IRQ 22, IOMMU group 1\n\tCapabilities: [100] Advanced Error Reporting\n\t\tUESta:\tDLP- SDES-\n';
    expect(findErrors(text)).toEqual([]);
  });

  it('looks at the start of a line of any length', () => {
    const message = 'vfio-pci 0000:01:00.0: not ready 65535ms after FLR; giving up';
    expect(idsOf(`${message}${' '.repeat(1_000_000)}`)).toEqual(['not-ready-after-reset']);
    expect(idsOf(`${' '.repeat(1_000_000)}${message}`)).toEqual([]);
  });
});
