/** Recordings of platform and AMBA devices, and of devices without an IOMMU, on Linux 6.1, 6.12 and 7.3. */
import { describe, expect, it } from 'vitest';
import { kept, type Kept } from './kept.ts';

/** What is compared less strictly, by rule, is messages of the kernel, which nobody compares, but for one value. */
type Counts = readonly [...Kept['counts'], relaxed: Kept['relaxed']];

const FILES: Readonly<Record<string, Readonly<Record<string, Counts>>>> = {
  'vfio-platform': {
    'cold.jsonl.gz': [2, 179, 202, { kmsg: 15 }],
    'extra.jsonl.gz': [3, 89, 115, { kmsg: 1 }],
    'info.jsonl.gz': [22, 1780, 3111, { kmsg: 75 }],
    'irqs.jsonl.gz': [27, 5066, 11_585, { kmsg: 14 }],
    'life.jsonl.gz': [27, 1238, 1542, { kmsg: 44 }],
    'life0.jsonl.gz': [4, 87, 90, { kmsg: 9 }],
    'msi.jsonl.gz': [3, 63, 79, {}],
    'noiommu.jsonl.gz': [11, 969, 1181, { kmsg: 12 }],
    'noiommu_nosmmu.jsonl.gz': [12, 1284, 1623, { kmsg: 24 }],
    'noncoherent.jsonl.gz': [4, 38, 40, { kmsg: 4 }],
    'parallel.jsonl.gz': [4, 134, 172, { kmsg: 3 }],
    'random_1-50-noiommu.jsonl.gz': [34, 5577, 8675, {}],
    'random_1-60.jsonl.gz': [40, 6329, 10_241, {}],
    'random_51-50-noiommu.jsonl.gz': [33, 5484, 8714, {}],
    'regions.jsonl.gz': [25, 5607, 17_515, { kmsg: 2 }],
    'type1.jsonl.gz': [7, 461, 801, {}],
  },
  'vfio-platform-6.12': {
    'cold.jsonl.gz': [2, 179, 202, { kmsg: 15 }],
    'extra.jsonl.gz': [3, 89, 115, { kmsg: 1 }],
    'info.jsonl.gz': [22, 1898, 3340, { kmsg: 78 }],
    'life.jsonl.gz': [27, 1238, 1563, { kmsg: 44 }],
    'life0.jsonl.gz': [4, 106, 115, { kmsg: 11 }],
    'msi.jsonl.gz': [3, 61, 80, {}],
    'noiommu.jsonl.gz': [11, 970, 1185, { kmsg: 12 }],
    'noncoherent.jsonl.gz': [4, 38, 40, { kmsg: 4 }],
    'parallel.jsonl.gz': [4, 132, 173, { kmsg: 3 }],
    'type1.jsonl.gz': [7, 459, 819, {}],
  },
  'vfio-platform-7.3': {
    'cold.jsonl.gz': [2, 179, 202, { kmsg: 15 }],
    'extra.jsonl.gz': [3, 89, 115, { kmsg: 1 }],
    'info.jsonl.gz': [22, 1903, 3347, { kmsg: 78, 'runtime-status': 1 }],
    'life.jsonl.gz': [27, 1238, 1563, { kmsg: 44 }],
    'life0.jsonl.gz': [4, 106, 115, { kmsg: 11 }],
    'msi.jsonl.gz': [3, 61, 80, {}],
    'noiommu.jsonl.gz': [11, 970, 1185, { kmsg: 12 }],
    'noncoherent.jsonl.gz': [4, 38, 40, { kmsg: 4 }],
    'parallel.jsonl.gz': [4, 132, 175, { kmsg: 3 }],
    'regions.jsonl.gz': [25, 5590, 17_515, { kmsg: 2 }],
    'type1.jsonl.gz': [7, 459, 819, {}],
  },
};

/** Open: an edge that the kernel noted in a scenario before, which is not recorded, is sent again to whoever enables its interrupt next. */
const OPEN: Readonly<Record<string, readonly string[]>> = {
  'random_1-50-noiommu.jsonl.gz': ['randomn:50 28 ret', 'randomn:50 28 errno', 'randomn:50 28 count'],
};

/** Items of which the recordings of a kernel are the proof: that all else is as in another kernel. */
const ITEMS: Readonly<Record<string, string>> = { 'vfio-platform': '', 'vfio-platform-6.12': ' [platform 66]', 'vfio-platform-7.3': ' [platform 74] [platform 76]' };

describe.each(Object.entries(FILES))('recordings in %s', (folder, files) => {
  it.each(Object.entries(files))(`%s${ITEMS[folder]!}`, (name, [cases, steps, compared, relaxed]) => {
    const profile = `linux-${folder === 'vfio-platform' ? '6.1' : folder.replace('vfio-platform-', '')}`;
    expect(kept(folder, name)).toEqual({ divergences: OPEN[name] ?? [], counts: [cases, steps, compared], relaxed, untold: [], profile });
  });
});
