import { describe, expect, it } from 'vitest';
import { FileTree } from './file-tree.ts';

describe('FileTree', () => {
  it('adds to the folders that a path names now, whatever was removed since the last', () => {
    const files = new FileTree();
    files.folder('/sys/a/b');
    files.folder('/sys/a/c');
    files.remove('/sys/a');
    files.folder('/sys/a/d');
    expect([files.lookup('/sys/a/b'), files.lookup('/sys/a/c')]).toEqual([undefined, undefined]);
    expect(files.lookup('/sys/a/d')).toMatchObject({ kind: 'folder' });
  });

  it('refuses a path that is taken, that goes through a file, that ends in no name, or that begins nowhere', () => {
    const files = new FileTree();
    files.constant('/sys/text', 'x');
    expect(() => { files.link('/sys/text', '/sys'); }).toThrow('expected a free path, got /sys/text');
    expect(() => { files.folder('/sys/text/below'); }).toThrow('expected a path through folders');
    for (const path of ['/', '/sys/', '/sys/.', '/sys/..', 'sys', 'sys/a']) expect(() => { files.folder(path); }).toThrow(`ends in a name, got ${path}`);
  });
});
