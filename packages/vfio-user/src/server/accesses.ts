/** REGION_READ, REGION_WRITE and REGION_WRITE_MULTI. */
import { EINVAL } from '@vsim/vfio-core';
import { type Refused, type RegionAccessMessage, type WriteMultiMessage, refused } from '../wire/messages.ts';
import { type Answer, deviceRefused } from './answer.ts';
import { regionInfo } from './region-info.ts';
import type { ServedDevice } from './served-device.ts';

type Accessed = Pick<ServedDevice, 'ioctl' | 'read' | 'write'>;

const NONE = new Uint8Array(0);

/** Accesses to a device's regions, held to their sizes. Those are asked for once: a VFIO device's regions keep theirs. */
export class RegionAccesses {
  readonly #device: Accessed;
  readonly #most: number;
  readonly #sizes = new Map<number, bigint>();

  /** @param most bytes of data in a message */
  constructor(device: Accessed, most: number) {
    this.#device = device;
    this.#most = most;
  }

  /** REGION_READ and REGION_WRITE. The reply counts what the device has done, which may be less. */
  answer(asked: RegionAccessMessage): Answer {
    const wrong = this.#wrong(asked.region, asked.offset, asked.count);
    if (wrong !== undefined) return wrong;
    const offset = Number(asked.offset);
    if (asked.name === 'REGION_WRITE') {
      const count = this.#device.write(asked.region, offset, asked.data);
      return count < 0 ? deviceRefused(count, 'a write') : { reply: { ...asked, count, data: NONE } };
    }
    const data = new Uint8Array(asked.count);
    const count = this.#device.read(asked.region, offset, data);
    return count < 0 ? deviceRefused(count, 'a read') : { reply: { ...asked, count, data: data.subarray(0, count) } };
  }

  /** REGION_WRITE_MULTI: none is done if one cannot be; the reply counts those that the device took before it refused one. */
  answerMulti(asked: WriteMultiMessage): Answer {
    for (const { region, offset, data } of asked.writes) {
      const wrong = this.#wrong(region, offset, data.length);
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

  #wrong(region: number, offset: bigint, count: number): Refused | undefined {
    if (count > this.#most) return refused(EINVAL, `an access of ${count} bytes, where ${this.#most} may be`);
    const size = this.#size(region);
    if (typeof size === 'number') return deviceRefused(size, 'GET_REGION_INFO');
    return offset + BigInt(count) > size ? refused(EINVAL, `an access behind the end of region ${region}`) : undefined;
  }

  /** @returns bytes as a bigint, or a negative errno as a number */
  #size(region: number): bigint | number {
    const known = this.#sizes.get(region);
    if (known !== undefined) return known;
    const info = regionInfo(this.#device, region);
    if (typeof info === 'number') return info;
    this.#sizes.set(region, info.length);
    return info.length;
  }
}
