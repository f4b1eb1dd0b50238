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
const BUS = 256;
/** MSI-X has at most 2048 vectors. */
const MOST_EVENTS = 2048;
const FEWEST_EVENTS = 32;
/** 1,048,576 events. */
const MOST_WORDS = 0x20_0000;

export class TranslationCache {
  /** Two words an event: the INTID and its kind; then ICID or vPEID, and the individual doorbell in bits [31:16]. */
  words: Int32Array = new Int32Array(0);
  /** For each device from `#first` on where its region begins in `words`, and how many events it has room for. */
  #regions = new Int32Array(0);
  #first = 0;
  #used = 0;

  /** The index in `words` of an event's entry, -1 if it is not held. @param device DeviceID @param event EventID */
  find(device: number, event: number): number {
    const regions = this.#regions;
    const slot = 2 * ((device - this.#first) | 0);
    if (slot < 0 || slot >= regions.length || event >= regions[slot + 1]!) return -1;
    const at = regions[slot]! + 2 * event;
    return this.words[at] === 0 ? -1 : at;
  }

  /**
   * Keeps what an event was translated to.
   *
   * @param device DeviceID
   * @param event EventID
   * @param intid of the LPI or VLPI
   * @param flags PHYSICAL or 0
   * @param target ICID or vPEID
   * @param doorbell 16 bits
   */
  add(device: number, event: number, intid: number, flags: number, target: number, doorbell: number): void {
    if (device >= DEVICES || event >= MOST_EVENTS || doorbell > 0xffff) return;
    if (device < this.#first || 2 * (device - this.#first) >= this.#regions.length) this.#makeRoom(device);
    const slot = 2 * (device - this.#first);
    if (event >= this.#regions[slot + 1]!) this.#enlarge(slot, event);
    const at = this.#regions[slot]! + 2 * event;
    this.words[at] = VALID | flags | intid;
    this.words[at + 1] = target | (doorbell << 16);
  }

  forget(device: number, event: number): void {
    const at = this.find(device, event);
    if (at >= 0) this.words[at] = 0;
  }

  forgetDevice(device: number): void {
    const slot = 2 * (device - this.#first);
    if (slot < 0 || slot >= this.#regions.length) return;
    const base = this.#regions[slot]!;
    this.words.fill(0, base, base + 2 * this.#regions[slot + 1]!);
  }

  clear(): void {
    if (this.#used === 0) return;
    this.words.fill(0, 0, this.#used);
    this.#regions.fill(0);
    this.#used = 0;
  }

  /** Room for a device: for all those between it and the ones that there are, by buses of 256. */
  #makeRoom(device: number): void {
    const bus = device - (device % BUS);
    const had = this.#regions.length / 2;
    const first = had === 0 ? bus : Math.min(bus, this.#first);
    const end = Math.max(bus + BUS, this.#first + had);
    const regions = new Int32Array(2 * Math.min(Math.max(end - first, 2 * had), DEVICES - first));
    regions.set(this.#regions, had === 0 ? 0 : 2 * (this.#first - first));
    this.#regions = regions;
    this.#first = first;
  }

  /** Gives a device a region with room for `event`; the old one is lost until the next clear(). */
  #enlarge(slot: number, event: number): void {
    const events = Math.max(FEWEST_EVENTS, 2 ** (32 - Math.clz32(event)));
    if (this.#used + 2 * events > MOST_WORDS) this.clear();
    while (this.#used + 2 * events > this.words.length) {
      const larger = new Int32Array(Math.max(4096, 2 * this.words.length));
      larger.set(this.words);
      this.words = larger;
    }
    const old = this.#regions[slot]!;
    this.words.copyWithin(this.#used, old, old + 2 * this.#regions[slot + 1]!);
    this.#regions[slot] = this.#used;
    this.#regions[slot + 1] = events;
    this.#used += 2 * events;
  }
}
