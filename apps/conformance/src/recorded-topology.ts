/** The recorded machines of recordings/topology: what the kernel made of them, and their blind lspci text. */
import { readFileSync, readdirSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { parseHost } from './recorded-machine.ts';
import type { Fields } from './json.ts';

const FOLDER = new URL('../recordings/topology/', import.meta.url);

/** Their names, sorted. */
export function topologyNames(): readonly string[] {
  const suffix = '.json.gz';
  return readdirSync(FOLDER).filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length)).sort();
}

/** The description, with its groups and answers of VFIO. */
export function topologyMachine(name: string): Fields {
  return parseHost(`${name}.json.gz`, readRecording(`topology/${name}.json.gz`));
}

/** `lspci -Dnnvvxxxx` without the lines that tell groups. */
export function topologyText(name: string): string {
  return readRecording(`topology/${name}.blind.lspci.txt.gz`);
}

/** A compressed text of recordings/. */
export function readRecording(path: string): string {
  return gunzipSync(readFileSync(new URL(`../recordings/${path}`, import.meta.url))).toString('utf8');
}
