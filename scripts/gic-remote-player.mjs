/**
 * The child of scripts/gic-remote.mjs: it owns RAM and the bus, and plays a recording of Linux to a GIC at the other end of its stdin.
 * Prints a line; exit code 1 if a value, a line of a CPU or a byte of RAM is not as recorded.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { parseLines } from '../apps/conformance/src/json.ts';
import { replayHardware } from '../apps/conformance/src/linux-gic/hardware.ts';
import { RemoteGic } from '../examples/gic-remote/client.ts';
import { registerNamed } from '../packages/gic-its/src/index.ts';

/** A PE at EL2, and a guest with HCR_EL2.IMO and FMO. */
const AT_EL2 = 2;
const AS_GUEST = 1 + 4 + 8;

/** The remote GIC as the replayer wants one. */
class Port {
  #gic;

  constructor({ version, cpus, its, ram, range }) {
    this.#gic = new RemoteGic(0, { version, cpus, its, redistributors: 0x080c_0000, ram: range }, ram);
  }

  load(address, size) {
    return this.#gic.load(address, size);
  }

  store(address, size, value, requester) {
    this.#gic.store(address, size, value, requester);
  }

  readRegister(cpu, name, virtual) {
    return this.#gic.readRegister(cpu, registerNamed(name).encoding, virtual ? AS_GUEST : AT_EL2);
  }

  writeRegister(cpu, name, virtual, value) {
    if (!this.#gic.writeRegister(cpu, registerNamed(name).encoding, virtual ? AS_GUEST : AT_EL2, value)) throw new Error(`MSR of ${name} was not done`);
  }

  setPpi(cpu, intid, level) {
    this.#gic.setPpi(cpu, intid, level);
  }

  setSpi(intid, level) {
    this.#gic.setSpi(intid, level);
  }

  lines() {
    return this.#gic.lines.reduce((all, levels, cpu) => all | (BigInt(levels) << BigInt(8 * cpu)), 0n);
  }

  events() {
    return undefined;
  }
}

const [file] = process.argv.slice(2);
const lines = parseLines(file, gunzipSync(readFileSync(file)).toString());
const start = process.hrtime.bigint();
const reports = [...replayHardware(lines, (recorded) => new Port(recorded))];
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
const sum = (of) => reports.reduce((total, report) => total + of(report), 0);
const accesses = sum(({ steps }) => steps);
const differences = reports.flatMap(({ divergences }) => divergences);
for (const { case: name, step, field, expected, actual } of differences.slice(0, 10)) console.log(`${name} ${step} ${field}: recorded ${expected}, got ${actual}`);
console.log(`gic-remote: ${accesses} accesses, ${sum(({ compared }) => compared)} values compared, ${differences.length} differences, ${Math.round(accesses / seconds)} accesses a second`);
process.exitCode = differences.length === 0 && accesses > 0 ? 0 : 1;
