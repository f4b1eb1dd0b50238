import type { Host } from '../host/host.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { File } from '../process/file.ts';
import type { Process } from '../process/process.ts';

/** A dynamic major number; which one is nobody's promise. */
const MAJOR = 511;

/** The nodes of groups: /dev/vfio/N with its minor number, /sys/class/vfio. Kernel: vfio_group_alloc() and its cdev. */
export class GroupNodes {
  readonly #host: Host;
  /** By minor: the lowest free one is taken, whatever the group's number. */
  readonly #names: (string | undefined)[] = [];

  /** Made by Vfio. */
  constructor(host: Host) {
    this.#host = host;
    host.files.folder('/sys/class/vfio');
  }

  /**
   * Adds the node of a group, with the lowest free minor number.
   *
   * @param name its name in /dev/vfio: a number, or `noiommu-N`
   * @param open what an open answers: the file or a negative errno
   * @throws RangeError if the node is there
   */
  add(name: string, open: (process: Process) => Sleeps<File | number>): void {
    const free = this.#names.indexOf(undefined);
    const minor = free < 0 ? this.#names.length : free;
    this.#names[minor] = name;
    const folder = `/sys/devices/virtual/vfio/${name}`;
    this.#host.files.constant(`${folder}/dev`, `${MAJOR}:${minor}\n`);
    this.#host.files.link(`/sys/class/vfio/${name}`, folder);
    this.#host.files.add(`/dev/vfio/${name}`, { kind: 'device', mode: 0o600, open });
  }

  /** Takes the node of a group away. @param name as add() was told it */
  remove(name: string): void {
    const minor = this.#names.indexOf(name);
    if (minor >= 0) this.#names[minor] = undefined;
    for (const path of [`/dev/vfio/${name}`, `/sys/class/vfio/${name}`, `/sys/devices/virtual/vfio/${name}`]) this.#host.files.remove(path);
  }
}
