/** Finds in a text the errors that are known, line by line. */
import { DEVICE_ERRORS } from './device-errors.ts';
import { DMA_ERRORS } from './dma-errors.ts';
import { GROUP_ERRORS } from './group-errors.ts';
import { IOMMU_ERRORS } from './iommu-errors.ts';
import type { KnownError } from './known-error.ts';
import { RESET_ERRORS } from './reset-errors.ts';
import { TOOL_ERRORS } from './tool-errors.ts';

/** Every error that is known, by what it is about. */
export const KNOWN_ERRORS: readonly KnownError[] = [...GROUP_ERRORS, ...IOMMU_ERRORS, ...DMA_ERRORS, ...RESET_ERRORS, ...DEVICE_ERRORS, ...TOOL_ERRORS];

/** A known error in a text. */
export interface FoundError {
  /** What is known of it. */
  readonly error: KnownError;
  /** Where the text has it first, from 1. */
  readonly line: number;
  /** That line, trimmed, at most 240 characters. */
  readonly text: string;
  /** The functions that its lines name, with their domains, in the order of the text; empty: they name none. */
  readonly addresses: readonly string[];
  /** Numbers of the IOMMU groups that its lines name, each once. */
  readonly groups: readonly number[];
  /** How many lines of the text have it. */
  readonly count: number;
}

/** A line with its number, as the kernel's log of a paste has it. */
export interface NumberedLine {
  /** From 1. */
  readonly line: number;
  /** Its text. */
  readonly text: string;
}

/** Longer lines are searched so far: messages stand at the start. */
const MOST = 2000;
const SHOWN = 240;
const ADDRESS = /\b(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\b/gi;
const GROUP = /\bgroup (\d{1,9})\b|\/dev\/vfio\/(\d{1,9})\b/gi;

/**
 * Finds which of the known errors a text has: what QEMU, libvirt, Proxmox VE or the kernel printed. A line may have several. The errors are in the order of the text.
 *
 * @param text a text, or lines of one with their numbers
 *
 * @example
 * ```ts
 * import { findErrors } from '@vsim/doctor';
 *
 * const [found] = findErrors('qemu-system-x86_64: -device vfio-pci,host=01:00.0: vfio 0000:01:00.0: group 1 is not viable');
 * console.log(found?.error.id, found?.addresses.join(), found?.groups.join()); // group-not-viable 0000:01:00.0 1
 * ```
 */
export function findErrors(text: string | readonly NumberedLine[]): readonly FoundError[] {
  const lines = typeof text === 'string' ? text.split('\n').map((each, i) => ({ line: i + 1, text: each })) : text;
  const found = new Map<KnownError, { line: number; text: string; addresses: Set<string>; groups: Set<number>; count: number }>();
  for (const { line, text: whole } of lines) {
    const part = whole.slice(0, MOST);
    for (const error of KNOWN_ERRORS) {
      if (!error.patterns.some((pattern) => pattern.test(part))) continue;
      const there = found.get(error) ?? { line, text: part.trim().slice(0, SHOWN), addresses: new Set<string>(), groups: new Set<number>(), count: 0 };
      there.count += 1;
      for (const [address] of part.matchAll(ADDRESS)) there.addresses.add((address.length > 7 ? address : `0000:${address}`).toLowerCase());
      for (const [, named, file] of part.matchAll(GROUP)) there.groups.add(Number(named ?? file));
      found.set(error, there);
    }
  }
  return [...found].map(([error, { addresses, groups, ...rest }]) => ({ error, ...rest, addresses: [...addresses], groups: [...groups] }));
}
