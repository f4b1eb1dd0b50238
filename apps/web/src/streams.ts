/** Packing and unpacking, by what browsers have for it. */

/** The most bytes of a file, and of what is packed in it. */
export const MOST_BYTES = 0x400_0000;

/** All that comes of bytes. @param most bytes of it @throws RangeError if there is more, and what the stream throws for bytes that are not its own */
export async function piped(bytes: Uint8Array<ArrayBuffer>, through: CompressionStream | DecompressionStream, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([bytes]).stream().pipeThrough(through).getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    length += value.length;
    if (length <= most) continue;
    await reader.cancel();
    throw new RangeError(`more than ${most} bytes`);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
