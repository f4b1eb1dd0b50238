import { constant, type Sleeps } from '@vsim/vfio-core';
import { BAD_UUID } from './mdev-reasons.ts';
import type { MdevParent } from './mdev-parent.ts';

/** What a parent says of a type of device that it can make. */
export interface MdevTypeInit {
  /** What follows the driver's name and a dash in the type's id: `1` of `mtty-1`. */
  readonly name: string;
  /** For people; the attribute `name`. */
  readonly pretty: string;
  /** The attribute `description`; left out, there is none. */
  readonly description?: string | undefined;
}

const UUID_LENGTH = 36;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A type of mediated device that a parent can make, and its folder in sysfs. Kernel: struct mdev_type. */
export class MdevType {
  /** Whose type it is. */
  readonly parent: MdevParent;
  /** Its name in mdev_supported_types: the driver's name, a dash, and the type's. */
  readonly id: string;
  /** What the parent said of it. */
  readonly init: MdevTypeInit;

  /** A type of `parent`; MdevParent makes them. @throws RangeError for an empty name */
  constructor(parent: MdevParent, init: MdevTypeInit) {
    if (init.name === '') throw new RangeError('"name" expected the name of a type, got none');
    this.parent = parent;
    this.init = init;
    this.id = `${parent.driverName}-${init.name}`;
  }

  /** Path of its folder in sysfs, under mdev_supported_types. */
  get sysfs(): string {
    return `${this.parent.sysfs}/mdev_supported_types/${this.id}`;
  }

  /** Makes its folder with name, device_api, available_instances, description, create and devices. */
  createAttributes(): void {
    const { files } = this.parent.bus.host;
    files.folder(`${this.sysfs}/devices`);
    files.constant(`${this.sysfs}/name`, `${this.init.pretty}\n`);
    files.constant(`${this.sysfs}/device_api`, 'vfio-pci\n');
    files.constant(`${this.sysfs}/available_instances`, () => `${this.parent.available(this)}\n`);
    if (this.init.description !== undefined) files.constant(`${this.sysfs}/description`, `${this.init.description}\n`);
    files.add(`${this.sysfs}/create`, { kind: 'attribute', mode: 0o200, store: (bytes) => this.#create(bytes) });
  }

  /** Takes 36 characters, and one more of any kind. */
  #create(bytes: Uint8Array): Sleeps<number> {
    const text = new TextDecoder().decode(bytes);
    const uuid = text.slice(0, UUID_LENGTH);
    if (bytes.length < UUID_LENGTH || bytes.length > UUID_LENGTH + 1 || !UUID.test(uuid)) {
      return constant(this.parent.bus.host.refusals.refuse(BAD_UUID, { text }));
    }
    return this.parent.bus.create(this, uuid.toLowerCase(), bytes.length);
  }
}
