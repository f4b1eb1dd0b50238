/** A device file of the author's own: `createDevice(host, address)`, loaded so that it shares the packages of this command. */
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PciFunction } from '@vsim/vfio-pci';
import { UsageError } from '../io.ts';
import type { Maker } from './machine.ts';
import { givePackages } from './own-packages.ts';

const TYPESCRIPT = /\.[cm]?ts$/;

/**
 * Loads it, anew for each generation.
 *
 * @param name as the person wrote it
 * @param path whole
 * @throws UsageError where it does not load, throws, or exports no createDevice
 */
export async function loadAuthorFile(name: string, path: string, generation: number): Promise<Maker> {
  const { typescript }: { readonly typescript?: unknown } = process.features;
  if (TYPESCRIPT.test(path) && typeof typescript !== 'string') throw new UsageError(`${name}: Node ${process.version} does not run TypeScript: take Node 22.18 or later, or a .js file`);
  givePackages();
  let exported: object;
  try {
    const loaded: unknown = await import(`${pathToFileURL(path).href}?vsim=${generation}`);
    exported = loaded instanceof Object || (typeof loaded === 'object' && loaded !== null) ? loaded : {};
  } catch (error) {
    throw new UsageError(`${name}: ${told(error, path)}`);
  }
  const make: unknown = Reflect.get(exported, 'createDevice');
  if (typeof make !== 'function') {
    const others = Object.keys(exported);
    throw new UsageError(`${name}: exports no function createDevice(host, address)${others.length === 0 ? '' : `, but ${others.join(', ')}`}`);
  }
  return (host, address) => {
    let made: unknown;
    try {
      made = Reflect.apply(make, undefined, [host, address]);
    } catch (error) {
      throw new UsageError(`${name}: createDevice() throws ${told(error, path)}`);
    }
    if (!(made instanceof PciFunction)) throw new UsageError(`${name}: createDevice() returns ${kindOf(made)}; expected a PciFunction of @vsim/vfio-pci`);
    return made;
  };
}

/** An error in one line, with the line of the author's file that it comes from. */
export function told(error: unknown, path: string | undefined): string {
  if (!(error instanceof Error)) return String(error);
  const { name, message, stack = '' } = error;
  const first = message.split('\n')[0]!;
  // Node tells the line of a file that does not parse before everything else.
  const at = path === undefined ? undefined : new RegExp(`${escaped(basename(path))}(?:\\?vsim=\\d+)?:(\\d+)`).exec(stack)?.[1];
  return `${name}: ${first}${at === undefined ? '' : ` (line ${at})`}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}

function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? `an object of ${value.constructor.name}` : String(value);
}
