/** What a format of recordings is: told by its first line, run case by case. */
import type { Host, ProfileName } from '@vsim/vfio-core';
import type { ServedDevice } from '@vsim/vfio-user';
import type { Fields } from './json.ts';
import type { CaseReport } from './report.ts';

/** Hears of each host that a case, or several, are replayed on, before anything is in it. */
export type WatchHosts = (name: string, host: Host) => void;

/** Makes a device to be served, as it is before its first client. @param watch hears of its host */
export type MakeServed = (watch: WatchHosts | undefined) => ServedDevice;

export interface ReplayOptions {
  /** Overrides the profile that the recording's kernel asks for. */
  readonly profile?: ProfileName | undefined;
  /** Only cases whose name starts so. */
  readonly casePrefix?: string | undefined;
  /** Where a line goes for each command that a Management Complex gets. */
  readonly mcLog?: ((line: string) => void) | undefined;
  readonly watch?: WatchHosts | undefined;
  /** Makes the device that a conversation is said to (vfio-user), in a host of its own. @default what the recording tells of */
  readonly device?: MakeServed | undefined;
  /** The conversation with a Management Complex beside the recording, where there is one. @throws MalformedRecording */
  readonly conversation?: (() => readonly Fields[] | undefined) | undefined;
  /** The machines of the recording (vfio, boots and sessions): host.json parsed, or the file of that name. @throws MalformedRecording */
  readonly hosts?: ((name: string | undefined) => Fields) | undefined;
}

export interface Format {
  readonly name: 'vfio' | 'qemu-gic' | 'kvm-its' | 'linux-gic' | 'vfio-user' | 'mc-session' | 'fslmc-boot';
  recognises(first: Fields): boolean;
  /** The kernel profile (or GIC preset) that a file asks for, for the report. */
  profileOf(first: Fields, options?: ReplayOptions): string;
  /** Runs the cases of one file, in order. @throws MalformedRecording */
  run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport>;
}
