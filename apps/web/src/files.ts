/** A file that somebody opens or drops: a text, packed or not, or an archive of /sys. */
import { tarEntries } from '@vsim/doctor';
import type { Question } from './question.ts';
import { MOST_BYTES, piped } from './streams.ts';

/** A file that is not read; `message` says why. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
}

const MEBIBYTE = 0x10_0000;
const TAR_MAGIC = 257;

/** @throws UnreadableFile */
export async function questionOfFile(file: File): Promise<Question> {
  if (file.size > MOST_BYTES) throw new UnreadableFile(`${file.name} has more than ${MOST_BYTES / MEBIBYTE} MiB.`);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new UnreadableFile(`${file.name} cannot be read. A folder has to be packed first: tar -cf sys.tar -h FOLDER.`);
  }
  return questionOfBytes(await unpacked(bytes, file.name), file.name);
}

/** A text, or a tree where the bytes are an archive. */
export function questionOfBytes(bytes: Uint8Array, name: string): Question {
  return isTar(bytes) ? { files: tarEntries(bytes), name } : { text: decoded(bytes), name };
}

async function unpacked(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await piped(bytes, new DecompressionStream('gzip'), MOST_BYTES);
  } catch (error) {
    throw new UnreadableFile(error instanceof RangeError ? `${name} has more than ${MOST_BYTES / MEBIBYTE} MiB when it is unpacked.` : `${name} is not a whole gzip file.`);
  }
}

function isTar(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(TAR_MAGIC, TAR_MAGIC + 5)) === 'ustar';
}

/** UTF-8, or UTF-16 where its mark says so. */
function decoded(bytes: Uint8Array): string {
  const utf16 = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
  return new TextDecoder(utf16).decode(bytes);
}
