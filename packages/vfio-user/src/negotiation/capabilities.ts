/** What a side says of itself in VERSION: a JSON text. Keys that the protocol has not are left alone. */
import { EINVAL } from '@vsim/vfio-core';
import { refused, type Refused } from '../wire/messages.ts';

/** How a side migrates. */
export interface MigrationCapability {
  /** Bytes of a page in bitmaps of dirty pages. */
  readonly pageSize: number;
  /** Bytes of the largest bitmap that the side takes or makes. */
  readonly maxBitmapSize: number;
}

/** What a side takes and can. */
export interface Capabilities {
  /** Descriptors that the side takes beside a message. */
  readonly maxMsgFds: number;
  /** Bytes of data that the side takes or gives in a message: at least 1. */
  readonly maxDataXferSize: number;
  /** Ranges of memory that may be mapped at once. */
  readonly maxDmaMaps: number;
  /** Page sizes in bytes, or'ed together. */
  readonly pageSizes: number;
  /** Undefined: the side does not migrate, or does not say so. */
  readonly migration: MigrationCapability | undefined;
  /** REGION_WRITE_MULTI is known. */
  readonly writeMultiple: boolean;
}

/** What a side has that says nothing. */
export const DEFAULT_CAPABILITIES: Capabilities = {
  maxMsgFds: 1,
  maxDataXferSize: 1_048_576,
  maxDmaMaps: 65_535,
  pageSizes: 4096,
  migration: undefined,
  writeMultiple: false,
};

/** What a side has whose `migration` does not say all. */
export const DEFAULT_MIGRATION: MigrationCapability = { pageSize: 4096, maxBitmapSize: 268_435_456 };

/** Reads the text of VERSION. @param text undefined: none came @returns EINVAL where it is no JSON, or a value has another type than its key */
export function parseCapabilities(text: string | undefined): Capabilities | Refused {
  if (text === undefined) return DEFAULT_CAPABILITIES;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refused(EINVAL, 'the text of VERSION is no JSON');
  }
  if (!isObject(value)) return refused(EINVAL, 'the text of VERSION is no object');
  const given = value['capabilities'] ?? {};
  if (!isObject(given)) return refused(EINVAL, 'capabilities is no object');
  const migration = given['migration'];
  if (migration !== undefined && !isObject(migration)) return refused(EINVAL, 'migration is no object');
  const twin = given['twin_socket'];
  if (twin !== undefined && !isObject(twin)) return refused(EINVAL, 'twin_socket is no object');
  const writeMultiple = given['write_multiple'] ?? false;
  if (typeof writeMultiple !== 'boolean') return refused(EINVAL, 'write_multiple is no boolean');
  const wrong =
    notNumber(given, 'max_msg_fds', 0) ??
    notNumber(given, 'max_data_xfer_size', 1) ??
    notNumber(given, 'max_dma_maps', 0) ??
    notNumber(given, 'pgsizes', 0) ??
    (migration === undefined ? undefined : (notNumber(migration, 'pgsize', 1) ?? notNumber(migration, 'max_bitmap_size', 0)));
  if (wrong !== undefined) return refused(EINVAL, `${wrong} is no number, or none that it may be`);
  return {
    maxMsgFds: number(given, 'max_msg_fds', DEFAULT_CAPABILITIES.maxMsgFds),
    maxDataXferSize: number(given, 'max_data_xfer_size', DEFAULT_CAPABILITIES.maxDataXferSize),
    maxDmaMaps: number(given, 'max_dma_maps', DEFAULT_CAPABILITIES.maxDmaMaps),
    pageSizes: number(given, 'pgsizes', DEFAULT_CAPABILITIES.pageSizes),
    migration:
      migration === undefined
        ? undefined
        : { pageSize: number(migration, 'pgsize', DEFAULT_MIGRATION.pageSize), maxBitmapSize: number(migration, 'max_bitmap_size', DEFAULT_MIGRATION.maxBitmapSize) },
    writeMultiple,
  };
}

/** Writes the text of VERSION: values that are the defaults are left out, but for the three that every implementation sends. */
export function capabilitiesText(own: Capabilities): string {
  const capabilities = {
    max_msg_fds: own.maxMsgFds,
    max_data_xfer_size: own.maxDataXferSize,
    pgsizes: own.pageSizes,
    ...(own.maxDmaMaps === DEFAULT_CAPABILITIES.maxDmaMaps ? {} : { max_dma_maps: own.maxDmaMaps }),
    ...(own.migration === undefined ? {} : { migration: { pgsize: own.migration.pageSize, max_bitmap_size: own.migration.maxBitmapSize } }),
    ...(own.writeMultiple ? { write_multiple: true } : {}),
  };
  return JSON.stringify({ capabilities });
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The key, if its value is there and is no whole number from `least` on. */
function notNumber(object: JsonObject, key: string, least: number): string | undefined {
  const value = object[key];
  return value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) ? undefined : key;
}

function number(object: JsonObject, key: string, otherwise: number): number {
  const value = object[key];
  return typeof value === 'number' ? value : otherwise;
}
