/**
 * What an object is made with: the fields of its CREATE command, which GET_ATTR tells and a DPL names. Offsets are from the first parameter.
 * Source: headers of mc-utils; recorded with restool 2.4 and DPDK 22.11.
 */
import { get, set, type Field32 as Place } from '@vsim/vfio-core';

/** How a DPL writes a field: a number, one of some names, those of the bits that are set, or its parts each by itself. Without one restool does not write it. */
export type ConfigNotation =
  | { readonly kind: 'number'; readonly hex?: boolean; /** restool writes no blank before `=` */ readonly tight?: boolean }
  | { readonly kind: 'name'; readonly names: readonly string[] }
  | { readonly kind: 'flags'; readonly names: readonly string[] }
  | { readonly kind: 'parts' };

export interface ConfigField {
  /** As in a DPL. */
  readonly name: string;
  /** In CREATE; several places: a list. */
  readonly create: readonly Place[];
  /** In the answer of GET_ATTR. */
  readonly attribute?: readonly Place[];
  /** Of an object that nobody asked for by a command. */
  readonly initial: readonly number[];
  /** What 0 stands for in CREATE. @default 0 */
  readonly zero?: number;
  readonly notation?: ConfigNotation;
}

/** The values of an object's fields, by their names in a DPL. */
export type ObjectConfig = ReadonlyMap<string, readonly number[]>;
/** What a caller gives: fields that are left out have their initial value. */
export type ConfigInit = Readonly<Record<string, number | readonly number[]>>;

const NUMBER: ConfigNotation = { kind: 'number' };
const HEX: ConfigNotation = { kind: 'number', hex: true };
const eight = (from: number): Place[] => Array.from({ length: 8 }, (_, i) => [from + i, 'u8'] as const);

const DPNI_OPTIONS = [
  'DPNI_OPT_TX_FRM_RELEASE',
  'DPNI_OPT_NO_MAC_FILTER',
  'DPNI_OPT_HAS_POLICING',
  'DPNI_OPT_SHARED_CONGESTION',
  'DPNI_OPT_HAS_KEY_MASKING',
  'DPNI_OPT_NO_FS',
  'DPNI_OPT_HAS_OPR',
  'DPNI_OPT_OPR_PER_TC',
  'DPNI_OPT_SINGLE_SENDER',
  'DPNI_OPT_CUSTOM_CG',
  'DPNI_OPT_CUSTOM_OPR',
  'DPNI_OPT_SHARED_HASH_KEY',
  'DPNI_OPT_SHARED_FS',
  'DPNI_OPT_STASHING_DIS',
];
const DPSW_OPTIONS = ['DPSW_OPT_FLOODING_DIS', '', 'DPSW_OPT_MULTICAST_DIS', '', 'DPSW_OPT_CTRL_IF_DIS', 'DPSW_OPT_FLOODING_METERING_DIS', 'DPSW_OPT_METERING_EN', 'DPSW_OPT_BP_PER_IF', 'DPSW_OPT_LAG_DIS'];
const DPSECI_OPTIONS = ['', '', '', '', '', 'DPSECI_OPT_HAS_CG', 'DPSECI_OPT_HAS_OPR', 'DPSECI_OPT_OPR_SHARED'];
const DPDMUX_METHODS = ['DPDMUX_METHOD_NONE', 'DPDMUX_METHOD_C_VLAN_MAC', 'DPDMUX_METHOD_MAC', 'DPDMUX_METHOD_C_VLAN', 'DPDMUX_METHOD_S_VLAN', 'DPDMUX_METHOD_CUSTOM'];

/** Fields by type of object, in the order in which restool's generate-dpl writes them. */
export const CONFIG_FIELDS: ReadonlyMap<string, readonly ConfigField[]> = new Map<string, readonly ConfigField[]>([
  ['dpci', [{ name: 'num_of_priorities', create: [[0, 'u8']], attribute: [[6, 'u8']], initial: [2], zero: 1, notation: HEX }, { name: 'options', create: [[16, 'u32']], initial: [0] }]],
  ['dpcon', [{ name: 'num_priorities', create: [[0, 'u8']], attribute: [[6, 'u8']], initial: [1], zero: 1, notation: HEX }]],
  ['dpdcei', [{ name: 'engine', create: [[1, 'u8']], initial: [0] }, { name: 'priority', create: [[2, 'u8']], initial: [1] }]],
  ['dpdmai', [
    { name: 'num_queues', create: [[0, 'u8']], attribute: [[5, 'u8']], initial: [1], zero: 1 },
    { name: 'priorities', create: [[1, 'u8'], [2, 'u8']], initial: [2, 2] },
    { name: 'options', create: [[4, 'u32']], initial: [0] },
  ]],
  ['dpdmux', [
    { name: 'options', create: [[16, 'u32']], attribute: [[24, 'u32']], initial: [0], notation: { kind: 'flags', names: ['', 'DPDMUX_OPT_BRIDGE_EN', '', '', '', 'DPDMUX_OPT_CLS_MASK_SUPPORT'] } },
    { name: 'method', create: [[0, 'u8']], attribute: [[0, 'u8']], initial: [1], notation: { kind: 'name', names: DPDMUX_METHODS } },
    { name: 'manip', create: [[1, 'u8']], attribute: [[1, 'u8']], initial: [0], notation: { kind: 'name', names: ['DPDMUX_MANIP_NONE', 'DPDMUX_MANIP_ADD_REMOVE_S_VLAN'] } },
    { name: 'num_ifs', create: [[2, 'u16']], attribute: [[2, 'u16']], initial: [2], notation: HEX },
    { name: 'default_if', create: [[4, 'u16']], attribute: [[6, 'u16']], initial: [0] },
    { name: 'max_dmat_entries', create: [[8, 'u16']], initial: [0] },
  ]],
  ['dpio', [
    { name: 'channel_mode', create: [[2, 'u8']], attribute: [[7, 'u8']], initial: [1], notation: { kind: 'name', names: ['DPIO_NO_CHANNEL', 'DPIO_LOCAL_CHANNEL'] } },
    { name: 'num_priorities', create: [[4, 'u8']], attribute: [[6, 'u8']], initial: [8], zero: 8, notation: HEX },
  ]],
  ['dpmcp', [{ name: 'options', create: [[4, 'u32']], attribute: [[0, 'u32']], initial: [0] }]],
  ['dpni', [
    { name: 'options', create: [[0, 'u32']], attribute: [[0, 'u32']], initial: [0], notation: { kind: 'flags', names: DPNI_OPTIONS } },
    { name: 'num_queues', create: [[4, 'u8']], attribute: [[4, 'u8']], initial: [1], zero: 1, notation: NUMBER },
    { name: 'num_tcs', create: [[5, 'u8']], attribute: [[7, 'u8']], initial: [1], zero: 1, notation: NUMBER },
    // As many as of the others.
    { name: 'num_rx_tcs', create: [[14, 'u8']], initial: [0] },
    { name: 'num_cgs', create: [[16, 'u8']], attribute: [[20, 'u8']], initial: [1], notation: NUMBER },
    { name: 'mac_filter_entries', create: [[6, 'u8']], attribute: [[6, 'u8']], initial: [16], zero: 16, notation: NUMBER },
    { name: 'vlan_filter_entries', create: [[8, 'u8']], attribute: [[8, 'u8']], initial: [0], notation: NUMBER },
    { name: 'fs_entries', create: [[12, 'u16']], attribute: [[12, 'u16']], initial: [1], notation: NUMBER },
    { name: 'qos_entries', create: [[10, 'u8']], attribute: [[10, 'u8']], initial: [64], notation: NUMBER },
    { name: 'dist_key_size', create: [[19, 'u8']], attribute: [[17, 'u8']], initial: [56], zero: 56, notation: NUMBER },
    { name: 'num_channels', create: [[7, 'u8']], attribute: [[9, 'u8']], initial: [0], notation: { kind: 'number', tight: true } },
    { name: 'num_opr', create: [[17, 'u16']], attribute: [[14, 'u16']], initial: [0], notation: NUMBER },
  ]],
  ['dpseci', [
    { name: 'priorities', create: [...eight(0), ...eight(24)], initial: [1, 1], notation: NUMBER },
    { name: 'num_tx_queues', create: [[8, 'u8']], attribute: [[8, 'u8']], initial: [2], zero: 1 },
    { name: 'num_rx_queues', create: [[9, 'u8']], attribute: [[9, 'u8']], initial: [2], zero: 1 },
    { name: 'options', create: [[16, 'u32']], attribute: [[16, 'u32']], initial: [0], notation: { kind: 'flags', names: DPSECI_OPTIONS } },
  ]],
  ['dpsw', [
    { name: 'options', create: [[16, 'u32']], attribute: [[24, 'u32']], initial: [0], notation: { kind: 'flags', names: DPSW_OPTIONS } },
    { name: 'max_vlans', create: [[8, 'u16']], attribute: [[4, 'u16']], initial: [16], zero: 16, notation: HEX },
    { name: 'max_fdbs', create: [[2, 'u8']], attribute: [[2, 'u8']], initial: [16], zero: 16, notation: HEX },
    { name: 'num_fdb_entries', create: [[10, 'u16']], attribute: [[8, 'u16']], initial: [1024], zero: 1024, notation: HEX },
    { name: 'fdb_aging_time', create: [[12, 'u16']], attribute: [[10, 'u16']], initial: [300], zero: 300, notation: HEX },
    { name: 'num_ifs', create: [[0, 'u16']], attribute: [[0, 'u16']], initial: [4], notation: HEX },
    { name: 'max_fdb_mc_groups', create: [[14, 'u16']], attribute: [[18, 'u16']], initial: [32], zero: 32, notation: HEX },
    { name: 'max_meters_per_if', create: [[3, 'u8']], attribute: [[20, 'u8']], initial: [0], notation: HEX },
    { name: 'component_type', create: [[4, 'u8']], attribute: [[21, 'u8']], initial: [0] },
    // Bits 0 to 3: how floods are replicated; 4 to 7: broadcasts. EXTRA_FIELDS has their names.
    { name: 'replication', create: [[5, 'u8']], attribute: [[22, 'u8']], initial: [0], notation: { kind: 'parts' } },
  ]],
]);

/** Properties of a DPL that are a part of a field, or say what is so in any case. */
export const EXTRA_FIELDS: ReadonlyMap<string, { readonly field?: string; readonly shift: number; readonly names: readonly string[] }> = new Map([
  ['dpni.type', { shift: 0, names: ['DPNI_TYPE_NIC'] }],
  ['dpsw.flooding_cfg', { field: 'replication', shift: 0, names: ['DPSW_FLOODING_PER_VLAN', 'DPSW_FLOODING_PER_FDB'] }],
  ['dpsw.broadcast_cfg', { field: 'replication', shift: 4, names: ['DPSW_BROADCAST_PER_OBJECT', 'DPSW_BROADCAST_PER_FDB'] }],
]);

/** What is told beside the fields: the place of the id, and values that are the same for all. */
const TOLD: ReadonlyMap<string, { readonly id?: Place; readonly values: readonly (readonly [place: Place, value: number | ((id: number) => number)])[] }> = new Map([
  ['dpaiop', { id: [0, 'u32'], values: [] }],
  ['dpbp', { id: [4, 'u32'], values: [[[2, 'u16'], (id: number) => id + 1]] }],
  ['dpci', { id: [0, 'u32'], values: [] }],
  ['dpcon', { id: [0, 'u32'], values: [[[4, 'u16'], (id: number) => 0x100 + id]] }],
  ['dpdbg', { id: [0, 'u32'], values: [] }],
  ['dpdcei', { id: [0, 'u32'], values: [] }],
  ['dpdmai', { id: [0, 'u32'], values: [[[4, 'u8'], 2]] }],
  ['dpdmux', { id: [16, 'u32'], values: [] }],
  // Its software portal, the version of the queue manager, and the clock in hertz.
  ['dpio', { id: [0, 'u32'], values: [[[4, 'u16'], (id: number) => id + 1], [[24, 'u32'], 0x0500_0000], [[32, 'u32'], 700_000_000]] }],
  // Ethernet of 10 Gbit/s, told in Mbit/s, whose link Linux looks after.
  ['dpmac', { id: [2, 'u16'], values: [[[0, 'u8'], 6], [[1, 'u8'], 2], [[4, 'u32'], 10_000]] }],
  ['dpmcp', { id: [4, 'u32'], values: [] }],
  // It does not tell its id. The size of a QoS key, and the version of the hardware.
  ['dpni', { values: [[[16, 'u8'], 24], [[18, 'u16'], 0x2104]] }],
  ['dprtc', { id: [0, 'u32'], values: [] }],
  ['dpseci', { id: [0, 'u32'], values: [] }],
  // One forwarding database, one VLAN.
  ['dpsw', { id: [12, 'u32'], values: [[[3, 'u8'], 1], [[6, 'u16'], 1]] }],
]);

/**
 * The values of all fields of a type: what is left out has its initial value.
 *
 * @throws RangeError for a field that the type does not have, or one that does not fit
 */
export function configOf(type: string, init: ConfigInit = {}): ObjectConfig {
  const fields = CONFIG_FIELDS.get(type) ?? [];
  for (const name of Object.keys(init)) if (!fields.some((field) => field.name === name)) throw new RangeError(`"config" expected fields of a ${type}, got ${name}`);
  return new Map(
    fields.map((field) => {
      const values = checked(field, valuesOf(init[field.name] ?? field.initial));
      // A list that is shorter than that of the kind goes on like that.
      return [field.name, [...values, ...field.initial.slice(values.length)]];
    }),
  );
}

/** The fields of a CREATE command. */
export function createdConfig(type: string, params: Uint8Array): ConfigInit {
  return Object.fromEntries((CONFIG_FIELDS.get(type) ?? []).map(({ name, create, zero = 0 }) => [name, create.map((place) => get(params, place) || zero)]));
}

/** The one value of a field; 0 for one that the object does not have. */
export function valueOf(config: ObjectConfig, name: string): number {
  return config.get(name)?.[0] ?? 0;
}

/** Writes the answer of GET_ATTR. @param id of the object, 32 bits */
export function writeAttributes(type: string, id: number, config: ObjectConfig, out: Uint8Array): void {
  for (const { name, attribute = [] } of CONFIG_FIELDS.get(type) ?? []) {
    for (const [i, place] of attribute.entries()) set(out, place, config.get(name)?.[i] ?? 0);
  }
  const told = TOLD.get(type);
  if (told?.id !== undefined) set(out, told.id, id);
  for (const [place, value] of told?.values ?? []) set(out, place, typeof value === 'number' ? value : value(id));
  if (type === 'dpni') set(out, [5, 'u8'], valueOf(config, 'num_rx_tcs') || valueOf(config, 'num_tcs'));
}

function valuesOf(value: number | readonly number[]): readonly number[] {
  return typeof value === 'number' ? [value] : value;
}

const LIMITS: Readonly<Record<Place[1], number>> = { u8: 0xff, u16: 0xffff, u32: 0xffff_ffff, s32: 0x7fff_ffff };

function checked(field: ConfigField, values: readonly number[]): readonly number[] {
  const fits = values.length <= field.create.length && values.every((value, i) => Number.isInteger(value) && value >= 0 && value <= LIMITS[field.create[i]![1]]);
  if (!fits) throw new RangeError(`"${field.name}" expected at most ${field.create.length} numbers that its command has room for, got ${values.join(' ')}`);
  return values;
}
