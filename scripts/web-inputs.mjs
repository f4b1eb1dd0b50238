/** What scripts/check-web.mjs gives to the page: the recorded texts, a tree of /sys as an archive, and a server of many functions. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ROOT } from './lib.mjs';

const RECORDINGS = join(ROOT, 'apps', 'conformance', 'recordings');
const BLOCK = 512;
/** Machines of which the server is made. */
const MACHINES = 15;

/** Every text that people pasted, each kind of failure, and the machines of QEMU: `{ name, text }`. */
export function texts() {
  const doctor = join(RECORDINGS, 'doctor');
  const pasted = readdirSync(doctor, { recursive: true })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.txt.gz') && !file.includes('/truth.'))
    .sort();
  const machines = readdirSync(join(RECORDINGS, 'topology')).filter((file) => file.endsWith('.blind.lspci.txt.gz')).sort();
  return [...pasted.map((file) => ({ name: file.replace('.txt.gz', ''), text: unpacked(join(doctor, file)) })), ...machines.map((file) => ({ name: file.split('.')[0], text: unpacked(join(RECORDINGS, 'topology', file)) }))];
}

/** A machine many times, each in a PCI domain of its own, with groups of its own. @param text of `lspci -vv` without domains */
export function serverText(text) {
  const parts = Array.from({ length: MACHINES }, (_, domain) =>
    text
      .replaceAll(/^(?=[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] )/gm, `${domain.toString(16).padStart(4, '0')}:`)
      .replaceAll(/(IOMMU group:? )(\d+)/g, (_all, words, group) => `${words}${Number(group) + 100 * domain}`),
  );
  return { text: parts.join('\n'), devices: MACHINES * text.match(/^[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] /gm).length };
}

/** A tree of /sys with two functions of one device, as tar packs it. */
export function tree() {
  const entries = ['0000:00:00.0', '0000:00:03.0', '0000:00:03.1'].flatMap((address, index) => {
    const attributes = { vendor: '0x8086', device: `0x${1000 + index}`, class: index === 0 ? '0x060000' : '0x020000', revision: '0x01' };
    const config = new Uint8Array(256);
    config.set([0x86, 0x80, 0, 0x10 + index, 0, 0, 0, 0, 1, 0, 0, index === 0 ? 6 : 2, 0, 0, index === 0 ? 0 : 0x80]);
    return [...Object.entries(attributes).map(([name, text]) => [`devices/${address}/${name}`, Buffer.from(`${text}\n`)]), [`devices/${address}/config`, Buffer.from(config)]];
  });
  return Buffer.concat([...entries.map(([path, content]) => packed(path, content)), Buffer.alloc(2 * BLOCK)]);
}

function packed(path, content) {
  const header = Buffer.alloc(BLOCK);
  header.write(path, 0);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        0', 148);
  header.write('ustar\x0000', 257);
  header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

function unpacked(file) {
  return gunzipSync(readFileSync(file)).toString('utf8');
}
