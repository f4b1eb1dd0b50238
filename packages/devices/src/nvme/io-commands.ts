/** The NVM command set. Reference: NVM Express Base 1.4, 6. */
import type { NvmeCore } from './core.ts';
import { discardRange, writeZeroes } from './deallocate.ts';
import type { Namespace } from './namespace.ts';
import { NVME_ALL_NAMESPACES, NVME_FEATURE, NVME_IO } from './opcodes.ts';
import { NVME_STATUS } from './status.ts';

/** Dword 12, bit 30: Force Unit Access. */
const FUA = 0x4000_0000;
/** Bytes of a range of Dataset Management. */
const RANGE = 16;
/** Dataset Management, dword 11, bit 2: deallocate. */
const DEALLOCATE = 4;

/** Does the command at work, which came from an I/O queue. @returns a status */
export function executeIo(core: NvmeCore): number {
  const { command } = core;
  const { opcode } = command;
  switch (opcode) {
    case NVME_IO.FLUSH:
    case NVME_IO.WRITE:
    case NVME_IO.READ:
    case NVME_IO.COMPARE:
    case NVME_IO.WRITE_ZEROES:
    case NVME_IO.DATASET_MANAGEMENT:
      break;
    default:
      return NVME_STATUS.INVALID_OPCODE;
  }
  if (command.fuse !== 0 || command.psdt === 3) return NVME_STATUS.INVALID_FIELD;
  if (opcode === NVME_IO.FLUSH && command.namespace === NVME_ALL_NAMESPACES) return flushAll(core);
  const namespace = core.namespace(command.namespace);
  if (namespace === undefined) return core.refusalOf(command.namespace);
  if (opcode === NVME_IO.FLUSH) return flush(namespace);
  if (opcode === NVME_IO.DATASET_MANAGEMENT) return manageDataset(core, namespace);
  return executeBlocks(core, namespace);
}

/** Commands with a first block in dwords 10 and 11, and a number of blocks less one in dword 12. */
function executeBlocks(core: NvmeCore, namespace: Namespace): number {
  const { command, limits } = core;
  const { opcode } = command;
  const count = (command.dword(12) & 0xffff) + 1;
  const length = count * namespace.blockSize;
  const zeroes = opcode === NVME_IO.WRITE_ZEROES;
  if (!zeroes && length > limits.maxTransfer) return NVME_STATUS.INVALID_FIELD;
  const place = namespace.place(command.dword(10), command.dword(11), count);
  if (place === undefined) return NVME_STATUS.LBA_OUT_OF_RANGE;
  if (zeroes) return written(core, namespace, writeZeroes(namespace.store, place, length));
  const mapped = core.mapData(length, opcode === NVME_IO.READ);
  if (mapped !== NVME_STATUS.SUCCESS) return mapped;
  if (opcode === NVME_IO.READ) return read(core, namespace, place, length);
  const gathered = core.gather();
  if (gathered !== NVME_STATUS.SUCCESS) return gathered;
  if (opcode === NVME_IO.COMPARE) return compare(core, namespace, place, length);
  core.health.writeCommands += 1;
  core.health.bytesWritten += length;
  return written(core, namespace, namespace.store.write(place, core.buffer.start(length)));
}

function read(core: NvmeCore, namespace: Namespace, place: number, length: number): number {
  if (!namespace.store.read(place, core.buffer.start(length))) return mediumError(core, NVME_STATUS.UNRECOVERED_READ_ERROR);
  core.health.readCommands += 1;
  core.health.bytesRead += length;
  return core.scatter();
}

/** Blocks as the driver has them, and as the store has them. */
function compare(core: NvmeCore, namespace: Namespace, place: number, length: number): number {
  const stored = new Uint8Array(length);
  if (!namespace.store.read(place, stored)) return mediumError(core, NVME_STATUS.UNRECOVERED_READ_ERROR);
  core.health.readCommands += 1;
  core.health.bytesRead += length;
  const { bytes } = core.buffer;
  return stored.every((byte, at) => byte === bytes[at]) ? NVME_STATUS.SUCCESS : NVME_STATUS.COMPARE_FAILURE;
}

/** What ends a write: with the cache off, or with FUA, it is safe when it completes. */
function written(core: NvmeCore, namespace: Namespace, done: boolean): number {
  if (!done) return mediumError(core, NVME_STATUS.WRITE_FAULT);
  const safe = (core.command.dword(12) & FUA) !== 0 || core.features.current(NVME_FEATURE.VOLATILE_WRITE_CACHE) === 0;
  return safe ? flush(namespace) : NVME_STATUS.SUCCESS;
}

function mediumError(core: NvmeCore, status: number): number {
  core.health.mediaErrors += 1;
  return status;
}

function flush(namespace: Namespace): number {
  return namespace.store.flush?.() === false ? NVME_STATUS.WRITE_FAULT : NVME_STATUS.SUCCESS;
}

/** All namespaces, also those behind one that fails. */
export function flushAll(core: NvmeCore): number {
  let status: number = NVME_STATUS.SUCCESS;
  for (const namespace of core.namespaces) if (namespace !== undefined && flush(namespace) !== NVME_STATUS.SUCCESS) status = NVME_STATUS.WRITE_FAULT;
  return status;
}

/** Ranges are looked at before the first is deallocated. Hints of access are taken and not followed. */
function manageDataset(core: NvmeCore, namespace: Namespace): number {
  const { command, buffer } = core;
  const count = (command.dword(10) & 0xff) + 1;
  const mapped = core.mapData(count * RANGE, false);
  if (mapped !== NVME_STATUS.SUCCESS) return mapped;
  const gathered = core.gather();
  if (gathered !== NVME_STATUS.SUCCESS) return gathered;
  if ((command.dword(11) & DEALLOCATE) === 0) return NVME_STATUS.SUCCESS;
  const view = new DataView(buffer.bytes.buffer);
  const placeOf = (n: number): number | undefined => namespace.place(view.getUint32(n * RANGE + 8, true), view.getUint32(n * RANGE + 12, true), view.getUint32(n * RANGE + 4, true));
  for (let n = 0; n < count; n += 1) if (placeOf(n) === undefined) return NVME_STATUS.LBA_OUT_OF_RANGE;
  for (let n = 0; n < count; n += 1) {
    const place = placeOf(n);
    const length = view.getUint32(n * RANGE + 4, true) * namespace.blockSize;
    if (place !== undefined && length > 0 && !discardRange(namespace.store, place, length)) return mediumError(core, NVME_STATUS.WRITE_FAULT);
  }
  return NVME_STATUS.SUCCESS;
}
