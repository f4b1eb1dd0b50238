import type { Host } from '@vsim/vfio-core';
import { write32 } from '../pci/capabilities.ts';
import { buildConfig } from '../pci/config-builder.ts';
import type { BarInit } from '../pci/bars.ts';
import { PciFunction } from '../pci/pci-function.ts';

/** Offsets in the header that BAR 0 and BAR 1 show, in bytes. `TEST` is written, the rest is read. */
export const PCI_TESTDEV = {
  /** The number of a test: 0 to 2. Any other ends the one that runs. */
  TEST: 0,
  /** Width of the access to make, in bytes. */
  WIDTH: 1,
  /** Where in this BAR the access goes. */
  OFFSET: 4,
  /** What to write there. */
  DATA: 8,
  /** Writes that the device has seen. */
  COUNT: 12,
  /** The test's name, with a zero byte behind it. */
  NAME: 16,
} as const;

/** `plain`: no eventfd. `wildcard`: an eventfd takes every byte. `datamatch`: it takes the byte that the header says. */
const TESTS = ['no-eventfd', 'wildcard-eventfd', 'datamatch-eventfd'] as const;
const DATA_MATCHED = 0xfa;
const DATA_ANY = 0xce;
const MEMORY_SIZE = 4096;
const PORTS_SIZE = 256;
/** The bytes that are written lie in the second half of a BAR. */
const MEMORY_TARGETS = 2048;
const PORT_TARGETS = 128;

interface Test {
  readonly header: Uint8Array;
  readonly offset: number;
  readonly kind: (typeof TESTS)[number];
}

/**
 * pci-testdev, QEMU's device for testing how accesses reach a device: tests that are chosen by number, each with a register that counts the
 * writes that come through.
 *
 * Reference: QEMU, docs/specs/pci-testdev.rst. BAR 0 is memory of 4 KiB, BAR 1 ports; both show the header of the test that was started,
 * byte by byte, and zero before. A write of a test's number to byte 0 starts it: on BAR 0 the tests of memory, on BAR 1 those of ports.
 * Modelled: the three tests of each, with the writes that an eventfd of the host takes before the device sees them; BAR 2 of the option
 * `membar`, which has nothing behind it.
 */
export class PciTestdev extends PciFunction {
  readonly #tests: readonly Test[] = ['mmio', 'portio'].flatMap((type, bar) => TESTS.map((kind, test) => makeTest(type, kind, bar * TESTS.length + test)));
  #current: Test | undefined;

  /**
   * The header of the test that runs, as bytes; 0 elsewhere.
   *
   * @param bar 0 or 1; 0 is read of others
   * @param offset bytes
   * @param width of the access, in bytes
   */
  protected override barRead(bar: number, offset: number, width: number): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i -= 1) value = value * 0x100 + this.#byte(bar, offset + i);
    return value;
  }

  /**
   * Starts a test, or counts a write.
   *
   * @param bar 0 or 1; others ignore it
   * @param offset bytes
   * @param width of the access, in bytes
   * @param value unsigned
   */
  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    if (bar > 1) return;
    // An eventfd listens for single bytes; a wider write goes past it, and reaches the device as bytes.
    if (width === 1 && this.#eventfdTakes(offset, value)) return;
    for (let i = 0; i < width; i += 1) this.#write(bar, offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** No test runs; the counts stay until a test is started anew. */
  protected override reset(): void {
    this.#current = undefined;
  }

  #byte(bar: number, offset: number): number {
    return bar > 1 ? 0 : (this.#current?.header[offset] ?? 0);
  }

  #eventfdTakes(offset: number, value: number): boolean {
    const test = this.#current;
    if (test?.offset !== offset || test.kind === 'no-eventfd') return false;
    return test.kind === 'wildcard-eventfd' || value === DATA_MATCHED;
  }

  #write(bar: number, offset: number, value: number): void {
    if (offset === PCI_TESTDEV.TEST) {
      this.#current = value < TESTS.length ? this.#tests[bar * TESTS.length + value] : undefined;
      if (this.#current !== undefined) write32(this.#current.header, PCI_TESTDEV.COUNT, 0);
      return;
    }
    const test = this.#current;
    if (test?.offset !== offset || (test.kind !== 'wildcard-eventfd' && value !== DATA_MATCHED)) return;
    const count = new DataView(test.header.buffer);
    count.setUint32(PCI_TESTDEV.COUNT, count.getUint32(PCI_TESTDEV.COUNT, true) + 1, true);
  }
}

function makeTest(type: string, kind: (typeof TESTS)[number], number: number): Test {
  const name = new TextEncoder().encode(`${type}-${kind}\0`);
  const header = new Uint8Array(PCI_TESTDEV.NAME + name.length);
  const offset = (type === 'mmio' ? MEMORY_TARGETS : PORT_TARGETS) + number;
  header[PCI_TESTDEV.TEST] = number;
  header[PCI_TESTDEV.WIDTH] = 1;
  write32(header, PCI_TESTDEV.OFFSET, offset);
  header[PCI_TESTDEV.DATA] = kind === 'wildcard-eventfd' ? DATA_ANY : DATA_MATCHED;
  header.set(name, PCI_TESTDEV.NAME);
  return { header, offset, kind };
}

/** Options of QEMU's `-device pci-testdev`. */
export interface PciTestdevInit {
  /** Size of BAR 2 in bytes, a power of two; 0: there is none. @default 0 */
  readonly membar?: number | undefined;
}

/** The test device, 1b36:0005, as QEMU makes it. @param address as `0000:00:02.0` */
export function createPciTestdev(host: Host, address: string, init: PciTestdevInit = {}): PciTestdev {
  const membar = init.membar ?? 0;
  const bars: readonly BarInit[] = [
    { index: 0, size: MEMORY_SIZE },
    { index: 1, size: PORTS_SIZE, kind: 'io' },
    ...(membar > 0 ? [{ index: 2, size: membar, kind: 'mem64', prefetchable: true } as const] : []),
  ];
  const config = buildConfig({ vendor: 0x1b36, device: 5, class: 0x00_ff00, bars, subsystemVendor: 0x1af4, subsystem: 0x1100 });
  return new PciTestdev(host, { address, config, bars });
}
