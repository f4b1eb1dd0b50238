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
  const match = /^(\d{1,3})\.(\d{1,3})(?!\d)/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/** The kernel that is asked for, else that of the text, else 6.1. */
export function kernelOf(asked: KernelVersion | undefined, { kernel }: PastedMachine): KernelReport & KernelVersion {
  const told = kernel === undefined ? undefined : kernelVersion(kernel);
  const { major, minor } = asked ?? told ?? DEFAULT_KERNEL;
  return { major, minor, version: `${major}.${minor}`, source: asked !== undefined ? 'asked' : told !== undefined ? 'told' : 'default', profile: profileOf({ major, minor }) };
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
