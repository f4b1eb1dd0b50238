import { get } from '@vsim/vfio-core';
import { mc_header, OPEN_COMMANDS, PARAMS } from './command.ts';
import { commandName } from './firmware.ts';
import type { McSubmission } from './mc-watch.ts';

/** From a type's open command to those that create, destroy, and tell the version. */
const OF_TYPE: readonly number[] = [0, 0x100, 0x180, 0x200];
const TYPES: ReadonlyMap<number, string> = new Map([...OPEN_COMMANDS].flatMap(([type, open]) => OF_TYPE.map((kind) => [open + kind, type] as const)));
const STATUS: readonly string[] = ['ok', 'not answered', 'status 2', 'authentication error', 'no privilege', 'DMA error', 'configuration error', 'timeout', 'no resource', 'no memory', 'busy', 'unsupported', 'invalid state'];

/**
 * As `dprc.1 portal 0: dprc.1 dprc.create_cont v2 -> ok`: whose portal, what the token stands for, the command, the answer. A command that no
 * header names is a number.
 * @param answer - the 64 bytes; undefined, there is none
 */
export function describeCommand({ portal, command, version, object, bytes }: McSubmission, answer: Uint8Array | undefined): string {
  const status = answer === undefined ? 1 : get(answer, mc_header.status);
  const type = TYPES.get(command) ?? object?.type ?? 'dpmng';
  const name = commandName(type, command) ?? commandName('dprc', command) ?? `0x${command.toString(16)}`;
  const opened = OPEN_COMMANDS.get(type) === command;
  const which = opened ? ` ${type}.${get(bytes, [PARAMS, 'u32'])}` : '';
  const token = opened && status === 0 && answer !== undefined ? `, token 0x${get(answer, mc_header.token).toString(16)}` : '';
  return `${portal.container.name} portal ${portal.id}: ${object === undefined ? '' : `${object.name} `}${name} v${version}${which} -> ${STATUS[status] ?? `status ${status}`}${token}`;
}
