/** REGION_READ, REGION_WRITE and REGION_WRITE_MULTI. */
import { EINVAL, get, set } from '@vsim/vfio-core';
import { COMMANDS } from '../wire/commands.ts';
import { FLAG_REPLY, HEADER_SIZE } from '../wire/header.ts';
import { HEADER_LAYOUT, REGION_ACCESS_LAYOUT } from '../wire/layouts.ts';
import { type Refused, type WriteMultiMessage, refused } from '../wire/messages.ts';
import { type Answer, deviceRefused } from './answer.ts';
import { regionInfo } from './region-info.ts';
import type { ServedDevice } from './served-device.ts';

type Accessed = Pick<ServedDevice, 'ioctl' | 'read' | 'write'>;

/** Where the data of an access begin, in bytes. */
const DATA = HEADER_SIZE + REGION_ACCESS_LAYOUT.size;
/** Fields, in a whole message. */
const OFFSET_LOW = [HEADER_SIZE, 'u32'] as const;
const OFFSET_HIGH = [HEADER_SIZE + 4, 'u32'] as const;
const REGION = [HEADER_SIZE + REGION_ACCESS_LAYOUT.region[0], 'u32'] as const;
const COUNT = [HEADER_SIZE + REGION_ACCESS_LAYOUT.count[0], 'u32'] as const;
const WORD = 2 ** 32;
/** Bytes of data that replies have room for at first. */
const ROOM = 4096;

/**
 * Accesses to a device's regions, held to their sizes. Those are asked for once: a VFIO device's regions keep theirs.
 *
 * REGION_READ and REGION_WRITE are what a guest waits for: they are done in the bytes of their messages, without objects or bigints in between.
 */
export class RegionAccesses {
  readonly #device: Accessed;
  readonly #most: number;
  readonly #sizes = new Map<number, number>();
  /** The reply that is made last. Header and struct, and data behind them. */
  #reply = new Uint8Array(DATA + ROOM);
  /** Views of it: without data, and the last ones with data. */
  #head: Uint8Array = this.#reply.subarray(0, DATA);
  #whole: Uint8Array = this.#head;
  #into: Uint8Array = this.#reply.subarray(DATA, DATA);
  /** The last message with data to write, and a view of them: a channel may have the same bytes for each. */
  #message: Uint8Array = this.#head;
  #from: Uint8Array = this.#into;

  /** @param most bytes of data in a message */
  constructor(device: Accessed, most: number) {
    this.#device = device;
    this.#most = most;
  }

  /** REGION_READ, or REGION_WRITE. @param bytes the whole message @returns the reply, which the next one takes the place of; it counts what the device has done, which may be less */
  answer(bytes: Uint8Array): Uint8Array | Refused {
    if (bytes.length < DATA) return refused(EINVAL, `an access has a payload of ${bytes.length - HEADER_SIZE} bytes, not ${REGION_ACCESS_LAYOUT.size}`);
    const count = get(bytes, COUNT);
    const region = get(bytes, REGION);
    const offset = get(bytes, OFFSET_HIGH) * WORD + get(bytes, OFFSET_LOW);
    const writes = get(bytes, HEADER_LAYOUT.command) === COMMANDS.REGION_WRITE;
    const size = writes ? DATA + count : DATA;
    if (bytes.length !== size) return refused(EINVAL, `an access is ${bytes.length} bytes, not ${size}`);
    const wrong = this.#wrong(region, offset, count);
    if (wrong !== undefined) return wrong;
    const done = writes ? this.#device.write(region, offset, this.#written(bytes)) : this.#device.read(region, offset, this.#room(count));
    return done < 0 ? deviceRefused(done, writes ? 'a write' : 'a read') : this.#replied(bytes, done, writes ? 0 : done);
  }

  /** REGION_WRITE_MULTI: none is done if one cannot be; the reply counts those that the device took before it refused one. */
  answerMulti(asked: WriteMultiMessage): Answer {
    for (const { region, offset, data } of asked.writes) {
      const wrong = this.#wrong(region, Number(offset), data.length);
      if (wrong !== undefined) return wrong;
    }
    let done = 0;
    for (const { region, offset, data } of asked.writes) {
      const count = this.#device.write(region, Number(offset), data);
      if (count < 0 && done === 0) return deviceRefused(count, 'a write');
      if (count < data.length) break;
      done += 1;
    }
    return { reply: { name: 'REGION_WRITE_MULTI', count: BigInt(done), writes: [] } };
  }

  #written(bytes: Uint8Array): Uint8Array {
    if (this.#message !== bytes) {
      this.#message = bytes;
      this.#from = bytes.subarray(DATA);
    }
    return this.#from;
  }

  /** Zeroes for a device to read into. */
  #room(count: number): Uint8Array {
    if (this.#into.length !== count) {
      if (this.#reply.length < DATA + count) {
        this.#reply = new Uint8Array(DATA + count);
        this.#head = this.#reply.subarray(0, DATA);
      }
      this.#into = this.#reply.subarray(DATA, DATA + count);
    }
    return this.#into.fill(0);
  }

  /** The command's own bytes as far as the count, but for what says that they are a reply. */
  #replied(asked: Uint8Array, done: number, data: number): Uint8Array {
    const reply = this.#reply;
    const size = DATA + data;
    for (let i = 0; i < COUNT[0]; i += 1) reply[i] = asked[i]!;
    set(reply, HEADER_LAYOUT.length, size);
    set(reply, HEADER_LAYOUT.flags, FLAG_REPLY);
    set(reply, HEADER_LAYOUT.error, 0);
    set(reply, COUNT, done);
    if (data === 0) return this.#head;
    if (this.#whole.length !== size || this.#whole.buffer !== reply.buffer) this.#whole = reply.subarray(0, size);
    return this.#whole;
  }

  #wrong(region: number, offset: number, count: number): Refused | undefined {
    if (count > this.#most) return refused(EINVAL, `an access of ${count} bytes, where ${this.#most} may be`);
    const size = this.#sizes.get(region) ?? this.#size(region);
    if (size < 0) return deviceRefused(size, 'GET_REGION_INFO');
    // Numbers are exact below 2^53, and no region of more bytes can be reached behind that.
    return offset + count > size || !Number.isSafeInteger(offset) ? refused(EINVAL, `an access behind the end of region ${region}`) : undefined;
  }

  /** @returns bytes, or a negative errno */
  #size(region: number): number {
    const info = regionInfo(this.#device, region);
    if (typeof info === 'number') return info;
    const size = Number(info.length);
    this.#sizes.set(region, size);
    return size;
  }
}
