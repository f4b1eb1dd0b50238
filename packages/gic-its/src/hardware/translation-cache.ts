/**
 * Translations of MSIs that an ITS keeps: an event to its LPI and collection, or to its VLPI and vPE.
 *
 * Not architected beyond what may be stale: an entry goes when a command changes the event or its device. A device's events lie in one
 * region, as many as the highest EventID seen needs, so that two dependent loads find one. EventIDs past those that a PCI
 * function can have are not kept. When the space is used up everything is dropped, as an ITS may at any time.
 */

/** Kind of entry, beside the INTID in its first word. */
const VALID = 0x8000_0000;
export const PHYSICAL = 0x4000_0000;
export const INTID_MASK = 0x00ff_ffff;

/** DeviceIDs have 16 bits. */
const DEVICES = 0x1_0000;
/** MSI-X has at most 2048 vectors. */
const MOST_EVENTS = 2048;
const FEWEST_EVENTS = 32;
/** 1,048,576 events. */
const MOST_WORDS = 0x20_0000;

export class TranslationCache {
  /** Two words an event: the INTID and its kind; then ICID or vPEID, and the individual doorbell in bits [31:16]. */
  words: Int32Array = new Int32Array(0);
  /** For each device where its region begins in `words`, and how many events it has room for. */
  #regions = new Int32Array(0);
  #used = 0;

  /** The index in `words` of an event's entry, -1 if it is not held. */
  find(device: number, event: number): number {
    const regions = this.#regions;
    const slot = 2 * (device | 0);
    if (slot < 0 || slot >= regions.length || event >= regions[slot + 1]!) return -1;
    const at = regions[slot]! + 2 * event;
    return this.words[at] === 0 ? -1 : at;
  }

  /** @param flags PHYSICAL or 0 @param target ICID or vPEID @param doorbell 16 bits */
  add(device: number, event: number, intid: number, flags: number, target: number, doorbell: number): void {
    if (device >= DEVICES || event >= MOST_EVENTS || doorbell > 0xffff) return;
    if (2 * device >= this.#regions.length) {
      const regions = new Int32Array(2 ** (33 - Math.clz32(device)));
      regions.set(this.#regions);
      this.#regions = regions;
    }
    if (event >= this.#regions[2 * device + 1]!) this.#enlarge(device, event);
    const at = this.#regions[2 * device]! + 2 * event;
    this.words[at] = VALID | flags | intid;
    this.words[at + 1] = target | (doorbell << 16);
  }

  forget(device: number, event: number): void {
    const at = this.find(device, event);
    if (at >= 0) this.words[at] = 0;
  }

  forgetDevice(device: number): void {
    if (2 * device >= this.#regions.length) return;
    const base = this.#regions[2 * device]!;
    this.words.fill(0, base, base + 2 * this.#regions[2 * device + 1]!);
  }

  clear(): void {
    if (this.#used === 0) return;
    this.words.fill(0, 0, this.#used);
    this.#regions.fill(0);
    this.#used = 0;
  }

  /** Gives a device a region with room for `event`; the old one is lost until the next clear(). */
  #enlarge(device: number, event: number): void {
    const events = Math.max(FEWEST_EVENTS, 2 ** (32 - Math.clz32(event)));
    if (this.#used + 2 * events > MOST_WORDS) this.clear();
    while (this.#used + 2 * events > this.words.length) {
      const larger = new Int32Array(Math.max(4096, 2 * this.words.length));
      larger.set(this.words);
      this.words = larger;
    }
    const old = this.#regions[2 * device]!;
    this.words.copyWithin(this.#used, old, old + 2 * this.#regions[2 * device + 1]!);
    this.#regions[2 * device] = this.#used;
    this.#regions[2 * device + 1] = events;
    this.#used += 2 * events;
  }
}
