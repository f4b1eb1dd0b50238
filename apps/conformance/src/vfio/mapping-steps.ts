/** Steps on mappings: mmap, munmap, and the loads and stores of a user. */
import { MAP_SHARED, type Mapping } from '@vsim/vfio-core';
import { toHex, type Fields } from '../json.ts';
import { REGISTERS_RULE } from './relaxed.ts';
import { NO_FD, type Session } from './session.ts';

interface NamedMapping {
  readonly mapping: Mapping;
  readonly device: string | undefined;
}

export class MappingSteps {
  readonly #session: Session;
  readonly #maps = new Map<string, NamedMapping>();

  constructor(session: Session) {
    this.#session = session;
  }

  map(step: Fields): void {
    const { process } = this.#session.machine;
    const anonymous = step.string('fd') === 'anonymous';
    const fd = anonymous ? -1 : (this.#session.fds.get(step.string('fd')) ?? NO_FD);
    const flags = anonymous ? MAP_SHARED : step.number('flags');
    const made = process.tryMmap(fd, step.number('len'), Number(step.bigint('off')), step.number('prot'), flags);
    if (typeof made !== 'number') this.#maps.set(step.string('as'), { mapping: made, device: this.#session.devices.get(step.string('fd')) });
    this.#session.result(step, typeof made === 'number' ? made : 'map');
  }

  unmap(step: Fields): void {
    const map = this.named(step);
    if (map === undefined) {
      this.#session.report.notExecuted('munmap');
      return;
    }
    map.mapping.unmap();
    this.#maps.delete(step.string('map'));
    this.#session.result(step, 0);
  }

  /** Pages of a mapping go, and the rest stays. */
  unmapPart(step: Fields): void {
    const map = this.named(step);
    if (map === undefined) {
      this.#session.report.notExecuted('munmap_part');
      return;
    }
    this.#session.machine.process.mm.unmap(map.mapping.address + step.number('add'), step.count('len'));
    this.#session.result(step, 0);
  }

  read(step: Fields): void {
    const map = this.named(step);
    if (map === undefined) {
      this.#session.report.notExecuted('mem_read');
      return;
    }
    const { mapping, device } = map;
    const size = step.count('size');
    const at = step.number('off');
    const bytes = new Uint8Array(size);
    if (size === 1 || size === 2 || size === 4) {
      const value = mapping.read(at, size);
      for (let i = 0; i < size; i += 1) bytes[i] = value >>> (8 * i);
    } else {
      bytes.set(mapping.readBytes(at, size));
    }
    const expected = toHex(step.bytes('out'));
    const registers = device !== undefined && !this.#session.isModelled(device) && expected.length === 2 * size;
    if (registers && expected !== toHex(bytes)) this.#session.report.relax(REGISTERS_RULE);
    else this.#session.report.compare('out', expected, toHex(bytes));
  }

  write(step: Fields): void {
    const map = this.named(step);
    if (map === undefined) {
      this.#session.report.notExecuted('mem_write');
      return;
    }
    const { mapping } = map;
    const bytes = step.bytes('in');
    const at = step.number('off');
    const size = bytes.length;
    if (size !== 1 && size !== 2 && size !== 4) {
      mapping.writeBytes(at, bytes);
      return;
    }
    let value = 0;
    for (let i = size - 1; i >= 0; i -= 1) value = value * 0x100 + bytes[i]!;
    mapping.write(at, size, value);
  }

  /** A mapping by its name; undefined where the model refused to make it. */
  named(fields: Fields): NamedMapping | undefined {
    return this.#maps.get(fields.string('map'));
  }
}
