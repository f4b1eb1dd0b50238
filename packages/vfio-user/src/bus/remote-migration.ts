/** Migration of a device behind a connection: each arc is a DEVICE_FEATURE, and the stream goes by MIG_DATA_READ and MIG_DATA_WRITE. */
import {
  EIO,
  type File,
  get,
  MIG_STATE,
  MigrationDriver,
  type MigState,
  ResumeFile,
  SaveFile,
  set,
  type Sleeps,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_MIGRATION_P2P,
  VFIO_MIGRATION_STOP_COPY,
} from '@vsim/vfio-core';
import type { RemoteDevice } from '../client/remote-device.ts';
import { joined } from '../wire/bytes.ts';
import { connected } from './remote-iommu.ts';

/** The most bytes that a state may have: what ends a server that never says that it has told all. */
const MOST = 64 * 1_048_576;
const CHUNK = 1_048_576;
const NONE = new Uint8Array(0);

/** The device's migration, where its server has one. PRE_COPY is left out: a state is read when the device has stopped. */
export function remoteMigration(remote: RemoteDevice): MigrationDriver | undefined {
  const data = remote.feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, NONE, 8);
  if (typeof data === 'number' || data.length < 8) return undefined;
  const flags = Number(get(data, [0, 'u64']) & BigInt(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P));
  if ((flags & VFIO_MIGRATION_STOP_COPY) === 0) return undefined;
  const arcs = new RemoteArcs(remote);
  const driver: MigrationDriver = new MigrationDriver(flags, { arc: (from, to) => arcs.arc(driver, from, to) });
  return driver;
}

class RemoteArcs {
  readonly #remote: RemoteDevice;
  #save: SaveFile | undefined;
  #resume: ResumeFile | undefined;

  constructor(remote: RemoteDevice) {
    this.#remote = remote;
  }

  // It never sleeps, as calls over the connection wait. The form is that of MigrationArcs.
  *arc(driver: MigrationDriver, from: MigState, to: MigState): Sleeps<File | number> {
    if (from === MIG_STATE.RESUMING) {
      const refused = this.#load();
      if (refused < 0) {
        driver.fail();
        return refused;
      }
    }
    const data = new Uint8Array(8);
    set(data, [0, 'u32'], to);
    const answer = this.#remote.feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, data, data.length);
    if (typeof answer === 'number') return connected(answer);
    this.#save?.disable();
    this.#save = undefined;
    if (to === MIG_STATE.RESUMING) return (this.#resume = new ResumeFile(MOST));
    if (to !== MIG_STATE.STOP_COPY) return 0;
    const state = this.#read();
    // The server has gone on to STOP_COPY, and this side has not: nobody knows where it stands.
    if (typeof state === 'number') driver.fail();
    return typeof state === 'number' ? state : (this.#save = new SaveFile(state));
  }

  #load(): number {
    const bytes = this.#resume?.bytes ?? NONE;
    this.#resume?.disable();
    this.#resume = undefined;
    if (bytes.length === 0) return 0;
    const written = this.#remote.writeState(bytes);
    if (written < 0) return connected(written);
    return written < bytes.length ? -EIO : 0;
  }

  /** All that the server has. */
  #read(): Uint8Array | number {
    const parts: Uint8Array[] = [];
    for (let size = 0; size <= MOST; ) {
      const part = new Uint8Array(CHUNK);
      const count = this.#remote.readState(part);
      if (count < 0) return connected(count);
      parts.push(part.subarray(0, count));
      size += count;
      if (count < CHUNK) return joined(parts);
    }
    return -EIO;
  }
}
