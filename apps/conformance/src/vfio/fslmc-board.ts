/** What a machine with a Management Complex is like beside that: what its device tree says, which IOMMU, how far the firmware is. */
import { basename } from 'node:path';
import { Mmu500Iommu, SmmuV3Iommu, type ArmIommu, type Host } from '@vsim/vfio-core';
import type { McRange } from '@vsim/vfio-fslmc';
import { isList, type Fields } from '../json.ts';

export interface FslMcBoard {
  /** A parameter of vfio_iommu_type1. */
  readonly allowsUnsafeInterrupts: boolean;
  readonly iommu: 'mmu500' | 'smmuv3' | 'none';
  readonly defaultDomain: 'DMA' | 'identity';
  /** Which property of the MC's node leads to the ITS. */
  readonly msi: 'msi-parent' | 'msi-map' | 'none';
  /** The MC's node has a second `reg`: the control registers. */
  readonly registers: boolean;
  readonly ranges: readonly McRange[];
  /** What the firmware says of itself, where that is not the usual. */
  readonly gsr?: number | undefined;
  /** Of the commands of containers. @default [6, 6] */
  readonly api?: readonly [number, number] | undefined;
}

/** As a device of the recordings is called. */
const IOMMU = '7e000000.iommu';
const KINDS = ['mc-portal', 'qbman'] as const;

/** The machine of host.json, for a file of recordings. @throws MalformedRecording */
export function boardOf(machine: Fields, path: string): FslMcBoard {
  // All recordings are made with the parameter, but for the file that it names.
  const [, but] = /allow_unsafe_interrupts=1 \(not for ([a-z-]+)\)/.exec(machine.string('modules')) ?? [];
  return {
    allowsUnsafeInterrupts: but !== undefined && basename(path).split('.')[0] !== but,
    iommu: 'mmu500',
    defaultDomain: 'identity',
    msi: machine.object('msi').has('msi-parent') ? 'msi-parent' : 'msi-map',
    registers: true,
    ranges: machine.object('mc').list('ranges').map((row) => rangeOf(machine, isList(row) ? row : [])),
  };
}

/** One of its variants, as a boot's name tells them; `boot` is the first line of its conversation. @throws MalformedRecording */
export function variantOf(board: FslMcBoard, name: string, boot: Fields): FslMcBoard {
  const is = (variant: string): boolean => name.includes(variant);
  return {
    ...board,
    ...(is('dt-nosmmu') && { iommu: 'none' }),
    ...(is('smmuv3') && { iommu: 'smmuv3' }),
    ...(is('dma-domain') && { defaultDomain: 'DMA' }),
    ...(is('dt-noits') && { msi: 'none' }),
    ...(is('msi-map-only') && { msi: 'msi-map' }),
    ...(is('dt-noregs') && { registers: false }),
    ...(is('dt-noranges') && { ranges: [] }),
    gsr: boot.has('gsr') ? Number(boot.string('gsr')) : undefined,
    api: boot.has('api') ? versionOf(boot.string('api')) : undefined,
  };
}

export function iommuOf(host: Host, { iommu, defaultDomain }: FslMcBoard): ArmIommu | undefined {
  if (iommu === 'none') return undefined;
  return iommu === 'smmuv3' ? new SmmuV3Iommu(host, { defaultDomain }) : new Mmu500Iommu(host, { defaultDomain, device: IOMMU });
}

function versionOf(text: string): readonly [number, number] {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return [major, minor];
}

function rangeOf(machine: Fields, [kind, offset, start, size]: readonly unknown[]): McRange {
  const found = KINDS.find((each) => each === kind) ?? machine.fail('mc', 'ranges of a kind, an offset, an address and a size');
  return { kind: found, offset: Number(offset), start: Number(start), size: Number(size) };
}
