import type { File } from '../process/file.ts';
import type { Process } from '../process/process.ts';
import { constant, type Sleeps } from './scheduler.ts';

/** A sysfs attribute: one read shows all of it, one write stores all of it. */
export interface Attribute {
  /** Tells it from other nodes. */
  readonly kind: 'attribute';
  /** Permission bits, as 0o644. */
  readonly mode: number;
  /** The whole content, or a negative errno. */
  show?(): Sleeps<string | Uint8Array | number>;
  /** Takes one write of `text` at `offset`, in bytes. @returns the count of bytes taken or a negative errno */
  store?(text: Uint8Array, offset: number): Sleeps<number>;
}

/** A device node: each open makes a file, or fails with a negative errno. */
export interface DeviceNode {
  /** Tells it from other nodes. */
  readonly kind: 'device';
  /** Permission bits, as 0o600. */
  readonly mode: number;
  /** open(2) of the node. @param flags O_RDONLY, O_WRONLY or O_RDWR @returns the file or a negative errno */
  open(process: Process, flags: number): Sleeps<File | number>;
}

/** A symbolic link. */
export interface Link {
  /** Tells it from other nodes. */
  readonly kind: 'link';
  /** The path that it leads to, from the root. */
  readonly target: string;
}

/** A folder of named nodes. */
export interface Folder {
  /** Tells it from other nodes. */
  readonly kind: 'folder';
  /** What is in it, by name, in the order in which it came. */
  readonly entries: Map<string, Node>;
}

/** Whatever a path may lead to. */
export type Node = Attribute | DeviceNode | Link | Folder;

const LINK_DEPTH = 8;

/**
 * The host's file tree as a process sees it: /dev, /proc and /sys. Folders, symbolic links, sysfs attributes and device nodes; the code
 * behind a node belongs to whoever put it there.
 */
export class FileTree {
  readonly #root: Folder = { kind: 'folder', entries: new Map() };
  /** The folder that got a node last: most get several in a row. */
  #lastPath = '';
  #last: Folder = this.#root;

  /**
   * Puts a node at an absolute path, making the folders above it. A folder that is there already stays.
   *
   * @throws RangeError for a path that is taken, is not absolute, or leads through what is no folder
   */
  add(path: string, node: Node): void {
    const cut = path.lastIndexOf('/');
    const last = path.slice(cut + 1);
    if (!path.startsWith('/') || last === '' || last === '.' || last === '..') throw new RangeError(`"path" expected an absolute path that ends in a name, got ${path}`);
    const above = path.slice(0, cut);
    if (above !== this.#lastPath) {
      this.#last = this.#makeFolders(above);
      this.#lastPath = above;
    }
    const folder = this.#last;
    const old = folder.entries.get(last);
    if (old?.kind === 'folder' && node.kind === 'folder') return;
    if (old !== undefined) throw new RangeError(`"path" expected a free path, got ${path}`);
    folder.entries.set(last, node);
  }

  #makeFolders(path: string): Folder {
    let folder = this.#root;
    for (const name of split(path)) {
      const next = folder.entries.get(name) ?? { kind: 'folder', entries: new Map<string, Node>() };
      if (next.kind !== 'folder') throw new RangeError(`"path" expected a path through folders, got ${path}`);
      folder.entries.set(name, next);
      folder = next;
    }
    return folder;
  }

  /** Puts an empty folder, unless there is one. @throws RangeError if another kind of node is there */
  folder(path: string): void {
    this.add(path, { kind: 'folder', entries: new Map() });
  }

  /** Puts a symbolic link. @param target the path that it leads to, from the root @throws RangeError if the path is taken */
  link(path: string, target: string): void {
    this.add(path, { kind: 'link', target });
  }

  /**
   * An attribute that always shows the same text, or what `text()` gives at each read.
   *
   * @param mode permission bits; 0o444 by default
   * @throws RangeError if the path is taken
   */
  constant(path: string, text: string | (() => string), mode = 0o444): void {
    this.add(path, { kind: 'attribute', mode, show: () => constant(typeof text === 'string' ? text : text()) });
  }

  /** Takes a node away, with all below it. Nothing there: nothing happens. */
  remove(path: string): void {
    const names = split(path);
    const last = names.pop();
    this.#lastPath = '';
    this.#last = this.#root;
    const folder = this.#walk(names, false, 0);
    if (last !== undefined && folder?.kind === 'folder') folder.entries.delete(last);
  }

  /** The node at a path, links followed (also the last, unless `nofollow`), at most 8 deep; undefined where there is none. */
  lookup(path: string, nofollow = false): Node | undefined {
    return this.#walk(split(path), nofollow, 0);
  }

  #walk(names: readonly string[], nofollow: boolean, depth: number): Node | undefined {
    if (depth > LINK_DEPTH) return undefined;
    let at: Node = this.#root;
    for (let i = 0; i < names.length; i += 1) {
      if (at.kind !== 'folder') return undefined;
      const next = at.entries.get(names[i]!);
      if (next === undefined) return undefined;
      at = next;
      if (at.kind === 'link' && !(nofollow && i === names.length - 1)) {
        const target = this.#walk(split(at.target), false, depth + 1);
        if (target === undefined) return undefined;
        at = target;
      }
    }
    return at;
  }
}

function split(path: string): string[] {
  const out: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') out.pop();
    else if (name !== '' && name !== '.') out.push(name);
  }
  return out;
}
