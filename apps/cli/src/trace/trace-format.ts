/** What a trace file is to those who fill it. */
import type { Host, TraceEvent } from '@vsim/vfio-core';

/** Hosts with one time, and a guest that may move between them. */
export interface HostGroup {
  /** Begins the names of its hosts, where there are several groups. */
  readonly prefix: string;
}

/** Where bytes of a file go. They are kept, or dropped once it has failed: who fills it is in the middle of the model, where nothing may be thrown. */
export interface Sink {
  write(content: string | Uint8Array): void;
}

/** A way to write down what hosts tell. */
export interface TraceFormat {
  /**
   * A host begins.
   *
   * @param from virtual ns of its group at which its clock begins
   * @returns what is to hear of each of its events
   */
  host(group: HostGroup, name: string, host: Host, from: number): (event: TraceEvent) => void;
  /** A phase of the group's migration begins; undefined: the last has ended. `at` in virtual ns of the group. */
  phase(group: HostGroup, name: string | undefined, at: number): void;
  /** Nothing of the group comes any more. */
  endGroup(group: HostGroup): void;
}
