/** The reasons that a model tells while a step of a recording runs. */
import * as core from '@vsim/vfio-core';
import type { Host } from '@vsim/vfio-core';
import * as gic from '@vsim/gic-its';
import * as fslmc from '@vsim/vfio-fslmc';
import * as mdev from '@vsim/mdev';
import * as pci from '@vsim/vfio-pci';
import * as platform from '@vsim/vfio-platform';

const IDS: ReadonlySet<string> = new Set(
  [core, pci, platform, fslmc, mdev, gic].flatMap((exports) => Object.values<unknown>({ ...exports }).filter(core.isReason).map(({ id }) => id)),
);

export class ToldReasons {
  #told: string[] = [];

  /** From now on, what this host's model tells counts too. */
  listen(host: Host): void {
    host.trace.listen(({ id, fields }) => {
      // A job's thread, such as an unbind that waits, is a process of its own.
      if (!IDS.has(id) || host.scheduler.current?.name.includes(' job ') === true) return;
      const values = Object.values<unknown>({ ...fields });
      this.#told.push(values.some((value) => value !== undefined && value !== '') ? id : `${id} without fields`);
    });
  }

  /** A step begins. */
  begin(): void {
    this.#told = [];
  }

  /** Ids, with what is wrong about each. */
  get ids(): readonly string[] {
    return this.#told;
  }
}
