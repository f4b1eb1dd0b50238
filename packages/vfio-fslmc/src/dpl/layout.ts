/**
 * A data path layout (DPL), as firmware reads it when it boots: containers, objects, connections. Source: mc-utils
 * (config), restool 2.4 (generate-dpl).
 */
import { FdtError, parseFdt, type FdtNode } from '@vsim/vfio-core';
import { OPEN_COMMANDS } from '../mc/command.ts';
import { CONFIG_FIELDS, configOf, EXTRA_FIELDS, type ConfigField, type ConfigInit } from '../mc/object-config.ts';
import { DplError, parseDts, type DtsLines } from './dts-text.ts';

/** The version that this firmware reads. */
export const DPL_VERSION = 10;

/** Names of the bits of DPRC_CFG_OPT_*. */
export const DPRC_OPTIONS: readonly string[] = [
  'DPRC_CFG_OPT_SPAWN_ALLOWED',
  'DPRC_CFG_OPT_ALLOC_ALLOWED',
  'DPRC_CFG_OPT_OBJ_CREATE_ALLOWED',
  'DPRC_CFG_OPT_TOPOLOGY_CHANGES_ALLOWED',
  '',
  'DPRC_CFG_OPT_AIOP',
  'DPRC_CFG_OPT_IRQ_CFG_ALLOWED',
  'DPRC_CFG_OPT_PL_ALLOWED',
];

export interface LayoutObject {
  readonly type: string;
  readonly id: number;
  readonly label?: string | undefined;
  readonly config: ConfigInit;
}

export interface LayoutContainer {
  readonly id: number;
  /** undefined: the root. */
  readonly parent: number | undefined;
  readonly options: number;
  readonly objects: readonly LayoutObject[];
}

export interface LayoutEnd {
  readonly type: string;
  readonly id: number;
  readonly interfaceId: number;
}

export interface Layout {
  /** Parents before their children, the root first. */
  readonly containers: readonly LayoutContainer[];
  readonly connections: readonly { readonly ends: readonly [LayoutEnd, LayoutEnd]; /** What to say if it cannot be made. */ readonly fail: (what: string) => never }[];
}

/** Reads text, or a compiled blob. @throws DplError, which names line and node */
export function readLayout(dpl: string | Uint8Array): Layout {
  if (typeof dpl === 'string') {
    const { root, lines } = parseDts(dpl);
    return new LayoutReader(lines).read(root);
  }
  try {
    return new LayoutReader(undefined).read(parseFdt(dpl));
  } catch (error) {
    if (error instanceof FdtError) throw new DplError(undefined, '/', error.message);
    throw error;
  }
}

class LayoutReader {
  readonly #lines: DtsLines | undefined;

  constructor(lines: DtsLines | undefined) {
    this.#lines = lines;
  }

  read(root: FdtNode): Layout {
    if (!root.properties.has('dpl-version')) this.#fail(root, undefined, 'expected dpl-version: a layout without one is for a firmware before 10');
    const [version] = this.#cells(root, 'dpl-version', true);
    if (version !== DPL_VERSION) this.#fail(root, 'dpl-version', `expected <${DPL_VERSION}>, got <${version ?? ''}>`);
    const objects = this.#objects(this.#section(root, 'objects'));
    const containers = this.#containers(this.#section(root, 'containers'), objects);
    return { containers, connections: this.#connections(root.children.find(({ name }) => name === 'connections')) };
  }

  /** What each object is made with, by its name. */
  #objects(section: FdtNode): ReadonlyMap<string, { readonly node: FdtNode; readonly config: ConfigInit }> {
    return new Map(
      section.children.map((node) => {
        const { type, id } = this.#named(node, node.name);
        this.#compatible(node, `fsl,${type}`);
        return [`${type}@${id}`, { node, config: this.#config(node, type) }] as const;
      }),
    );
  }

  #config(node: FdtNode, type: string): ConfigInit {
    const config: Record<string, readonly number[]> = {};
    for (const name of node.properties.keys()) {
      if (name === 'compatible') continue;
      const extra = EXTRA_FIELDS.get(`${type}.${name}`);
      const field = CONFIG_FIELDS.get(type)?.find((each) => each.name === (extra?.field ?? name));
      if (extra?.field === undefined && extra !== undefined) {
        this.#oneOf(node, name, extra.names);
        continue;
      }
      if (field === undefined) return this.#fail(node, name, `no field of a ${type}`);
      if (extra === undefined) config[field.name] = this.#values(node, name, field);
      else config[field.name] = [((config[field.name]?.[0] ?? 0) | (this.#oneOf(node, name, extra.names) << extra.shift)) >>> 0];
    }
    // A crypto engine has as many queues as priorities.
    const queues = config['priorities']?.length;
    if (type === 'dpseci' && queues !== undefined) Object.assign(config, { num_tx_queues: config['num_tx_queues'] ?? [queues], num_rx_queues: config['num_rx_queues'] ?? [queues] });
    try {
      configOf(type, config);
    } catch (error) {
      if (error instanceof RangeError) this.#fail(node, undefined, error.message);
      throw error;
    }
    return config;
  }

  #values(node: FdtNode, name: string, { notation }: ConfigField): readonly number[] {
    if (notation?.kind === 'flags') return [this.#flags(node, name, notation.names)];
    if (notation?.kind === 'name') return [this.#oneOf(node, name, notation.names)];
    return this.#cells(node, name, true);
  }

  #containers(section: FdtNode, objects: ReadonlyMap<string, { readonly node: FdtNode; readonly config: ConfigInit }>): readonly LayoutContainer[] {
    const taken = new Map<string, string>();
    const read = section.children.map((node) => ({ node, container: this.#container(node, objects, taken) }));
    for (const [name, { node }] of objects) if (!taken.has(name)) this.#fail(node, undefined, 'in no container');
    const out: LayoutContainer[] = [];
    while (out.length < read.length) {
      const next = read.find(({ container }) => !out.includes(container) && (out.length === 0 ? container.parent === undefined : out.some(({ id }) => id === container.parent)));
      if (next === undefined) {
        const { node, container } = read.find((each) => !out.includes(each.container))!;
        return this.#fail(node, 'parent', container.parent === undefined ? 'expected one container with the parent "none"' : `expected a container that is there and leads to the root, got dprc@${container.parent}`);
      }
      if (out.length === 0 && next.container.id !== 1) this.#fail(next.node, undefined, 'expected the root container to be dprc@1');
      out.push(next.container);
    }
    if (out.length === 0) this.#fail(section, undefined, 'expected a container');
    return out;
  }

  #container(node: FdtNode, objects: ReadonlyMap<string, { readonly node: FdtNode; readonly config: ConfigInit }>, taken: Map<string, string>): LayoutContainer {
    const { type, id } = this.#named(node, node.name);
    if (type !== 'dprc') this.#fail(node, undefined, 'expected dprc@N');
    this.#compatible(node, 'fsl,dprc');
    for (const name of node.properties.keys()) if (!['compatible', 'parent', 'options'].includes(name)) this.#fail(node, name, 'no field of a container');
    const [parent = ''] = this.#strings(node, 'parent');
    const above = parent === 'none' ? undefined : this.#named(node, parent, 'parent');
    if (above !== undefined && above.type !== 'dprc') this.#fail(node, 'parent', `expected "none" or a container, got ${parent}`);
    const out: LayoutObject[] = [];
    for (const entry of this.#section(node, 'objects').children) {
      for (const { name, label, property } of this.#entry(entry)) {
        const key = `${name.type}@${name.id}`;
        const made = objects.get(key);
        const before = taken.get(key);
        if (made === undefined) return this.#fail(entry, property, `${key} is not among the objects`);
        if (before !== undefined) this.#fail(entry, property, `${key} is in ${before} already`);
        taken.set(key, node.name);
        out.push({ ...name, label, config: made.config });
      }
    }
    return { id, parent: above?.id, options: node.properties.has('options') ? this.#flags(node, 'options', DPRC_OPTIONS) : 0, objects: out };
  }

  /** `obj_set@X { type; ids }`, or `obj@X { obj_name; label }`. */
  #entry(node: FdtNode): readonly { readonly name: { readonly type: string; readonly id: number }; readonly label?: string | undefined; readonly property: string }[] {
    const isSet = node.name.startsWith('obj_set@');
    if (!isSet && !node.name.startsWith('obj@')) this.#fail(node, undefined, 'expected obj_set@TYPE or obj@N');
    const fields = isSet ? ['type', 'ids'] : ['obj_name', 'label'];
    for (const name of node.properties.keys()) if (!fields.includes(name)) this.#fail(node, name, `no field of ${isSet ? 'a set of objects' : 'an object'}`);
    if (!isSet) {
      const [text = ''] = this.#strings(node, 'obj_name');
      const [label] = node.properties.has('label') ? this.#strings(node, 'label') : [];
      return [{ name: this.#named(node, text, 'obj_name'), label, property: 'obj_name' }];
    }
    const [type = ''] = this.#strings(node, 'type');
    if (!OPEN_COMMANDS.has(type) || type === 'dprc') this.#fail(node, 'type', `expected a type of object, got ${JSON.stringify(type)}`);
    return this.#cells(node, 'ids', false).map((id) => ({ name: { type, id }, property: 'ids' }));
  }

  #connections(section: FdtNode | undefined): Layout['connections'] {
    return (section?.children ?? []).map((node) => {
      if (!node.name.startsWith('connection@')) this.#fail(node, undefined, 'expected connection@N');
      for (const name of node.properties.keys()) if (name !== 'endpoint1' && name !== 'endpoint2') this.#fail(node, name, 'no field of a connection');
      return { ends: [this.#endpoint(node, 'endpoint1'), this.#endpoint(node, 'endpoint2')], fail: (what: string) => this.#fail(node, undefined, what) };
    });
  }

  /** `dpni@0`, or `dpsw@0/if@2`. */
  #endpoint(node: FdtNode, property: string): LayoutEnd {
    const [text = ''] = this.#strings(node, property);
    const match = /^([^/]*)(?:\/if@(\d{1,5}))?$/.exec(text);
    if (match === null) return this.#fail(node, property, `expected TYPE@ID or TYPE@ID/if@N, got ${JSON.stringify(text)}`);
    return { ...this.#named(node, match[1] ?? '', property), interfaceId: Number(match[2] ?? 0) };
  }

  #named(node: FdtNode, text: string, property?: string): { readonly type: string; readonly id: number } {
    const match = /^([a-z]+)@(\d{1,9})$/.exec(text);
    if (match === null || !OPEN_COMMANDS.has(match[1] ?? '')) return this.#fail(node, property, `expected TYPE@ID, got ${JSON.stringify(text)}`);
    return { type: match[1] ?? '', id: Number(match[2]) };
  }

  #section(node: FdtNode, name: string): FdtNode {
    return node.children.find((child) => child.name === name) ?? this.#fail(node, undefined, `expected ${name} { }`);
  }

  /** Boards' files have it or not. */
  #compatible(node: FdtNode, wanted: string): void {
    if (!node.properties.has('compatible')) return;
    const [compatible = ''] = this.#strings(node, 'compatible');
    if (compatible !== wanted) this.#fail(node, 'compatible', `expected "${wanted}", got ${JSON.stringify(compatible)}`);
  }

  /** Bits by their names; one without a name as a number, "0x80000000". */
  #flags(node: FdtNode, name: string, names: readonly string[]): number {
    let flags = 0;
    for (const text of this.#strings(node, name).filter((each) => each !== '')) {
      const bit = names.indexOf(text);
      if (bit < 0 && !/^0x[0-9a-f]{1,8}$/i.test(text)) this.#fail(node, name, `no option ${JSON.stringify(text)}`);
      flags = (flags | (bit < 0 ? Number(text) : 1 << bit)) >>> 0;
    }
    return flags;
  }

  #oneOf(node: FdtNode, name: string, names: readonly string[]): number {
    const [text = ''] = this.#strings(node, name);
    const value = names.indexOf(text);
    return value < 0 || text === '' ? this.#fail(node, name, `expected one of ${names.filter((each) => each !== '').join(', ')}, got ${JSON.stringify(text)}`) : value;
  }

  #strings(node: FdtNode, name: string): readonly string[] {
    const bytes = node.properties.get(name);
    if (bytes === undefined) return this.#fail(node, undefined, `expected ${name}`);
    if (bytes.length > 0 && bytes.at(-1) !== 0) this.#fail(node, name, 'expected a string');
    return node.strings(name);
  }

  /** @param some - at least one */
  #cells(node: FdtNode, name: string, some: boolean): readonly number[] {
    const bytes = node.properties.get(name);
    if (bytes === undefined) return this.#fail(node, undefined, `expected ${name}`);
    if (bytes.length % 4 !== 0 || (some && bytes.length === 0)) this.#fail(node, name, 'expected numbers in < >');
    return node.cells(name);
  }

  #fail(node: FdtNode, property: string | undefined, what: string): never {
    throw new DplError(this.#lines?.of(node, property), node.path, property === undefined ? what : `${property}: ${what}`);
  }
}
