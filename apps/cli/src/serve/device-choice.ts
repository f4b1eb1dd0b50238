/** Which device a person means by DEVICE: one that is built in, or a file of theirs. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from '../io.ts';

const BUILT_IN = ['edu', 'nvme'] as const;
/** A name that is no more letters away is one that was meant. */
const NEAR = 2;

/** What was chosen. It goes from one thread to the other. */
export interface DeviceChoice {
  /** As the person wrote it. */
  readonly name: string;
  /** The whole path of a file of theirs. */
  readonly path: string | undefined;
  /** Bytes of the disk. */
  readonly size: number | undefined;
  /** The whole path of the disk's file. */
  readonly store: string | undefined;
}

/** What stands behind the options of a disk. */
export interface DiskOptions {
  readonly size?: number;
  readonly file?: string;
}

/** @throws UsageError where there is no such device, or the options are not its */
export function deviceChoice(name: string, { size, file }: DiskOptions, cwd: string): DeviceChoice {
  const builtIn = BUILT_IN.find((each) => each === name);
  if (builtIn === undefined && !/[./\\]/.test(name)) throw new UsageError(`no device is called '${name}'${meant(name)}; there are ${BUILT_IN.join(' and ')}, or a file of yours as ./${name}.ts`);
  if (builtIn !== 'nvme' && (size ?? file) !== undefined) throw new UsageError(`--${size === undefined ? 'file' : 'size'} is for nvme, not for ${name}`);
  const path = builtIn === undefined ? resolve(cwd, name) : undefined;
  if (path !== undefined && !existsSync(path)) throw new UsageError(`${name}: no such file or folder`);
  return { name, path, size, store: file === undefined ? undefined : resolve(cwd, file) };
}

function meant(name: string): string {
  const near = BUILT_IN.find((each) => Math.abs(name.length - each.length) <= NEAR && distance(name.toLowerCase(), each) <= NEAR);
  return near === undefined ? '' : ` (Did you mean ${near}?)`;
}

/** How many letters have to be put in, taken out or changed. */
function distance(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length;
  const rest = distance(a.slice(1), b.slice(1));
  if (b.startsWith(a.slice(0, 1))) return rest;
  return 1 + Math.min(rest, distance(a.slice(1), b), distance(a, b.slice(1)));
}
