/** A release of Linux: 6.1 with all its stable updates is `{ major: 6, minor: 1 }`. */
export interface KernelVersion {
  /** The first number. */
  readonly major: number;
  /** The second number. */
  readonly minor: number;
  /** The third number, for the few rules that came and went within one series. @default the last of its series */
  readonly patch?: number | undefined;
}

/** Two numbers of a release, as tables hold them. */
export type Release = readonly [major: number, minor: number];

/** From which release on something is in Linux. What is not said is so since 5.4 or longer. */
export interface Era {
  /** The first mainline release that has it. */
  readonly since?: Release | undefined;
  /** The oldest series whose stable updates have it, too. */
  readonly stable?: Release | undefined;
  /** The first mainline release without it. */
  readonly until?: Release | undefined;
  /** A series whose first releases did not have it, up to this one. */
  readonly gap?: readonly [major: number, minor: number, patch: number] | undefined;
}

/** What is meant where no kernel is named: 6.1 with its stable updates. */
export const DEFAULT_KERNEL: KernelVersion = { major: 6, minor: 1 };

/** Whether a kernel, with all the stable updates of its series, has what is in Linux for that long. */
export function inEra(era: Era, kernel: KernelVersion = DEFAULT_KERNEL): boolean {
  const since = era.stable ?? era.since;
  return (since === undefined || atLeast(kernel, since)) && (era.until === undefined || !atLeast(kernel, era.until)) && !inGap(era.gap, kernel);
}

function inGap(gap: Era['gap'], { major, minor, patch = Infinity }: KernelVersion): boolean {
  return gap?.[0] === major && gap[1] === minor && patch <= gap[2];
}

function atLeast({ major, minor }: KernelVersion, [wantedMajor, wantedMinor]: Release): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
