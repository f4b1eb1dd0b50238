/**
 * The doctor: how long a text takes to be read, and a large machine to be looked at.
 *
 * The machines are recorded ones, each several times, in PCI domains of its own, until there are 500 functions: bridges with and without ACS (mix-on), an SR-IOV
 * card (sriov-igb), a switch without ACS (switch-acsless). Of each there is what `lspci -Dnnvvxxxx` prints and what `lspci -Dnnk` does.
 * Target: a text of more than a megabyte is read in at most 30 times what JSON.parse takes for such a text as a JSON string of the same length, measured beside it;
 * 500 functions are looked at, with their trials, within a second.
 */
import { examine, readPaste } from '../packages/doctor/src/index.ts';
import { topologyText } from '../apps/conformance/src/index.ts';
import { collect, nsOf, report, type Target } from './measure.ts';

const MACHINES = ['mix-on', 'sriov-igb', 'switch-acsless'] as const;
const FUNCTIONS = 500;
const MEGABYTE = 2 ** 20;
const PARSES = 10;
const LOOKS = 3;

/** The machine as often as it takes for so many functions. */
function repeated(text: string): string {
  const functions = text.match(/^0000:/gm)!.length;
  return Array.from({ length: Math.ceil(FUNCTIONS / functions) }, (_, domain) => text.replaceAll(/^0000:/gm, `${domain.toString(16).padStart(4, '0')}:`)).join('\n');
}

/** What -nnk shows: headings, subsystems, drivers. */
function withoutRegisters(text: string): string {
  return text.split('\n').filter((line) => /^[0-9a-f]{4}:|^\t(?:Subsystem|Kernel)/.test(line)).join('\n');
}

/** The text as a JSON string, without so much of its end that both are as long. */
function jsonOf(text: string): string {
  const escaped = JSON.stringify(text).length - text.length;
  const json = JSON.stringify(text.slice(0, text.length - escaped));
  return json.slice(0, -1).padEnd(text.length - 1) + '"';
}

/** The least of several rounds in turn, in ms, as other programs only ever add to a time. */
function leastOf(rounds: number, bodies: readonly (() => void)[]): number[] {
  const best = bodies.map(() => Infinity);
  for (let round = 0; round < rounds; round += 1) bodies.forEach((body, i) => { best[i] = Math.min(best[i]!, nsOf(body) / 1e6); });
  return best;
}

const targets: Target[] = [];
for (const name of MACHINES) {
  const text = repeated(topologyText(name));
  if (text.length < MEGABYTE) throw new Error(`${name} has ${text.length} characters`);
  const json = jsonOf(text);
  collect();
  const [reading, parsing] = leastOf(PARSES, [() => readPaste(text), () => void JSON.parse(json)]);
  targets.push([`${name}, ${(text.length / MEGABYTE).toFixed(1)} MiB: readPaste as JSON.parse`, reading! / parsing!, 30]);
  for (const [what, shown] of [['-Dnnvvxxxx', text], ['-Dnnk', withoutRegisters(text)]] as const) {
    const paste = readPaste(shown);
    collect();
    const [looking] = leastOf(LOOKS, [() => examine(paste)]);
    targets.push([`${name} ${what}, ${paste.devices.length} functions: examine, ms`, looking!, 1000]);
  }
}
process.exitCode = report(targets) ? 0 : 1;
