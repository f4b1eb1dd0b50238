/** The doors of this package for fuzzers: what people paste of lspci, and those of the files beside this one. */
import type { Random } from '@vsim/vfio-core';
import { bounded } from '../../../testing/cost.ts';
import { pick, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { computeIommuGroups, LspciSyntaxError, machineOfLspci, parseLspci } from '../src/index.ts';
import { LOOPS } from './eventfd-loops.ts';
import { REFUSALS } from './refused-calls.ts';

const ADDRESS = /^(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?:\s|$)/i;
const LONG = 3000;

/** Lines as lspci has them, each with what is often next to it. */
class Texts implements World<string> {
  generate(random: Random): string {
    const lines: string[] = [];
    const devices = 1 + random.below(6);
    for (let n = 0; n < devices; n += 1) lines.push(...deviceOf(random, n));
    const text = lines.join(pick(random, ['\n', '\n', '\n', '\r\n']));
    return random.below(2) === 0 ? `${text}\n` : mutated(random, text);
  }

  check(text: string): Depth {
    return bounded(`${text.length} characters`, () => this.#parse(text));
  }

  #parse(text: string): Depth {
    try {
      const devices = parseLspci(text);
      const headings = text.split('\n').filter((line) => ADDRESS.test(line)).length;
      same('devices', devices.length, headings);
      for (const { facts: { sriov, vendor, device }, irq, iommuGroup } of devices) {
        for (const value of [vendor, device, sriov?.count ?? 0, sriov?.offset ?? 0, sriov?.stride ?? 0]) if (!(value >= 0 && value <= 0xffff)) throw new Error(`${value} has no 16 bits`);
        for (const value of [irq ?? 0, iommuGroup ?? 0]) if (!Number.isSafeInteger(value)) throw new Error(`${value} is no number of the kernel`);
      }
      const members = computeIommuGroups(devices.map(({ facts }) => facts)).flatMap((group) => group.devices);
      same('members of all groups', members.toSorted(), devices.map(({ address }) => address).toSorted());
      for (const { resource, config } of Object.values(machineOfLspci(devices).devices)) {
        if (![512, 8192].includes(config.length)) throw new Error(`a config of ${config.length} digits`);
        for (const cell of resource.flat()) if (!/^0x[0-9a-f]{1,17}$/.test(cell)) throw new Error(`a resource of ${cell}`);
      }
      return 'succeeded';
    } catch (error) {
      if (!(error instanceof LspciSyntaxError)) throw error;
      if (!/^line \d+, column \d+: [^\n]+$/.test(error.message)) throw new Error(`no place: ${error.message}`, { cause: error });
      return error.line > 1 ? 'past' : 'refused';
    }
  }
}

function deviceOf(random: Random, n: number): string[] {
  const number = (): string => pick(random, ['0', '1', '7', '64', '255', '65535', '65536', '16000000', '9'.repeat(400)]);
  const hex = (digits: number): string => random.uint32().toString(16).padStart(8, '0').slice(0, digits);
  const domain = pick(random, ['', '', '0000:', '0001:', '10000:', '00000000:']);
  const lines = [`${domain}${pick(random, ['00', '01', '02', 'ff'])}:${(n + random.below(4)).toString(16).padStart(2, '0')}.${random.below(8)} ${pick(random, ['Ethernet controller', 'PCI bridge', 'VGA compatible controller', 'x'.repeat(random.below(100))])} [${hex(4)}]: ${' '.repeat(random.below(random.below(8) === 0 ? LONG : 3))}A [${hex(4)}:${hex(4)}] (rev ${hex(2)})`];
  const more = [
    (): string => `\tBus: primary=00, secondary=${hex(2)}, subordinate=ff, sec-latency=0`,
    (): string => `\tCapabilities: [40] Express (v2) ${pick(random, ['Root Port (Slot+)', 'Endpoint', 'Upstream Port', 'Downstream Port (Slot-)', 'PCI-Express to PCI/PCI-X Bridge'])}, MSI 00`,
    (): string => `\t\tACSCap:\t${pick(random, ['SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans+', ' '.repeat(LONG)])}`,
    (): string => '\t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+',
    (): string => '\t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy+',
    (): string => `\t\tInitial VFs: 8, Total VFs: 8, Number of VFs: ${number()}, Function Dependency Link: 00`,
    (): string => `\t\tVF offset: ${number()}, stride: ${number()}, Device ID: ${hex(4)}`,
    (): string => `\tInterrupt: pin A routed to IRQ ${number()}`,
    (): string => `\tRegion ${random.below(10)}: Memory at ${hex(random.below(9))} (64-bit, prefetchable) [size=${number()}${pick(random, ['', 'K', 'M', 'G', 'T'])}]`,
    (): string => `\tIOMMU group: ${number()}`,
    (): string => `\tKernel driver in use: ${pick(random, ['nvme', '__proto__', '../..', 'x'.repeat(random.below(300))])}`,
    (): string => `00: ${Array.from({ length: 16 }, () => hex(2)).join(' ')}`,
  ];
  for (let i = random.below(10); i > 0; i -= 1) lines.push(pick(random, more)());
  if (random.below(3) === 0) for (let at = 0; at < 64; at += 16) lines.push(`${at.toString(16).padStart(2, '0')}: ${Array.from({ length: 16 }, () => hex(2)).join(' ')}`);
  return lines;
}

/** A text with a few pieces cut, doubled, or replaced by what breaks patterns. */
function mutated(random: Random, text: string): string {
  let out = text;
  for (let n = 1 + random.below(3); n > 0; n -= 1) {
    const at = random.below(out.length + 1);
    const piece = pick(random, ['\u2028', ' '.repeat(LONG), ' (rev '.repeat(200), ' [0000:0000]'.repeat(200), '\t', '\n', '[', '9'.repeat(400), '\u0000', 'é']);
    out = random.below(2) === 0 ? out.slice(0, at) + piece + out.slice(at) : out.slice(0, at) + out.slice(at + random.below(40));
  }
  return out;
}

export const DOORS: readonly Door[] = [{ name: 'lspci-text', length: 50, open: () => new Texts() }, LOOPS, REFUSALS];
