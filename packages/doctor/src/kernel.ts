/** Which kernel a report speaks of. */
import { PROFILE_NAMES, type ProfileName } from '@vsim/vfio-core';
import { DEFAULT_KERNEL, type KernelVersion } from '@vsim/vfio-pci';
import type { PastedMachine } from './read/paste.ts';

/** The kernel of a report. */
export interface KernelReport {
  /** Its release without what the distribution adds: `6.8`. */
  readonly version: string;
  /** `asked` for, `told` by the text, or taken where neither says. */
  readonly source: 'asked' | 'told' | 'default';
  /** The profile whose VFIO answers: the newest that is not newer, or the oldest. */
  readonly profile: ProfileName;
}

/** A release as tables take it. @param text `5.15`, `6.8.0-49-generic` @returns undefined for a text that is none */
export function kernelVersion(text: string): KernelVersion | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})(?!\d)(?:\.(\d{1,3})(?!\d))?/.exec(text);
  if (match === null) return undefined;
  // Distributions name the first release of a series, and mean a later one.
  const patch = Number(match[3] ?? 0);
  return { major: Number(match[1]), minor: Number(match[2]), patch: patch === 0 ? undefined : patch };
}

/** The kernel that is asked for, else that of the text, else 6.1. */
export function kernelOf(asked: KernelVersion | undefined, { kernel }: PastedMachine): KernelReport & KernelVersion {
  const told = kernel === undefined ? undefined : kernelVersion(kernel);
  const { major, minor, patch } = asked ?? told ?? DEFAULT_KERNEL;
  return { major, minor, patch, version: `${major}.${minor}`, source: asked !== undefined ? 'asked' : told !== undefined ? 'told' : 'default', profile: profileOf({ major, minor }) };
}

function profileOf({ major, minor }: KernelVersion): ProfileName {
  let best: ProfileName | undefined;
  for (const name of PROFILE_NAMES) {
    // One name is that of a stable release: the series stands before it.
    const version = /^linux-\d+\.\d+$/.test(name) ? kernelVersion(name.slice(6)) : undefined;
    if (version !== undefined && (version.major < major || (version.major === major && version.minor <= minor))) best = name;
  }
  return best ?? 'linux-5.10';
}
