/** What one controller is made with. */
import type { NvmeNamespaceInit } from './namespace.ts';

/** An NVMe controller as its author describes it. */
export interface NvmeInit {
  /** Its namespaces: the first is 1. @default none */
  readonly namespaces?: readonly NvmeNamespaceInit[] | undefined;
  /** Serial number: up to 20 printable ASCII characters. Two controllers of one guest need two. @default made of the address */
  readonly serial?: string | undefined;
  /** Model number: up to 40 printable ASCII characters. @default 'vsim NVMe' */
  readonly model?: string | undefined;
  /** Firmware revision: up to 8 printable ASCII characters. @default '1.0' */
  readonly firmware?: string | undefined;
  /** I/O queue pairs, 1 to 256. @default 16 */
  readonly ioQueues?: number | undefined;
  /** MSI-X vectors, 1 to 512. @default one more than queue pairs */
  readonly vectors?: number | undefined;
  /** Entries of an I/O queue at most, 2 to 65536. @default 2048 */
  readonly maxEntries?: number | undefined;
  /** CAP.DSTRD, 0 to 4: doorbells are 4 << this bytes apart. @default 0 */
  readonly doorbellStride?: number | undefined;
  /** Bytes of a transfer at most (MDTS): a power of two, 4 KiB to 1 MiB. @default 512 KiB */
  readonly maxTransfer?: number | undefined;
  /** The highest namespace id that there may be, 1 to 1024. @default 16, or as many as there are namespaces */
  readonly maxNamespaces?: number | undefined;
  /** I/O commands are fetched and then wait for serve(). @default false */
  readonly hold?: boolean | undefined;
}

/** NvmeInit with its defaults, looked at. @internal */
export interface NvmeLimits {
  readonly serial: string;
  readonly model: string;
  readonly firmware: string;
  readonly ioQueues: number;
  readonly vectors: number;
  readonly maxEntries: number;
  readonly doorbellStride: number;
  readonly maxTransfer: number;
  readonly maxNamespaces: number;
}

/** @throws RangeError for a number or a text that there cannot be */
export function limitsOf(init: NvmeInit, address: string): NvmeLimits {
  const count = init.namespaces?.length ?? 0;
  const ioQueues = whole('ioQueues', init.ioQueues ?? 16, 1, 256);
  const maxTransfer = whole('maxTransfer', init.maxTransfer ?? 0x8_0000, 4096, 0x10_0000);
  if (!Number.isInteger(Math.log2(maxTransfer))) throw new RangeError(`"maxTransfer" expected a power of two, got ${maxTransfer}`);
  return {
    serial: text('serial', init.serial ?? `VSIM${address.replaceAll(/[^0-9a-z]/gi, '')}`, 20),
    model: text('model', init.model ?? 'vsim NVMe', 40),
    firmware: text('firmware', init.firmware ?? '1.0', 8),
    ioQueues,
    vectors: whole('vectors', init.vectors ?? ioQueues + 1, 1, 512),
    maxEntries: whole('maxEntries', init.maxEntries ?? 2048, 2, 65_536),
    doorbellStride: whole('doorbellStride', init.doorbellStride ?? 0, 0, 4),
    maxTransfer,
    maxNamespaces: whole('maxNamespaces', init.maxNamespaces ?? Math.max(16, count), Math.max(1, count), 1024),
  };
}

function whole(name: string, value: number, from: number, to: number): number {
  if (!(Number.isInteger(value) && value >= from && value <= to)) throw new RangeError(`"${name}" expected an integer in [${from}, ${to}], got ${value}`);
  return value;
}

function text(name: string, value: string, length: number): string {
  if (value.length > length || !/^[ -~]*$/.test(value)) throw new RangeError(`"${name}" expected up to ${length} printable ASCII characters, got ${JSON.stringify(value)}`);
  return value;
}
