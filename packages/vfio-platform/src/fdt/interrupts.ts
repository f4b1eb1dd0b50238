/**
 * Which interrupts a node of a device tree has: through `interrupts` or `interrupts-extended`, the interrupt parents above it and the
 * `interrupt-map` of nexus nodes, to an interrupt controller.
 *
 * Reference: Devicetree Specification 0.4, 2.4; Arm GICv3 binding (type, number, flags, for PPIs a partition). Kernel: of_irq_parse_one(),
 * of_irq_parse_raw().
 */
import { FdtError, type FdtNode } from '@vsim/vfio-core';
import type { Look } from './look.ts';

/** How an interrupt is triggered, by the flags of the GIC's binding: 1, 2, 4, 8; `none` for 0 and any other. */
export type Trigger = (typeof TRIGGER_NAMES)[number];

/** All that a tree can say. */
export const TRIGGER_NAMES = ['edge-rising', 'edge-falling', 'level-high', 'level-low', 'none'] as const;

/** An interrupt that a device's node describes, when it has been followed to a GIC. */
export interface DeviceInterrupt {
  /** INTID on a GIC: SPIs from 32 and 4096, PPIs from 16 and 1056. */
  readonly intid: number;
  /** From bits 3:0 of the specifier's flags. */
  readonly trigger: Trigger;
}

/** What a specifier says, and who understands it. */
interface Specifier {
  readonly controller: FdtNode;
  readonly cells: readonly number[];
}

/** First INTID of SPIs, PPIs, extended SPIs and extended PPIs. */
const FIRST: readonly number[] = [32, 16, 4096, 1056];
const TRIGGERS: Readonly<Record<number, Trigger>> = { 0: 'none', 1: 'edge-rising', 2: 'edge-falling', 4: 'level-high', 8: 'level-low' };
/** A way to a controller that leads through more nodes than this leads in a circle. */
const MAX_HOPS = 64;
const MAX_CELLS = 16;

/**
 * The interrupts of a node that come to a GIC. The list ends before the first that comes to another controller: a host that has only a
 * GIC cannot get it, and nobody counts further.
 *
 * @throws FdtError for a property that does not fit its neighbours
 */
export function interruptsOf(node: FdtNode, look: Look): DeviceInterrupt[] {
  const out: DeviceInterrupt[] = [];
  for (const first of specifiers(node, look)) {
    const found = first === undefined ? undefined : throughNexus(node, first, look);
    const interrupt = found === undefined ? undefined : ofGic(found);
    if (interrupt === undefined) break;
    out.push(interrupt);
  }
  return out;
}

function ofGic({ cells }: Specifier): DeviceInterrupt | undefined {
  if (cells.length !== 3 && cells.length !== 4) return undefined; // no GIC: what its cells mean is not known here
  const first = FIRST[cells[0]!];
  return first === undefined ? undefined : { intid: first + cells[1]!, trigger: TRIGGERS[cells[2]! & 0xf] ?? 'none' };
}

/** What the node itself says; undefined for one whose controller is not in the tree. */
function specifiers(node: FdtNode, look: Look): (Specifier | undefined)[] {
  if (node.properties.has('interrupts-extended')) return extended(node, look);
  const cells = node.cells('interrupts');
  if (cells.length === 0) return [];
  const controller = interruptParent(node, look);
  if (controller === undefined) return [];
  const width = widthOf(controller);
  if (width === 0 || cells.length % width !== 0) throw new FdtError(`${node.path}: interrupts: ${cells.length} cells are not entries of ${width}`);
  return Array.from({ length: cells.length / width }, (_, i) => ({ controller, cells: cells.slice(i * width, (i + 1) * width) }));
}

function extended(node: FdtNode, look: Look): (Specifier | undefined)[] {
  const cells = node.cells('interrupts-extended');
  const out: (Specifier | undefined)[] = [];
  for (let at = 0; at < cells.length; ) {
    const controller = look.phandle(cells[at]!);
    const width = controller === undefined ? 0 : widthOf(controller);
    if (at + 1 + width > cells.length) throw new FdtError(`${node.path}: interrupts-extended: ends within an entry`);
    out.push(controller === undefined ? undefined : { controller, cells: cells.slice(at + 1, at + 1 + width) });
    if (controller === undefined) break; // how long its entry is nobody knows
    at += 1 + width;
  }
  return out;
}

/** Follows interrupt maps up to a controller; undefined where a map has no entry. */
function throughNexus(node: FdtNode, first: Specifier, look: Look): Specifier | undefined {
  let unit = node.cells('reg');
  let at = first;
  for (let hops = 0; hops < MAX_HOPS; hops += 1) {
    look.step(node);
    const { controller } = at;
    if (controller.properties.has('interrupt-controller')) return at;
    if (!controller.properties.has('interrupt-map')) {
      const above = interruptParent(controller, look);
      if (above === undefined) return undefined;
      at = { controller: above, cells: at.cells };
      continue;
    }
    const found = lookUp(at, unit, look);
    if (found === undefined) return undefined;
    ({ next: at, unit } = found);
  }
  throw new FdtError(`${node.path}: interrupt-map leads in a circle`);
}

/** The entry of a nexus for a unit address and a specifier. */
function lookUp({ controller: nexus, cells }: Specifier, unit: readonly number[], look: Look): { next: Specifier; unit: readonly number[] } | undefined {
  const addressCells = count(nexus, '#address-cells', 2);
  const wanted = [...Array.from({ length: addressCells }, (_, i) => unit[i] ?? 0), ...cells];
  const mask = nexus.cells('interrupt-map-mask');
  const map = nexus.cells('interrupt-map');
  const width = addressCells + widthOf(nexus);
  if (width !== wanted.length) return undefined;
  for (let at = 0; at < map.length; ) {
    look.step(nexus);
    const controller = look.phandle(map[at + width] ?? 0);
    if (controller === undefined) return undefined;
    const parentAddress = count(controller, '#address-cells', 0);
    const parent = at + width + 1 + parentAddress;
    const end = parent + widthOf(controller);
    if (end > map.length) throw new FdtError(`${nexus.path}: interrupt-map: ends within an entry`);
    const matches = wanted.every((cell, i) => ((cell ^ map[at + i]!) & (mask[i] ?? 0xffff_ffff)) === 0);
    if (matches) return { next: { controller, cells: map.slice(parent, end) }, unit: map.slice(at + width + 1, parent) };
    at = end;
  }
  return undefined;
}

/** The nearest interrupt parent that interrupts can be told to: `interrupt-parent`, or the node above. */
function interruptParent(node: FdtNode, look: Look): FdtNode | undefined {
  let at: FdtNode | undefined = node;
  for (let hops = 0; hops < MAX_HOPS; hops += 1) {
    look.step(node);
    const parent: FdtNode | undefined = at.properties.has('interrupt-parent') ? look.phandle(at.cell('interrupt-parent', 0)) : at.parent;
    if (parent === undefined || parent.properties.has('#interrupt-cells')) return parent;
    at = parent;
  }
  throw new FdtError(`${node.path}: interrupt-parent leads in a circle`);
}

function widthOf(controller: FdtNode): number {
  return count(controller, '#interrupt-cells', 0);
}

/** How many cells something has. @throws FdtError for more than anything has */
function count(node: FdtNode, name: string, otherwise: number): number {
  const cells = node.cell(name, otherwise);
  if (cells > MAX_CELLS) throw new FdtError(`${node.path}: ${name}: ${cells} is more than ${MAX_CELLS}`);
  return cells;
}
