import { describe, expect, it } from 'vitest';
import { UnreadableFile, questionOfFile } from './files.ts';
import { piped } from './streams.ts';

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const packed = (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> => piped(bytes, new CompressionStream('gzip'), Infinity);

/** An archive of one file. */
function tar(path: string, content: string): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(1024);
  const put = (at: number, text: string): void => block.set(bytesOf(text), at);
  put(0, path);
  put(124, content.length.toString(8).padStart(11, '0'));
  put(148, '        ');
  put(156, '0');
  put(257, 'ustar\u000000');
  put(148, `${block.subarray(0, 512).reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `);
  put(512, content);
  return block;
}

describe('a file that is opened', () => {
  it('is a text', async () => {
    expect(await questionOfFile(new File(['00:00.0 é'], 'a.txt'))).toEqual({ text: '00:00.0 é', name: 'a.txt' });
  });

  it('is a packed text, whatever it is called', async () => {
    expect(await questionOfFile(new File([await packed(bytesOf('text'))], 'a.bin'))).toEqual({ text: 'text', name: 'a.bin' });
  });

  it('is a text in UTF-16, as a Windows shell writes it', async () => {
    expect(await questionOfFile(new File([Uint8Array.of(0xff, 0xfe, 0x30, 0, 0x3a, 0)], 'a.txt'))).toEqual({ text: '0:', name: 'a.txt' });
  });

  it.each(['a.tar', 'a.tar.gz'])('is an archive: %s', async (name) => {
    const bytes = tar('0000:00:00.0/vendor', '0x8086');
    const { files } = await questionOfFile(new File([name.endsWith('gz') ? await packed(bytes) : bytes], name));
    expect(files?.map(([path, content]) => [path, content instanceof Uint8Array ? new TextDecoder().decode(content) : content])).toEqual([['0000:00:00.0/vendor', '0x8086']]);
  });

  it('is not read where it is no whole gzip file', async () => {
    const bytes = await packed(bytesOf('text'));
    await expect(questionOfFile(new File([bytes.slice(0, -9)], 'a.gz'))).rejects.toThrow(new UnreadableFile('a.gz is not a whole gzip file.'));
  });

  it('is not read where too much is packed in it', async () => {
    const bomb = await packed(new Uint8Array(0x400_0001));
    await expect(questionOfFile(new File([bomb], 'a.gz'))).rejects.toThrow(new UnreadableFile('a.gz has more than 64 MiB when it is unpacked.'));
  });
});
