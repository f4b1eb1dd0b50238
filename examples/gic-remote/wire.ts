/** The messages of server.ts, for both sides. */
import { readSync, writeSync } from 'node:fs';

/** Messages over a file descriptor that blocks. What is sent is kept until something is waited for. */
export class Wire {
  /** The head of the message that came last. */
  readonly head: DataView = new DataView(new ArrayBuffer(24));
  readonly #fd: number;
  readonly #in = new Uint8Array(this.head.buffer);
  readonly #out = new Uint8Array(0x1_0000);
  readonly #outView = new DataView(this.#out.buffer);
  #length = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The kind of the next message; '' when the other side is gone. */
  receive(): string {
    return this.read(this.#in) ? String.fromCharCode(this.head.getUint8(0)) : '';
  }

  get address(): number {
    return this.head.getUint32(12, true) * 0x1_0000_0000 + this.head.getUint32(8, true);
  }

  /** Fills `into`. @returns false if the other side is gone */
  read(into: Uint8Array): boolean {
    this.flush();
    for (let done = 0; done < into.length; ) {
      const count = readSync(this.#fd, into, done, into.length - done, null);
      if (count === 0) return false;
      done += count;
    }
    return true;
  }

  send(kind: string, size: number, cpu: number, word: number, address: number, lo: number, hi: number): void {
    if (this.#length + 24 > this.#out.length) this.flush();
    const at = this.#length;
    this.#outView.setUint8(at, kind.charCodeAt(0));
    this.#outView.setUint8(at + 1, size);
    this.#outView.setUint16(at + 2, cpu, true);
    this.#outView.setUint32(at + 4, word, true);
    this.#outView.setUint32(at + 8, address % 0x1_0000_0000, true);
    this.#outView.setUint32(at + 12, Math.floor(address / 0x1_0000_0000), true);
    this.#outView.setUint32(at + 16, lo, true);
    this.#outView.setUint32(at + 20, hi, true);
    this.#length += 24;
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#out.length) this.flush();
    if (bytes.length > this.#out.length) this.#write(bytes, bytes.length);
    else {
      this.#out.set(bytes, this.#length);
      this.#length += bytes.length;
    }
  }

  flush(): void {
    this.#write(this.#out, this.#length);
    this.#length = 0;
  }

  #write(bytes: Uint8Array, length: number): void {
    for (let done = 0; done < length; ) done += writeSync(this.#fd, bytes, done, length - done);
  }
}
