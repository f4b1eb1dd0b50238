/**
 * The names that pci.ids has for the ids of the grouping's tables: packages/vfio-pci/src/topology/named-ids.ts, from which decoded lspci text
 * without numbers is understood. `node scripts/generate-device-names.mjs LIST...` adds to it the names of lists of other years, as names change and
 * old ones stay on old machines: usr/share/misc/pci.ids of Debian's packages pci.ids, and pci.ids of each half year of the history of pciutils/pciids.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './lib.mjs';
import { NAMED_DEVICES, NAMED_VENDORS } from '../packages/vfio-pci/src/topology/named-ids.ts';
import { tabledIds } from '../packages/vfio-pci/src/topology/tabled-ids.ts';

const FILE = join(ROOT, 'packages/vfio-pci/src/topology/named-ids.ts');
const hex = (id) => `0x${id.toString(16).padStart(4, '0')}`;
const quoted = (text) => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;

/** Vendors of a pci.ids list, each with its name and the names of its devices. */
function parsePciIds(text) {
  const vendors = new Map();
  let vendor;
  for (const line of text.split('\n')) {
    if (line.startsWith('C ')) break; // classes come last
    const [, tabs, id, name] = /^(\t?)([0-9a-f]{4}) {2}(.*)$/.exec(line) ?? [];
    if (id === undefined) continue;
    if (tabs === '') vendors.set(Number.parseInt(id, 16), (vendor = { name, devices: [] }));
    else vendor.devices.push([Number.parseInt(id, 16), name]);
  }
  return vendors;
}

/** Vendors by name. Whose name begins with that of a wanted vendor is named too, so that `Qualcomm Atheros` is not taken for one of Qualcomm. */
function vendorNames(lists, tabled) {
  const out = new Map(NAMED_VENDORS.map(([name, ids]) => [name, new Set(ids)]));
  for (const list of lists) for (const vendor of tabled.keys()) if (list.has(vendor)) into(out, list.get(vendor).name, vendor);
  const wanted = [...out.keys()];
  for (const list of lists) {
    for (const [vendor, { name }] of list) if (!out.has(name) && wanted.some((start) => name.startsWith(`${start} `))) into(out, name, vendor);
  }
  return out;
}

/** Devices by vendor and name, with all ids of the vendor that a list has under this name. */
function deviceNames(lists, tabled) {
  const out = new Map(NAMED_DEVICES.map(([vendor, name, ids]) => [JSON.stringify([vendor, name]), new Set(ids)]));
  for (const [vendor, ids] of tabled) {
    const all = lists.flatMap((list) => list.get(vendor)?.devices ?? []);
    const wanted = new Set(all.filter(([id]) => ids.has(id)).map(([, name]) => name));
    for (const [id, name] of all) if (wanted.has(name)) into(out, JSON.stringify([vendor, name]), id);
  }
  return out;
}

function into(map, key, id) {
  map.set(key, (map.get(key) ?? new Set()).add(id));
}

function rows(map, start) {
  return [...map].map(([key, ids]) => `  [${start(key)}, [${[...ids].sort((a, b) => a - b).map(hex).join(', ')}]],`);
}

function generated(lists) {
  const tabled = new Map([...tabledIds()].sort(([a], [b]) => a - b));
  const parsed = lists.map(parsePciIds);
  const years = [...lists.map((list) => /Date: +(\d{4})/.exec(list)[1]), ...readFileSync(FILE, 'utf8').split('\n', 1)[0].match(/\b20\d\d\b/g)].sort();
  return [
    `/** Names of pci.ids, ${years[0]} to ${years.at(-1)}, for the ids that rules of the grouping name. Made by scripts/generate-device-names.mjs. */`,
    '',
    '/** Vendors by name; some have several ids. Those whose names begin with the name of another are here for that. */',
    'export const NAMED_VENDORS: readonly (readonly [name: string, ids: readonly number[]])[] = [',
    ...rows(vendorNames(parsed, tabled), quoted),
    '];',
    '',
    '/** Devices by vendor and name, with all ids of the vendor that have this name, whether or not a rule names them. */',
    'export const NAMED_DEVICES: readonly (readonly [vendor: number, name: string, ids: readonly number[]])[] = [',
    ...rows(deviceNames(parsed, tabled), (key) => JSON.parse(key).map((part) => (typeof part === 'number' ? hex(part) : quoted(part))).join(', ')),
    '];',
    '',
  ].join('\n');
}

const lists = process.argv.slice(2).map((file) => readFileSync(file, 'utf8'));
if (lists.length === 0) {
  console.error('usage: node scripts/generate-device-names.mjs LIST...');
  process.exit(2);
}
writeFileSync(FILE, generated(lists));
