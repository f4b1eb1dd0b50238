/** Commands and register accesses as a recording has them: fields by name, and addresses and ids by number in order of appearance. */
import type { GicVersion } from '@vsim/gic-its';

/** What is named: a device, an ITT, an LPI; a vPE, its VPT, its doorbell, the VM's configuration table. */
type Kind = 'dev' | 'itt' | 'lpi' | 'vpe' | 'vpt' | 'db' | 'vconf';

const OF_A_VM: readonly Kind[] = ['vpe', 'vpt', 'db', 'vconf'];

/** Gives each value of a kind a number in order of appearance. */
export class Names {
  readonly #named = new Map<Kind, Map<bigint, string>>();

  name(kind: Kind, value: bigint): string {
    let names = this.#named.get(kind);
    if (names === undefined) this.#named.set(kind, (names = new Map<bigint, string>()));
    let name = names.get(value);
    if (name === undefined) names.set(value, (name = `${kind}${names.size}`));
    return name;
  }

  /** Of 0 it is 0. */
  nameOrZero(kind: Kind, value: bigint): string {
    return value === 0n ? '0' : this.name(kind, value);
  }

  /** A new VM: what belongs to one is numbered anew. */
  newVm(): void {
    for (const kind of OF_A_VM) this.#named.delete(kind);
  }
}

function bits(word: bigint, high: number, low: number): bigint {
  return (word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

/** A field of a command: word, highest and lowest bit, and how it is written down. */
type Show = (value: bigint, names: Names) => string;
type FieldOf = readonly [word: number, high: number, low: number, show: Show];

const number = (label: string): Show => (value) => `${label}=${value}`;
const named = (kind: Kind): Show => (value, names) => names.name(kind, value);
const labelled = (label: string, kind: Kind): Show => (value, names) => `${label}=${names.nameOrZero(kind, value)}`;

const DEVICE: FieldOf = [0, 63, 32, named('dev')];
const EVENT: FieldOf = [1, 31, 0, number('ev')];
const RDBASE: FieldOf = [2, 50, 16, (value) => `rd${value}`];
const ICID: FieldOf = [2, 15, 0, number('icid')];
const VPE: FieldOf = [1, 47, 32, named('vpe')];
const V: FieldOf = [2, 63, 63, number('V')];
const RAW_DB: FieldOf = [2, 63, 32, number('db')];

const COMMANDS: ReadonlyMap<number, readonly [name: string, fields: readonly FieldOf[]]> = new Map<number, readonly [string, readonly FieldOf[]]>([
  [0x01, ['MOVI', [DEVICE, EVENT, ICID]]],
  [0x03, ['INT', [DEVICE, EVENT]]],
  [0x04, ['CLEAR', [DEVICE, EVENT]]],
  [0x05, ['SYNC', [RDBASE]]],
  [0x08, ['MAPD', [DEVICE, [1, 4, 0, number('size')], [2, 51, 8, (value) => (value === 0n ? '' : 'itt')], V]]],
  [0x09, ['MAPC', [ICID, RDBASE, V]]],
  [0x0a, ['MAPTI', [DEVICE, EVENT, [1, 63, 32, named('lpi')], ICID]]],
  [0x0c, ['INV', [DEVICE, EVENT]]],
  [0x0d, ['INVALL', [ICID]]],
  [0x0f, ['DISCARD', [DEVICE, EVENT]]],
  [0x21, ['VMOVI', [DEVICE, EVENT, VPE, [2, 0, 0, number('D')], RAW_DB]]],
  [0x22, ['VMOVP', [VPE, [0, 47, 32, number('seq')], [1, 15, 0, number('list')], RDBASE, [2, 63, 63, number('DB')], [3, 31, 0, labelled('db', 'db')]]]],
  [0x23, ['VSGI', [VPE, [0, 35, 32, number('sgi')], [0, 8, 8, number('E')], [0, 9, 9, number('C')], [0, 10, 10, number('G')], [0, 23, 20, number('prio')]]]],
  [0x25, ['VSYNC', [VPE]]],
  [0x29, ['VMAPP', [
    VPE, V, [0, 8, 8, number('alloc')], [0, 9, 9, number('ptz')], [0, 51, 16, labelled('vconf', 'vconf')], [1, 31, 0, labelled('db', 'db')], RDBASE,
    [3, 51, 16, labelled('vpt', 'vpt')], [3, 4, 0, number('size')],
  ]]],
  [0x2a, ['VMAPTI', [DEVICE, EVENT, VPE, [2, 31, 0, number('vintid')], RAW_DB]]],
  [0x2d, ['VINVALL', [VPE]]],
  [0x2e, ['INVDB', [VPE]]],
]);

/** An ITS command; bits that no field has are told apart. @param words its four double words */
export function commandText(words: readonly bigint[], names: Names): string {
  const [w0 = 0n] = words;
  const known = COMMANDS.get(Number(w0 & 0xffn));
  if (known === undefined) return `unknown ${words.map((word) => word.toString(16)).join(' ')}`;
  const [name, fields] = known;
  const rest = [...words];
  rest[0] = w0 & ~0xffn;
  const parts = [name];
  for (const [word, high, low, show] of fields) {
    const value = bits(words[word] ?? 0n, high, low);
    parts.push(show(value, names));
    rest[word] = (rest[word] ?? 0n) & ~(((1n << BigInt(high - low + 1)) - 1n) << BigInt(low));
  }
  rest.forEach((word, n) => {
    if (word !== 0n) parts.push(`DW${n}`, `extra=0x${word.toString(16)}`);
  });
  return parts.filter((part) => part !== '').join(' ');
}

const GICR_INVLPIR = 0xa0;
const GICR_INVALLR = 0xb0;
const GICR_VPROPBASER = 0x2_0070;
const GICR_VPENDBASER = 0x2_0078;
const GICR_VSGIR = 0x2_0080;
const ATTRIBUTES = 0x0700_0000_0000_0f80n;
const TOP_BIT = 1n << 63n;

/** A store to a redistributor; undefined for registers that a recording of commands leaves out. */
export function redistributorText(offset: number, value: bigint, version: GicVersion, names: Names): string | undefined {
  const v40 = version === 'gicv4';
  switch (offset) {
    case GICR_INVLPIR:
      return `INVLPIR ${invalidation(value, names)}`;
    case GICR_INVALLR:
      return `INVALLR ${invalidation(value, names)}`;
    case GICR_VSGIR:
      return `VSGIR ${names.name('vpe', value)}`;
    case GICR_VPROPBASER:
      return v40 ? `VPROPBASER IDbits=${value & 0x1fn} attributes=0x${(value & ATTRIBUTES).toString(16)}` : `VPROPBASER 0x${(value & 0xfff0_0000_0000_0fffn).toString(16)}`;
    case GICR_VPENDBASER:
      return `VPENDBASER ${v40 ? residencyV40(value, names) : residencyV41(value, names)}`;
    default:
      return undefined;
  }
}

export function sgiText(value: bigint, names: Names): string {
  return `GITS_SGIR sgi=${value & 0xfn} ${names.name('vpe', value >> 32n)}`;
}

function flags(value: bigint, known: readonly (readonly [bit: number, name: string])[]): string {
  return known.filter(([bit]) => ((value >> BigInt(bit)) & 1n) === 1n).map(([, name]) => name).join('|');
}

const FLAGS_V40 = [[63, 'Valid'], [62, 'IDAI'], [61, 'PendingLast'], [60, 'Dirty']] as const;
const FLAGS_V41 = [[63, 'Valid'], [62, 'Doorbell'], [61, 'PendingLast'], [60, 'Dirty'], [59, 'vGrp0En'], [58, 'vGrp1En']] as const;

function residencyV40(value: bigint, names: Names): string {
  return `${names.name('vpt', bits(value, 51, 16))} ${flags(value, FLAGS_V40)} attributes=0x${(value & ATTRIBUTES).toString(16)}`;
}

/** One that is not valid and names vPE 0 may as well name none. */
function residencyV41(value: bigint, names: Names): string {
  const set = flags(value, FLAGS_V41);
  const rest = value & ~0xfc00_0000_0000_ffffn;
  const vpe = (value & 0xffffn) !== 0n || (value & TOP_BIT) !== 0n ? names.name('vpe', value & 0xffffn) : 'vpe?';
  return `${vpe} ${set}${rest === 0n ? '' : ` extra=0x${rest.toString(16)}`}`;
}

function invalidation(value: bigint, names: Names): string {
  const intid = value & 0xffff_ffffn;
  if ((value & TOP_BIT) !== 0n) return `V ${names.name('vpe', bits(value, 47, 32))} intid=${intid}`;
  return `physical intid=${names.nameOrZero('lpi', intid)}`;
}
