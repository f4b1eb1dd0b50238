/** SMART / health information. Reference: NVM Express Base 1.4, 5.14.1.2. */
import type { StateReader, StateWriter } from './state-record.ts';

const UNIT = 512_000;

/** Counters of the health log, and the temperature. @internal */
export class Health {
  bytesRead = 0;
  bytesWritten = 0;
  readCommands = 0;
  writeCommands = 0;
  mediaErrors = 0;
  /** Kelvin, 16 bits. */
  temperature = 308;

  /** The log page. @param errors entries that the error log has had @param over threshold in kelvin @param under threshold in kelvin */
  page(errors: number, over: number, under: number): Uint8Array {
    const out = new Uint8Array(512);
    const view = new DataView(out.buffer);
    const count = (at: number, value: number): void => {
      view.setUint32(at, value % 2 ** 32, true);
      view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    };
    out[0] = this.passes(over, under) ? 2 : 0;
    view.setUint16(1, this.temperature, true);
    out[3] = 100; // available spare, %
    out[4] = 10; // its threshold, %
    count(32, Math.ceil(this.bytesRead / UNIT));
    count(48, Math.ceil(this.bytesWritten / UNIT));
    count(64, this.readCommands);
    count(80, this.writeCommands);
    count(160, this.mediaErrors);
    count(176, errors);
    return out;
  }

  /** Whether the temperature is at or past a threshold. @param over kelvin @param under kelvin */
  passes(over: number, under: number): boolean {
    return this.temperature >= over || this.temperature <= under;
  }

  /** Its part of a state. */
  save(into: StateWriter): void {
    for (const value of [this.bytesRead, this.bytesWritten, this.readCommands, this.writeCommands, this.mediaErrors, this.temperature]) into.count(value);
  }

  /** Of a state; undefined where it is none. */
  static load(from: StateReader): Health | undefined {
    const made = new Health();
    made.bytesRead = from.count();
    made.bytesWritten = from.count();
    made.readCommands = from.count();
    made.writeCommands = from.count();
    made.mediaErrors = from.count();
    made.temperature = from.count();
    const all = [made.bytesRead, made.bytesWritten, made.readCommands, made.writeCommands, made.mediaErrors, made.temperature];
    return all.some((value) => Number.isNaN(value)) || made.temperature > 0xffff ? undefined : made;
  }
}
