/** Bytes as base64, in the two alphabets. */

/** So many bytes at once: a call takes no more arguments than the stack holds. */
const PIECE = 0x2000;

export function toBase64(bytes: Uint8Array): string {
  let letters = '';
  for (let at = 0; at < bytes.length; at += PIECE) letters += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(letters);
}

/** @throws SyntaxError for what is no base64 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  let letters: string;
  try {
    letters = atob(text);
  } catch {
    throw new SyntaxError('no base64');
  }
  return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
}

/** As it stands in a link. */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** @throws SyntaxError for what is no base64 */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
}
