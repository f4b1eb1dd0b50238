/**
 * What a clean text of lspci says of each function that grouping can depend on, as one line a function: two texts with the same lines say the same. Names are left out,
 * but for the vendor. Written for comparing; the doctor's own reader is not asked.
 */
import { CLASS_NAMES } from './class-names.ts';
import { blocksOf, type LspciBlock } from './lspci-blocks.ts';
import { ACS_WORDS, EXPRESS_WORDS, VENDORS } from './render.ts';

/** By address. */
export function skeletonOf(text: string): ReadonlyMap<string, string> {
  return new Map(blocksOf(text).map((block) => [block.address, lineOf(block)]));
}

/** Vendor of a name, for those whose names are known. Some have more than one: the first counts. */
export function vendorOfName(name: string): number | undefined {
  for (const [id, vendor] of VENDORS) if (name.startsWith(vendor)) return id;
  return undefined;
}

function lineOf(block: LspciBlock): string {
  return [headingWords(block.heading), ...decodedWords(block.lines), ...rowWords(block.rows)].join('; ');
}

function headingWords(heading: string): string {
  const ids = /\[([0-9a-f]{4}:[0-9a-f]{4})\]/i.exec(heading)?.[1] ?? /^[0-9a-f]{4}: ([0-9a-f]{4}:[0-9a-f]{4})/i.exec(heading)?.[1];
  const code = /^[^:]*\[([0-9a-f]{4})\]:/i.exec(heading)?.[1] ?? /^([0-9a-f]{4}): /i.exec(heading)?.[1];
  const [words, ...rest] = heading.split(': ');
  const named = [...CLASS_NAMES].find(([, name]) => name.toLowerCase() === words!.toLowerCase())?.[0];
  const value = code ?? named?.toString(16).padStart(4, '0');
  const vendor = ids ?? vendorOfName(rest.join(': '))?.toString(16) ?? 'unknown';
  return `class ${value === undefined ? words! : asked(value)}; ${ids === undefined ? 'vendor' : 'ids'} ${vendor}`;
}

/** What rules ask of a class: all of bridges and of the IOMMU, the base of others. Several subclasses have their base's name. */
function asked(code: string): string {
  return code.startsWith('06') || code === '0806' ? code : code.slice(0, 2);
}

function decodedWords(lines: readonly string[]): readonly string[] {
  if (!lines.some((line) => /^\t(Flags|Control|Bus|Capabilities):/.test(line))) return [];
  const find = (pattern: RegExp): RegExpExecArray | undefined => {
    for (const line of lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    return undefined;
  };
  const bus = find(/^\tBus: primary=[0-9a-f]{2}, secondary=([0-9a-f]{2})/i)?.[1];
  const out = [bus === undefined ? 'no bridge' : `bus ${bus}`];
  if (find(/^\tCapabilities: <access denied>/) !== undefined) return [...out, 'denied'];
  const express = find(/^\tCapabilities: \[[0-9a-f]+\] Express (?:\(v\d\) )?([^,(]*)/i)?.[1]?.trim();
  const acs = find(/Access Control Services/) !== undefined;
  const [capability, control] = [find(/^\t\tACSCap:\t(.*)/)?.[1], find(/^\t\tACSCtl:\t(.*)/)?.[1]];
  out.push(`express ${express ?? 'none'}`, `acs ${acs ? `${flags(capability)}/${flags(control)}` : 'none'}`);
  const sriov = find(/Single Root I\/O Virtualization/) !== undefined;
  const [count, place] = [find(/Number of VFs: (\d+)/)?.[1], find(/VF offset: (\d+), stride: (\d+)/)];
  const enabled = find(/IOVCtl:\s*Enable([+-])/)?.[1];
  // One that is off, or whose registers -v does not show, is in no facts.
  if (sriov && enabled === '+') out.push(`sriov ${count ?? ''} ${place?.[1] ?? ''} ${place?.[2] ?? ''}`);
  return out;
}

/** Only the bits that can be required. */
function flags(text: string | undefined): string {
  if (text === undefined) return 'unknown';
  return ACS_WORDS.filter((name) => ['SrcValid', 'ReqRedir', 'CmpltRedir', 'UpstreamFwd', 'EgressCtrl'].includes(name) && text.includes(`${name}+`)).join(' ');
}

function rowWords(rows: readonly string[]): readonly string[] {
  if (rows.length === 0) return [];
  const bytes = Uint8Array.from(rows.flatMap((row) => row.slice(row.indexOf(':') + 1).trim().split(' ')).map((cell) => Number.parseInt(cell, 16)));
  const view = new DataView(bytes.buffer);
  const header = bytes[0x0e]!;
  // A VF's ids read as ones, and are told by its PF.
  const ids = view.getUint32(0, true) === 0xffff_ffff ? '' : view.getUint32(0, true).toString(16);
  const out = [`bytes ${rows.length === 4 ? '64' : 'more'}`, `${ids} capabilities ${(bytes[0x06]! >> 4) & 1} class ${asked(view.getUint16(0x0a, true).toString(16).padStart(4, '0'))} header ${header & 1}${header >> 7}`];
  if ((header & 0x7f) !== 0) out.push(`below ${bytes[0x19]!}`);
  if (bytes.length < 0x100) return out;
  const express = listed(bytes, 0x10);
  out.push(`type ${express === 0 ? 'none' : EXPRESS_WORDS.get((bytes[express + 2]! & 0xf0) >> 4) ?? 'other'}`);
  if (bytes.length < 0x1000) return out;
  const acs = extendedAt(view, 0x0d);
  const sriov = extendedAt(view, 0x10);
  if (acs !== 0) out.push(`acs ${(view.getUint16(acs + 4, true) & 0x3d).toString(16)} ${(view.getUint16(acs + 6, true) & 0x3d).toString(16)}`);
  if (sriov !== 0 && (bytes[sriov + 8]! & 1) === 1) out.push(`sriov ${view.getUint16(sriov + 0x10, true)} ${view.getUint16(sriov + 0x14, true)} ${view.getUint16(sriov + 0x16, true)}`);
  return out;
}

function listed(bytes: Uint8Array, id: number): number {
  let at = (bytes[0x06]! & 0x10) === 0 ? 0 : bytes[0x34]! & 0xfc;
  for (let steps = 0; at >= 0x40 && steps < 48; steps += 1) {
    if (bytes[at] === id) return at;
    at = bytes[at + 1]! & 0xfc;
  }
  return 0;
}

function extendedAt(view: DataView, id: number): number {
  let at = 0x100;
  for (let steps = 0; at >= 0x100 && steps < 480; steps += 1) {
    const header = view.getUint32(at, true);
    if ((header & 0xffff) === id) return at;
    at = (header >>> 20) & 0xffc;
  }
  return 0;
}
