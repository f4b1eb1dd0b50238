import { API_VERSIONS, COMMANDS } from './firmware-data.ts';

/** Major, minor and revision, as 10.36.0. */
export type McRelease = readonly [major: number, minor: number, revision: number];
/** Major and minor. */
export type McVersion = readonly [major: number, minor: number];

interface Since<T> {
  readonly value: T;
  readonly release: McRelease;
}

interface Command {
  readonly name: string;
  readonly versions: readonly Since<number>[];
}

const OLDEST: McRelease = [10, 0, 0];
const NEWEST: McRelease = [10, Infinity, 0];

/** By type, then by id. */
const COMMAND_TABLE: ReadonlyMap<string, ReadonlyMap<number, Command>> = readCommands();
const API_TABLE: ReadonlyMap<string, readonly Since<McVersion>[]> = new Map(
  linesOf(API_VERSIONS).map(([type, rows]) => [type, rows.split(' ').map((row) => sinceOf(row, parseVersion))]),
);

/** A text as `10.36.0` or `10.36`. @throws RangeError for another */
export function parseRelease(text: string): McRelease {
  const match = /^(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?$/.exec(text);
  if (match === null) throw new RangeError(`"release" expected a release as 10.36.0, got ${JSON.stringify(text)}`);
  return [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/**
 * What a release of the firmware knows: the API version of each type of object, and the newest version of each command. Facts of the
 * headers of mc-utils, 10.1.2 to 10.40.0.
 */
export class Firmware {
  /** Which release it is. */
  readonly release: McRelease;
  /** API version of the commands of containers. */
  readonly dprcVersion: McVersion;
  /** The release whose containers have that version. */
  readonly #dprcRelease: McRelease;

  /**
   * @param release as `10.36.0` or `10.36`
   * @param dprcVersion the API version of containers, where it is another than the release's
   * @throws RangeError for a release that is none
   */
  constructor(release: string, dprcVersion?: McVersion) {
    this.release = parseRelease(release);
    this.dprcVersion = dprcVersion ?? newest(API_TABLE.get('dprc') ?? [], this.release) ?? [6, 0];
    this.#dprcRelease = dprcVersion === undefined ? this.release : lastReleaseOf(dprcVersion);
  }

  /** The API version of a type of object; of one that the release does not know, 0.0. */
  apiVersion(type: string): McVersion {
    return type === 'dprc' ? this.dprcVersion : this.objectVersion(type);
  }

  /** The version of objects that it makes: the release's, for containers too. */
  objectVersion(type: string): McVersion {
    return newest(API_TABLE.get(type) ?? [], this.release) ?? [0, 0];
  }

  /**
   * The newest version of a command.
   *
   * @param type of the object that its token stands for
   * @param command 12 bits
   * @returns from 1; undefined: the release does not know it
   */
  newestVersion(type: string, command: number): number | undefined {
    const versions = COMMAND_TABLE.get(type)?.get(command)?.versions ?? [];
    return newest(versions, type === 'dprc' ? this.#dprcRelease : this.release);
  }
}

/**
 * What the headers call a command, as `dpni.get_attr`; undefined for one that they do not have.
 *
 * @param type as `dpni`
 * @param command the upper 12 bits of cmd_id
 */
export function commandName(type: string, command: number): string | undefined {
  const found = COMMAND_TABLE.get(type)?.get(command);
  return found === undefined ? undefined : `${type}.${found.name}`;
}

function readCommands(): ReadonlyMap<string, ReadonlyMap<number, Command>> {
  const table = new Map<string, Map<number, Command>>();
  for (const [type, rows] of linesOf(COMMANDS)) {
    const commands = table.get(type) ?? new Map<number, Command>();
    table.set(type, commands);
    for (const row of rows.split('; ')) {
      const [name = '', id = '', versions = '1'] = row.split(' ');
      commands.set(Number.parseInt(id, 16), { name, versions: versions.split(',').map((text) => sinceOf(text, Number)) });
    }
  }
  return table;
}

/** Each line that is not empty, cut at its colon. */
function linesOf(text: string): (readonly [type: string, rest: string])[] {
  return text.trim().split('\n').map((line) => {
    const [type = '', rest = ''] = line.split(': ');
    return [type, rest] as const;
  });
}

function sinceOf<T>(text: string, read: (text: string) => T): Since<T> {
  const [value = '', release] = text.split('@');
  return { value: read(value), release: release === undefined ? OLDEST : parseRelease(`10.${release}`) };
}

function parseVersion(text: string): McVersion {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return [major, minor];
}

/** The last row that a release has: rows are in the order of releases. */
function newest<T>(rows: readonly Since<T>[], release: McRelease): T | undefined {
  return rows.filter((row) => compare(row.release, release) <= 0).at(-1)?.value;
}

/** The last release whose containers are not newer; at least the oldest. */
function lastReleaseOf(version: McVersion): McRelease {
  const newer = (API_TABLE.get('dprc') ?? []).find(({ value: [major, minor] }) => major > version[0] || (major === version[0] && minor > version[1]));
  if (newer === undefined) return NEWEST;
  const [major, minor, revision] = newer.release;
  return newer.release === OLDEST ? OLDEST : [major, minor, revision - 1];
}

function compare(a: McRelease, b: McRelease): number {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
