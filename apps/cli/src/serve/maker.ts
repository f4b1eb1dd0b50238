/** What makes the device that a person has chosen. */
import { createNvme, MemoryStore } from '@vsim/devices';
import { createEdu } from '@vsim/vfio-pci';
import { loadAuthorFile } from './author-file.ts';
import type { DeviceChoice } from './device-choice.ts';
import { BLOCK, FileStore } from './file-store.ts';
import type { Maker } from './machine.ts';

const DEFAULT_SIZE = 2 ** 28;

/** Reads a file of theirs, or takes what is built in. @param generation 1, 2, ...: how often a file was read @throws UsageError where a file of theirs gives no device, in a line that says why */
export async function makerOf({ name, path, size, store }: DeviceChoice, generation = 1): Promise<Maker> {
  if (path !== undefined) return loadAuthorFile(name, path, generation);
  if (name === 'edu') return createEdu;
  const disk = store === undefined ? new MemoryStore(size ?? DEFAULT_SIZE) : new FileStore(store, size);
  return (host, address) => createNvme(host, address, { namespaces: [{ store: disk, blockSize: BLOCK }] });
}
