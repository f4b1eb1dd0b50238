import { FdtError, type FdtNode } from '@vsim/vfio-core';
import { interruptsOf, type DeviceInterrupt } from './interrupts.ts';
import { Look } from './look.ts';

/** A range of CPU physical addresses. */
export interface DeviceRange {
  /** First address, in bytes, below 2^53. */
  readonly start: number;
  /** Bytes, below 2^53; 0 where the tree says so. */
  readonly size: number;
}

/** A device that a tree describes, as deviceFromTree() takes it. */
export interface DeviceDescription {
  /** As Linux names platform devices: `9010000.pl031`, the first address and the node's name; without one `PARENT:NODE`, the whole names. */
  readonly name: string;
  /** Of its node, from the root: `/soc/serial@9000000`. */
  readonly path: string;
  /** Its property, the most specific string first; at least one. */
  readonly compatible: readonly string[];
  /** What `reg` says, in CPU addresses; entries that a bus above does not map are left out. */
  readonly ranges: readonly DeviceRange[];
  /** Those that come to a GIC, by index; the list ends before the first that does not. */
  readonly interrupts: readonly DeviceInterrupt[];
}

const BUSES: readonly string[] = ['simple-bus', 'simple-mfd', 'isa', 'arm,amba-bus'];
/** What has a driver before there are devices, which then has no device of its own: GICs (of_irq_init()), fixed clocks (of_clk_init()). And tables of operating points. */
const TAKEN: readonly string[] = [
  'arm,gic-v3', 'arm,gic-400', 'arm,cortex-a7-gic', 'arm,cortex-a9-gic', 'arm,cortex-a15-gic', 'arm,eb11mp-gic', 'arm,pl390', 'arm,gic-v5',
  'fixed-clock', 'fixed-factor-clock', 'operating-points-v2',
];

/**
 * The platform devices that a device tree describes: compatible strings, registers in CPU addresses, interrupts.
 *
 * Reference: Devicetree Specification 0.4, 2.3. As Linux has it: nodes of the root and of simple buses below it become devices, where they
 * have `compatible` and are not disabled.
 *
 * The devices of a tree, in its order.
 *
 * @throws FdtError for a property that does not fit its neighbours
 */
export function describeDevices(root: FdtNode): readonly DeviceDescription[] {
  const look = new Look(root);
  const found: DeviceDescription[] = [];
  const visit = (bus: FdtNode): void => {
    for (const node of bus.children) {
      const compatible = node.strings('compatible');
      if (compatible.length === 0 || !isAvailable(node) || compatible.some((name) => TAKEN.includes(name))) continue;
      found.push(describe(node, compatible, look));
      // What the AMBA bus takes is no bus itself.
      if (!compatible.includes('arm,primecell') && compatible.some((name) => BUSES.includes(name))) visit(node);
    }
  };
  visit(root);
  return found;
}

function isAvailable(node: FdtNode): boolean {
  const [status] = node.strings('status');
  return status === undefined || status === 'okay' || status === 'ok';
}

function describe(node: FdtNode, compatible: readonly string[], look: Look): DeviceDescription {
  return {
    name: nameOf(node, look),
    path: node.path,
    compatible,
    ranges: registers(node, look).flatMap((range) => range ?? []),
    interrupts: interruptsOf(node, look),
  };
}

/** of_device_make_bus_id(): the nearest address that the CPU knows, upwards, and what is below it. */
function nameOf(node: FdtNode, look: Look): string {
  let below = '';
  for (let at = node; at.parent !== undefined; at = at.parent) {
    const [first] = registers(at, look);
    if (first !== undefined) return `${first.start.toString(16)}.${at.name.split('@')[0]!}${below}`;
    below = `${at.parent.parent === undefined ? '' : ':'}${at.name}${below}`;
  }
  return below;
}

/** `reg`, translated by the `ranges` of every bus above; undefined what a bus does not map. */
function registers(node: FdtNode, look: Look): (DeviceRange | undefined)[] {
  const { parent } = node;
  if (parent === undefined) return [];
  const addressCells = parent.cell('#address-cells', 2);
  const sizeCells = parent.cell('#size-cells', 1);
  const cells = node.cells('reg');
  const entry = addressCells + sizeCells;
  if (entry === 0 || entry > 4 || sizeCells === 0) return [];
  if (cells.length % entry !== 0) throw new FdtError(`${node.path}: reg: ${cells.length} cells are not entries of ${entry}`);
  const out: (DeviceRange | undefined)[] = [];
  for (let at = 0; at < cells.length; at += entry) {
    const start = translate(parent, wide(cells, at, addressCells, node), look);
    out.push(start === undefined ? undefined : { start, size: wide(cells, at + addressCells, sizeCells, node) });
  }
  return out;
}

/** An address on a bus, as the root sees it; undefined where a bus does not map it. */
function translate(bus: FdtNode, address: number, look: Look): number | undefined {
  look.step(bus);
  if (bus.parent === undefined) return address;
  if (!bus.properties.has('ranges')) return undefined;
  const cells = bus.cells('ranges');
  if (cells.length === 0) return translate(bus.parent, address, look);
  const child = bus.cell('#address-cells', 2);
  const parent = bus.parent.cell('#address-cells', 2);
  const size = bus.cell('#size-cells', 1);
  const entry = child + parent + size;
  if (entry === 0 || cells.length % entry !== 0) throw new FdtError(`${bus.path}: ranges: ${cells.length} cells are not entries of ${entry}`);
  for (let at = 0; at < cells.length; at += entry) {
    look.step(bus);
    const from = wide(cells, at, child, bus);
    const length = wide(cells, at + child + parent, size, bus);
    if (address >= from && address < from + length) return translate(bus.parent, wide(cells, at + child, parent, bus) + address - from, look);
  }
  return undefined;
}

/** A number of up to two cells; it has to be exact. */
function wide(cells: readonly number[], at: number, count: number, node: FdtNode): number {
  let value = 0;
  for (let i = 0; i < count; i += 1) value = value * 0x1_0000_0000 + cells[at + i]!;
  if (!Number.isSafeInteger(value)) throw new FdtError(`${node.path}: a number of ${count} cells beyond 2^53`);
  return value;
}
