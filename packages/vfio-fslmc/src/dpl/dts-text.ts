/**
 * A reader of device tree source, as far as a data path layout has it: nodes, strings, cells, comments. What it reads has lines, for messages.
 *
 * Not modelled: labels and references, includes, expressions, bytes in brackets.
 */
import { FdtNode } from '@vsim/vfio-core';

/** What is wrong in a layout, and where. */
export class DplError extends Error {
  /** `DplError`, as error messages show it. */
  override readonly name = 'DplError';
  /** From 1; undefined for a blob, which has none. */
  readonly line: number | undefined;
  /** The path of the node. */
  readonly node: string;

  /**
   * @param line from 1; undefined for a blob, which has none
   * @param node its path
   * @param what is wrong, as the message has it after line and path
   */
  constructor(line: number | undefined, node: string, what: string) {
    super(`${line === undefined ? '' : `line ${line}: `}${node}: ${what}`);
    this.line = line;
    this.node = node;
  }
}

/** Where nodes and their properties were written. */
export class DtsLines {
  readonly #nodes = new Map<FdtNode, number>();
  readonly #properties = new Map<FdtNode, Map<string, number>>();

  /** Keeps the `line`, from 1, of a node or of a property. @internal */
  note(node: FdtNode, line: number, property?: string): void {
    if (property === undefined) {
      this.#nodes.set(node, line);
      return;
    }
    const of = this.#properties.get(node) ?? new Map<string, number>();
    this.#properties.set(node, of.set(property, line));
  }

  /** @param property undefined: the node itself @returns the line, from 1; undefined for what the text does not have */
  of(node: FdtNode, property?: string): number | undefined {
    return (property === undefined ? undefined : this.#properties.get(node)?.get(property)) ?? this.#nodes.get(node);
  }
}

interface Token {
  readonly kind: 'word' | 'string' | 'mark' | 'end';
  readonly text: string;
  readonly line: number;
}

/** Deeper trees, and longer texts, are refused: no layout comes near. */
const MAX_DEPTH = 16;
const MAX_TEXT = 4 * 1024 * 1024;
const TOKEN = /\s+|\/\/[^\n]*|\/\*[^]*?\*\/|"((?:[^"\\\n]|\\.)*)"|(\/dts-v1\/)|([A-Za-z0-9_.+?#@-]+)|([{}<>;=,/])/y;

/** @throws DplError */
export function parseDts(text: string): { readonly root: FdtNode; readonly lines: DtsLines } {
  return new Reader(text).read();
}

class Reader {
  readonly #tokens: readonly Token[];
  readonly #lines = new DtsLines();
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  read(): { readonly root: FdtNode; readonly lines: DtsLines } {
    this.#take('/dts-v1/', '/');
    this.#take(';', '/');
    const start = this.#take('/', '/');
    const root = new FdtNode('', undefined);
    this.#lines.note(root, start.line);
    this.#body(root, 0);
    const end = this.#next;
    if (end.kind !== 'end') throw new DplError(end.line, '/', `expected the end, got ${end.text}`);
    return { root, lines: this.#lines };
  }

  #body(node: FdtNode, depth: number): void {
    this.#take('{', node.path);
    while (this.#next.text !== '}') {
      const name = this.#next;
      if (name.kind !== 'word') throw new DplError(name.line, node.path, `expected a name, got ${name.kind === 'end' ? 'the end of the text' : name.text}`);
      this.#at += 1;
      if (this.#next.text === '{') this.#child(node, name, depth + 1);
      else this.#property(node, name);
    }
    this.#take('}', node.path);
    this.#take(';', node.path);
  }

  #child(parent: FdtNode, { text, line }: Token, depth: number): void {
    if (depth > MAX_DEPTH) throw new DplError(line, parent.path, `nodes deeper than ${MAX_DEPTH}`);
    if (parent.children.some(({ name }) => name === text)) throw new DplError(line, parent.path, `${text} is there twice`);
    const node = new FdtNode(text, parent);
    parent.children.push(node);
    this.#lines.note(node, line);
    this.#body(node, depth);
  }

  #property(node: FdtNode, { text: name, line }: Token): void {
    if (node.properties.has(name)) throw new DplError(line, node.path, `${name} is there twice`);
    const bytes: number[] = [];
    for (let before = '='; this.#isMark(before); before = ',') {
      this.#at += 1;
      bytes.push(...this.#value(node, name));
    }
    this.#take(';', node.path);
    this.#lines.note(node, line, name);
    node.properties.set(name, Uint8Array.from(bytes));
  }

  #value(node: FdtNode, name: string): number[] {
    const token = this.#next;
    this.#at += 1;
    if (token.kind === 'string') return [...new TextEncoder().encode(token.text), 0];
    if (token.text !== '<') throw new DplError(token.line, node.path, `${name}: expected a string or numbers in < >, got ${token.kind === 'end' ? 'the end of the text' : token.text}`);
    const out: number[] = [];
    for (; this.#next.text !== '>'; this.#at += 1) {
      const { text, line, kind } = this.#next;
      const value = kind === 'word' && /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : NaN;
      if (!(value <= 0xffff_ffff)) throw new DplError(line, node.path, `${name}: expected a number of 32 bits, got ${kind === 'end' ? 'the end of the text' : text}`);
      out.push(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
    }
    this.#at += 1;
    return out;
  }

  get #next(): Token {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)]!;
  }

  #isMark(text: string): boolean {
    return this.#next.kind === 'mark' && this.#next.text === text;
  }

  #take(text: string, path: string): Token {
    const token = this.#next;
    if (token.kind === 'string' || token.text !== text) throw new DplError(token.line, path, `expected ${text}, got ${token.kind === 'end' ? 'the end of the text' : token.text}`);
    this.#at += 1;
    return token;
  }
}

function tokensOf(text: string): readonly Token[] {
  if (text.length > MAX_TEXT) throw new DplError(undefined, '/', `a text of more than ${MAX_TEXT} characters`);
  const tokens: Token[] = [];
  let line = 1;
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) throw new DplError(line, '/', `expected a device tree, got ${JSON.stringify(text[at])}`);
    const [all, string, version, word, mark] = match;
    if (string !== undefined) tokens.push({ kind: 'string', text: string.replaceAll(/\\(.)/g, '$1'), line });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, line });
    else if (version !== undefined || mark !== undefined) tokens.push({ kind: 'mark', text: all, line });
    line += all.split('\n').length - 1;
  }
  tokens.push({ kind: 'end', text: '', line });
  return tokens;
}
