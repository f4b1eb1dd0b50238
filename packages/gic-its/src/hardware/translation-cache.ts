/**
 * Translations of MSIs that an ITS keeps: an event to its LPI and collection, or to its VLPI and vPE.
 *
 * Not architected beyond what may be stale: an entry goes when a command changes the event or its device. Events are kept in pages of
 * 32 consecutive EventIDs of one device, found by hashing; a page that a device no longer needs stays, empty. When all pages are
 * taken the whole cache is dropped, as an ITS may at any time.
 */

/** Kind of entry, beside the INTID in its first word. */
const VALID = 0x8000_0000;
export const PHYSICAL = 0x4000_0000;
export const INTID_MASK = 0x00ff_ffff;

const EVENTS_PER_PAGE = 32;
const WORDS_PER_PAGE = 2 * EVENTS_PER_PAGE;
/** DeviceIDs and EventIDs have 16 bits. */
const IDS = 0x1_0000;
const PAGES_PER_DEVICE = IDS / EVENTS_PER_PAGE;
/** 1,048,576 events. */
const MOST_PAGES = 0x8000;

export class TranslationCache {
  /** Two words an event: the INTID and its kind; then ICID or vPEID, and the individual doorbell in bits [31:16]. */
  words: Uint32Array = new Uint32Array(64 * WORDS_PER_PAGE);
  /** Open addressing: key + 1, then the page's number. At most half full. */
  #slots = new Uint32Array(2 * 128);
  #mask = 127;
  #pages = 0;

  /** The index in `words` of an event's entry, -1 if it is not held. */
  find(device: number, event: number): number {
    if (device >= IDS || event >= IDS) return -1;
    const page = this.#page(device * PAGES_PER_DEVICE + (event >>> 5));
    if (page < 0) return -1;
    const at = page * WORDS_PER_PAGE + (event & 31) * 2;
    return this.words[at] === 0 ? -1 : at;
  }

  /** @param flags PHYSICAL or 0 @param target ICID or vPEID @param doorbell 16 bits */
  add(device: number, event: number, intid: number, flags: number, target: number, doorbell: number): void {
    if (device >= IDS || event >= IDS || doorbell >= IDS) return;
    const key = device * PAGES_PER_DEVICE + (event >>> 5);
    let page = this.#page(key);
    if (page < 0) page = this.#newPage(key);
    const at = page * WORDS_PER_PAGE + (event & 31) * 2;
    this.words[at] = VALID | flags | intid;
    this.words[at + 1] = target | (doorbell << 16);
  }

  forget(device: number, event: number): void {
    const at = this.find(device, event);
    if (at >= 0) this.words[at] = 0;
  }

  forgetDevice(device: number): void {
    if (device >= IDS || this.#pages === 0) return;
    for (let n = 0; n < PAGES_PER_DEVICE; n += 1) {
      const page = this.#page(device * PAGES_PER_DEVICE + n);
      if (page >= 0) this.words.fill(0, page * WORDS_PER_PAGE, (page + 1) * WORDS_PER_PAGE);
    }
  }

  clear(): void {
    if (this.#pages === 0) return;
    this.words.fill(0, 0, this.#pages * WORDS_PER_PAGE);
    this.#slots.fill(0);
    this.#pages = 0;
  }

  #page(key: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = hash(key) & mask; ; at = (at + 1) & mask) {
      const found = slots[2 * at]!;
      if (found === key + 1) return slots[2 * at + 1]!;
      if (found === 0) return -1;
    }
  }

  #newPage(key: number): number {
    if (this.#pages === MOST_PAGES) this.clear();
    if (2 * (this.#pages + 1) > this.#mask) this.#grow();
    if ((this.#pages + 1) * WORDS_PER_PAGE > this.words.length) {
      const larger = new Uint32Array(2 * this.words.length);
      larger.set(this.words);
      this.words = larger;
    }
    const page = this.#pages;
    this.#pages += 1;
    this.#insert(key + 1, page);
    return page;
  }

  #grow(): void {
    const old = this.#slots;
    this.#mask = this.#mask * 2 + 1;
    this.#slots = new Uint32Array(2 * (this.#mask + 1));
    for (let i = 0; i < old.length; i += 2) if (old[i] !== 0) this.#insert(old[i]!, old[i + 1]!);
  }

  #insert(stored: number, page: number): void {
    let at = hash(stored - 1) & this.#mask;
    while (this.#slots[2 * at] !== 0) at = (at + 1) & this.#mask;
    this.#slots[2 * at] = stored;
    this.#slots[2 * at + 1] = page;
  }
}

function hash(key: number): number {
  const mixed = Math.imul(key, 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
}
