/** A function whose configuration space a test lays out byte by byte, given to a user. */
import type { Host, Process } from '@vsim/vfio-core';
import { PciFunction, buildConfig, type BarInit, type PciFunctionInit } from '../src/index.ts';
import { CONFIG, bind, eduHost, open, type EduHost, type EduHostInit, type OpenDevice } from './edu-host.ts';

export const NAME = '0000:00:05.0';
const GROUP = 5;

/** A capability: its id, where it is, and the bytes behind its link (or, from 0x100 on, behind its header). */
export type Structure = readonly [id: number, at: number, ...bytes: number[]];

export interface Layout {
  readonly vendor?: number;
  readonly device?: number;
  readonly class?: number;
  readonly interruptPin?: number;
  readonly bars?: readonly BarInit[];
  /** In list order. One from 0x100 on makes the space 4096 bytes. */
  readonly structures?: readonly Structure[];
  /** Bytes over the rest, by offset. */
  readonly bytes?: Readonly<Record<number, number>>;
  /** What software can write, dwords by offset, over what the specifications say. */
  readonly writable?: Readonly<Record<number, number>>;
  readonly vpd?: Uint8Array;
  readonly firmwareRom?: Uint8Array;
  readonly nonMappableBars?: boolean;
}

/** Keeps every configuration access that reaches the hardware. */
export class Probe extends PciFunction {
  readonly accesses: (readonly [what: 'r' | 'w', at: number, width: number])[] = [];
  resets = 0;

  constructor(host: Host, init: PciFunctionInit) {
    super(host, init);
    this.accesses.length = 0;
  }

  override configRead(offset: number, width: number): number {
    this.accesses.push(['r', offset, width]);
    return super.configRead(offset, width);
  }

  override configWrite(offset: number, width: number, value: number): void {
    this.accesses.push(['w', offset, width]);
    super.configWrite(offset, width, value);
  }

  protected override reset(): void {
    this.resets += 1;
  }
}

export function layOut({ structures = [], bytes = {}, bars = [], ...head }: Layout): Uint8Array {
  const extended = structures.some(([, at]) => at >= 0x100);
  const small = buildConfig({ vendor: 0x1d55, device: 9, ...head, bars });
  const config = new Uint8Array(extended ? 4096 : 256);
  config.set(small);
  const standard = structures.filter(([, at]) => at < 0x100);
  let link = 0x34;
  for (const [id, at, ...rest] of standard) {
    config[0x06] = 0x10;
    config[link] = at;
    config[at] = id;
    config.set(rest, at + 2);
    link = at + 1;
  }
  const beyond = structures.filter(([, at]) => at >= 0x100);
  beyond.forEach(([id, at, ...rest], i) => {
    const next = beyond[i + 1]?.[1] ?? 0;
    config.set([id, id >> 8, 1 | ((next & 0xf) << 4), next >> 4, ...rest], at);
  });
  for (const [at, byte] of Object.entries(bytes)) config[Number(at)] = byte;
  return config;
}

export interface ConfigHost extends EduHost, OpenDevice {
  readonly fn: Probe;
  /** What the user reads of configuration space. */
  readonly get: (at: number, width?: number) => number;
  /** Stores as the user does. */
  readonly put: (at: number, width: number, value: number) => void;
  /** What the hardware has. */
  readonly hardware: (at: number, width?: number) => number;
}

/** A bound and opened function of this layout. */
export function openLayout(layout: Layout, init: EduHostInit = {}): ConfigHost {
  const made = eduHost(init);
  const { bars, writable, vpd, firmwareRom, nonMappableBars } = layout;
  const fn = new Probe(made.host, { address: NAME, config: layOut(layout), bars, vpd, firmwareRom, nonMappableBars, writeMasks: writable, vendorBytes: 'storage' });
  made.bus.plug(fn, { group: GROUP });
  bind(made.process, NAME);
  const opened = open(made.process, NAME, GROUP);
  fn.accesses.length = 0;
  return { ...made, ...opened, fn, ...configAccess(made.process, opened.device), hardware: (at, width = 1) => fn.config.read(at, width) };
}

/** Little-endian loads and stores of 1 to 4 bytes in configuration space. */
export function configAccess(process: Process, device: number): Pick<ConfigHost, 'get' | 'put'> {
  return {
    get: (at, width = 1) => {
      const bytes = new Uint8Array(width);
      process.pread(device, bytes, CONFIG + at);
      return bytes.reduceRight((value, byte) => value * 0x100 + byte, 0);
    },
    put: (at, width, value) => {
      process.pwrite(device, Uint8Array.from({ length: width }, (_, i) => value >>> (8 * i)), CONFIG + at);
    },
  };
}
