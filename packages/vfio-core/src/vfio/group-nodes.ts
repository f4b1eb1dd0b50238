/** The nodes of groups: /dev/vfio/N with its minor, /sys/class/vfio. Catalogue: vfio 2.1. */
import type { Host } from '../host/host.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { File } from '../process/file.ts';
import type { Process } from '../process/process.ts';

/** A dynamic major number; which one is nobody's promise. */
const MAJOR = 511;

export class GroupNodes {
  readonly #host: Host;
  /** By minor: the lowest free one is taken, whatever the group's number. */
  readonly #names: (string | undefined)[] = [];

  constructor(host: Host) {
    this.#host = host;
    host.files.folder('/sys/class/vfio');
  }

  add(name: string, open: (process: Process) => Sleeps<File | number>): void {
    const free = this.#names.indexOf(undefined);
    const minor = free < 0 ? this.#names.length : free;
    this.#names[minor] = name;
    const folder = `/sys/devices/virtual/vfio/${name}`;
    this.#host.files.constant(`${folder}/dev`, `${MAJOR}:${minor}\n`);
    this.#host.files.link(`/sys/class/vfio/${name}`, folder);
    this.#host.files.add(`/dev/vfio/${name}`, { kind: 'device', mode: 0o600, open });
  }

  remove(name: string): void {
    const minor = this.#names.indexOf(name);
    if (minor >= 0) this.#names[minor] = undefined;
    for (const path of [`/dev/vfio/${name}`, `/sys/class/vfio/${name}`, `/sys/devices/virtual/vfio/${name}`]) this.#host.files.remove(path);
  }
}
