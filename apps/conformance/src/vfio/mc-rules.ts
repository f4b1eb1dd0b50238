/** Rules by which the recorder had its Management Complex answer wrongly, and the names of its commands. */
import type { McFault, McSubmission, McWatcher } from '@vsim/vfio-fslmc';
import { isList, type Fields, type Json } from '../json.ts';

/** The ids of commands by `type.command`, from the recorder's table. */
export type CommandNames = (name: string, submission: McSubmission) => boolean;

/** A millisecond of the rules, in the nanoseconds of the clock. */
const MS = 1_000_000;
/** What the recorder calls DPRC_RESET_CONT. */
const CONTAINER_RESET = { name: 'dprc.reset', id: 0x005 };

/** commands.json: for each name the releases that have it, with id and version. */
export function commandNames(table: Fields): CommandNames {
  const commands = table.object('commands');
  return (name, { command, object }) => {
    if (name === '*') return true;
    if (name === CONTAINER_RESET.name) return command === CONTAINER_RESET.id && object?.type === 'dprc';
    if (!commands.has(name)) return false;
    const ids = commands.list(name).map((row) => (isList(row) ? Number(row[1]) : NaN));
    const [type] = name.split('.');
    // Commands that every type has are told apart by what the token stands for.
    return ids.includes(command) && (object === undefined || object.type === type || command >= 0x800);
  };
}

interface Rule {
  readonly fields: Fields;
  skip: number;
  left: number;
}

export class McRules implements McWatcher {
  readonly #names: CommandNames;
  #rules: Rule[] = [];

  constructor(names: CommandNames) {
    this.#names = names;
  }

  add(fields: Fields): void {
    this.#rules.push({ fields, skip: fields.has('skip') ? fields.number('skip') : 0, left: fields.has('times') ? fields.number('times') : Infinity });
  }

  clear(): void {
    this.#rules = [];
  }

  submitted(submission: McSubmission): McFault | undefined {
    for (const rule of this.#rules) {
      if (rule.left === 0 || !this.#matches(rule.fields, submission)) continue;
      if (rule.skip > 0) {
        rule.skip -= 1;
        continue;
      }
      rule.left -= 1;
      return faultOf(rule.fields);
    }
    return undefined;
  }

  #matches(rule: Fields, submission: McSubmission): boolean {
    const { portal, object, bytes } = submission;
    if (rule.has('by') && rule.string('by') !== portal.container.name) return false;
    if (rule.has('obj') && rule.string('obj') !== object?.name) return false;
    if (rule.has('param0') && rule.number('param0') !== new DataView(bytes.buffer).getUint32(8, true)) return false;
    return this.#names(rule.string('c'), submission);
  }
}

function faultOf(rule: Fields): McFault {
  return {
    hangs: rule.has('hang') && rule.boolean('hang'),
    delay: rule.has('delay') ? rule.number('delay') * MS : undefined,
    status: rule.has('status') ? rule.number('status') : undefined,
    patch: rule.has('patch') ? rule.list('patch').map((row) => patchOf(rule, row)) : undefined,
  };
}

function patchOf(rule: Fields, row: Json): readonly [number, Uint8Array] {
  const [at, hex] = isList(row) ? row : [];
  if (typeof at !== 'number' || typeof hex !== 'string') return rule.fail('patch', 'rows of a place and bytes');
  return [at, Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))];
}
