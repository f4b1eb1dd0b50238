/** The VFIO recordings against the model: how many values are compared, and what is still different. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';

/** What the model told of the failures in all files. */
const told = { refused: 0, untold: new Map<string, number>(), reasons: new Set<string>() };

/** Cases, steps, compared values, values compared less strictly by rule, divergences. */
const FILES: Readonly<Record<string, readonly [cases: number, steps: number, compared: number, relaxed: number, divergences: number]>> = {
  'bars.jsonl.gz': [9, 474, 2060, 13, 0],
  'cfgmap.jsonl.gz': [22, 1267, 521_032, 0, 0],
  'hot.jsonl.gz': [8, 589, 1068, 0, 0],
  'info.jsonl.gz': [25, 5298, 14_565, 19, 0],
  'irq.jsonl.gz': [10, 7307, 19_280, 0, 0],
  'life.jsonl.gz': [9, 768, 1146, 0, 0],
  'mdev.jsonl.gz': [3, 1606, 4357, 9, 0],
  'memlock.jsonl.gz': [1, 56, 99, 0, 0],
  'random_1-60.jsonl.gz': [38, 3239, 5578, 0, 0],
  'randomb_61-100.jsonl.gz': [57, 5013, 8859, 0, 0],
  'randomb_161-100.jsonl.gz': [51, 4524, 8223, 0, 0],
  'randomb_261-100.jsonl.gz': [51, 4860, 8680, 0, 0],
  'reset.jsonl.gz': [31, 5106, 13_572, 40, 0],
  'sriov.jsonl.gz': [4, 357, 89_550, 0, 0],
  'sriov_native.jsonl.gz': [1, 25, 40, 0, 0],
  'type1.jsonl.gz': [13, 962, 1815, 0, 0],
};

describe('recordings of Linux 6.1', () => {
  it.each(Object.entries(FILES))('%s', (name, [cases, steps, compared, relaxed, divergences]) => {
    const report = replayFile(join(RECORDINGS, 'vfio', name));
    const less = [...report.relaxed.values()].reduce((sum, count) => sum + count, 0);
    expect([report.cases, report.steps, report.compared, less, report.divergences.length]).toEqual([cases, steps, compared, relaxed, divergences]);
    expect(report.format).toBe('vfio');
    expect(report.profile).toBe('linux-6.1');
    told.refused += report.refused;
    for (const [row, count] of report.untold) told.untold.set(row, (told.untold.get(row) ?? 0) + count);
    for (const id of report.reasons) told.reasons.add(id);
  });

  it('each failure has exactly one reason, with what decided in its fields [M14]', () => {
    // One race of the recording went the other way here, by the rule for it: nothing failed.
    expect([told.refused, ...told.untold]).toEqual([15_692, ['eventfd_read EAGAIN: none', 1]]);
    expect([...told.reasons].sort()).toMatchInlineSnapshot(`
      [
        "eventfd/not-ready",
        "feature/flags",
        "feature/size",
        "feature/unknown",
        "mdev/bad-uuid",
        "mdev/exhausted",
        "mdev/uuid-taken",
        "pci/id-known",
        "pci/id-unknown",
        "pci/numvfs-driver",
        "pci/numvfs-range",
        "pci/numvfs-set",
        "pci/reset-failed",
        "process/bad-fd",
        "process/mmap-range",
        "process/no-entry",
        "process/no-operation",
        "process/not-eventfd",
        "process/not-permitted",
        "process/one-way",
        "process/unknown-request",
        "sysfs/bad-value",
        "sysfs/dma-claimed",
        "sysfs/has-driver",
        "sysfs/no-device",
        "sysfs/no-match",
        "sysfs/not-bound",
        "type1/attach-nesting",
        "type1/bitmap",
        "type1/dirty-flags",
        "type1/dirty-off",
        "type1/dirty-range",
        "type1/map-alignment",
        "type1/map-flags",
        "type1/map-memlock",
        "type1/map-memory",
        "type1/map-no-vaddr",
        "type1/map-overflow",
        "type1/map-overlap",
        "type1/map-reserved",
        "type1/map-vaddr-valid",
        "type1/unmap-cuts",
        "type1/unmap-flags",
        "type1/unmap-range",
        "type1/v1",
        "type1/vaddr-invalid",
        "uapi/argsz",
        "uapi/argument-fault",
        "uapi/string",
        "vfio-pci/config-range",
        "vfio-pci/hot-reset-bus",
        "vfio-pci/hot-reset-driver",
        "vfio-pci/hot-reset-missing",
        "vfio-pci/hot-reset-not-group",
        "vfio-pci/hot-reset-request",
        "vfio-pci/hot-reset-space",
        "vfio-pci/ioeventfd-limit",
        "vfio-pci/ioeventfd-none",
        "vfio-pci/ioeventfd-request",
        "vfio-pci/ioeventfd-twice",
        "vfio-pci/irq-action",
        "vfio-pci/irq-count",
        "vfio-pci/irq-kind",
        "vfio-pci/low-power",
        "vfio-pci/memory-off",
        "vfio-pci/mmap-bar",
        "vfio-pci/no-reset",
        "vfio-pci/notifier",
        "vfio-pci/probe-refused",
        "vfio-pci/region-range",
        "vfio-pci/sriov-off",
        "vfio-pci/unmask-taken",
        "vfio-pci/vf-option",
        "vfio-pci/vf-token-refused",
        "vfio/container-not-set",
        "vfio/device-offset",
        "vfio/group-gone",
        "vfio/group-has-container",
        "vfio/group-in-use",
        "vfio/group-no-container",
        "vfio/group-not-ready",
        "vfio/group-not-viable",
        "vfio/group-open",
        "vfio/irq-flags",
        "vfio/irq-range",
        "vfio/no-index",
        "vfio/no-such-device",
        "vfio/not-container",
        "vfio/set-iommu-order",
        "vfio/set-iommu-type",
      ]
    `);
  });

  it('edu: every answer of info:0000:00:02.0 is the recorded one', () => {
    const report = replayFile(join(RECORDINGS, 'vfio', 'info.jsonl.gz'), { casePrefix: 'info:0000:00:02.0' });
    expect(report.cases).toBe(1);
    expect(report.steps).toBe(217);
    expect(report.divergences).toEqual([]);
  });
});
