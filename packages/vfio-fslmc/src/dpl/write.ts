import type { McChoices } from '../mc/choices.ts';
import type { Connected } from '../mc/link-commands.ts';
import { hasInterface, type McEndpoint } from '../mc/links.ts';
import { McContainer } from '../mc/mc-container.ts';
import type { McObject } from '../mc/mc-object.ts';
import { CONFIG_FIELDS, EXTRA_FIELDS, valueOf, type ConfigField } from '../mc/object-config.ts';
import { DPL_VERSION, DPRC_OPTIONS } from './layout.ts';

/** A firmware as its layout is written: what it has, how that is connected, and what it says of it. */
export interface Written extends Connected {
  readonly root: McContainer;
  readonly choices: McChoices;
}

/** What ManagementComplex.toDpl() writes besides what restool writes. */
export interface WriteDplOptions {
  /** Objects with a label stand alone, with it: restool writes none for this firmware. @default false */
  readonly labels?: boolean | undefined;
}

/**
 * The layout that a Management Complex has now, as the text that `restool dprc generate-dpl dprc.1` (2.4) prints. Such a text does not tell
 * whether an object is plugged, its label, or a link of a dpci that does not tell its peer; restool fills gaps between the ids of a set,
 * this does not.
 */
export function writeDpl(mc: Written, { labels = false }: WriteDplOptions = {}): string {
  const containers = mc.root.all.filter((object) => object instanceof McContainer);
  const objects = inOrder(mc.root.all.filter((object) => !(object instanceof McContainer)));
  return [
    '/dts-v1/;',
    '/ {',
    `\tdpl-version = <${DPL_VERSION}>;`,
    ...heading('Containers', false),
    '\tcontainers {',
    ...containers.flatMap((container) => writeContainer(container, labels)),
    '\t};',
    ...heading('Objects', true),
    '\tobjects {',
    ...objects.flatMap(writeObject),
    '\t};',
    ...heading('Connections', true),
    '\tconnections {',
    ...linksOf(mc, objects).flatMap(([a, b], i) => ['', `\t\tconnection@${i + 1}{`, `\t\t\tendpoint1 = "${a}";`, `\t\t\tendpoint2 = "${b}";`, '\t\t};']),
    '\t};',
    '};',
    '',
  ].join('\n');
}

function heading(text: string, apart: boolean): string[] {
  const stars = '*'.repeat(65);
  return [...(apart ? [''] : []), `\t/${stars}`, `\t * ${text}`, `\t ${stars}/`];
}

/** By type, then by id. */
function inOrder(objects: readonly McObject[]): McObject[] {
  return [...objects].sort((a, b) => (a.type === b.type ? a.id - b.id : a.type < b.type ? -1 : 1));
}

function writeContainer(container: McContainer, labels: boolean): string[] {
  const objects = inOrder(container.objects.filter((object) => !(object instanceof McContainer)));
  const alone = objects.filter(({ label }) => labels && label !== '');
  const types = [...new Set(objects.map(({ type }) => type))];
  const sets = types.flatMap((type) => {
    const ids = objects.filter((object) => object.type === type && !alone.includes(object)).map(({ id }) => `${id} `);
    return ids.length === 0 ? [] : ['', `\t\t\t\t/* -------------- ${type.toUpperCase()}s --------------*/`, `\t\t\t\tobj_set@${type} {`, `\t\t\t\t\ttype = "${type}";`, `\t\t\t\t\tids = <${ids.join('')}>;`, '\t\t\t\t};'];
  });
  return [
    '',
    `\t\tdprc@${container.id} {`,
    '\t\t\tcompatible = "fsl,dprc";',
    `\t\t\tparent = "${container.parent === undefined ? 'none' : `dprc@${container.parent.id}`}";`,
    ...writeFlags(container.options, DPRC_OPTIONS),
    '',
    '\t\t\tobjects {',
    ...sets,
    ...alone.flatMap(({ type, id, label }, i) => ['', `\t\t\t\tobj@${100 + i} {`, `\t\t\t\t\tobj_name = "${type}@${id}";`, `\t\t\t\t\tlabel = ${JSON.stringify(label)};`, '\t\t\t\t};']),
    '\t\t\t};',
    '\t\t};',
  ];
}

/** A bit without a name is a number: restool leaves it out, and says so. */
function writeFlags(flags: number, names: readonly string[]): string[] {
  const bits = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => ((flags >>> bit) & 1) !== 0);
  const texts = bits.map((bit) => {
    const name = names[bit] ?? '';
    return name === '' ? `0x${((1 << bit) >>> 0).toString(16)}` : name;
  });
  return [
    ...(texts.some((text) => text.startsWith('0x')) ? ['\t\t\t/* Unrecognized options found... */'] : []),
    ...(texts.length === 0 ? [] : [`\t\t\toptions = ${texts.map((text) => `"${text}"`).join(', ')};`]),
  ];
}

function writeObject(object: McObject): string[] {
  return [
    '',
    `\t\t${object.type}@${object.id} {`,
    `\t\t\tcompatible = "fsl,${object.type}";`,
    ...(object.type === 'dpni' ? ['\t\t\ttype = "DPNI_TYPE_NIC";'] : []),
    ...(CONFIG_FIELDS.get(object.type) ?? []).flatMap((field) => writeField(object, field)),
    ...[...EXTRA_FIELDS].flatMap(([key, { field, names, shift }]) => {
      const [type = '', name = ''] = key.split('.');
      return type !== object.type || field === undefined ? [] : [`\t\t\t${name} = "${names[(valueOf(object.config, field) >>> shift) & 0xf] ?? ''}";`];
    }),
    '\t\t};',
  ];
}

function writeField({ type, config }: McObject, { name, notation, initial }: ConfigField): string[] {
  const values = config.get(name) ?? initial;
  if (type === 'dpdmai' && name === 'priorities') return ['\t\t\tpriorities = <0x2>;'];
  if (type === 'dpseci' && name === 'priorities') return [`\t\t\tpriorities = <${values.slice(0, valueOf(config, 'num_tx_queues')).join(' ')}>;`];
  switch (notation?.kind) {
    case 'flags':
      return writeFlags(values[0] ?? 0, notation.names);
    case 'name':
      return [`\t\t\t${name} = "${notation.names[values[0] ?? 0] ?? ''}";`];
    case 'number': {
      const [value = 0] = values;
      return [`\t\t\t${name}${notation.tight === true ? '' : ' '}= <${notation.hex === true && value !== 0 ? `0x${value.toString(16)}` : value}>;`];
    }
    case 'parts':
      return [];
    case undefined:
      // restool does not ask for it: it is written where it is not what it would be without.
      return values.every((value, i) => value === (initial[i] ?? 0)) ? [] : [`\t\t\t${name} = <${values.join(' ')}>;`];
  }
}

/** Each once, from the end that restool comes to first: it asks dpci, dpdmux, dpni and dpsw. */
function linksOf(mc: Written, objects: readonly McObject[]): readonly (readonly [string, string])[] {
  const out: (readonly [string, string])[] = [];
  for (const object of objects) {
    if (!['dpci', 'dpdmux', 'dpni', 'dpsw'].includes(object.type) || (object.type === 'dpci' && mc.choices.dpciPeer === 'hidden')) continue;
    for (let interfaceId = 0; hasInterface({ object, interfaceId }); interfaceId += 1) {
      const end = { object, interfaceId };
      const peer = mc.links.peer(end);
      if (peer === undefined || (object.type === 'dpci' && peer.object.type !== 'dpci')) continue;
      const [a, b] = [endText(end), endText(peer)];
      if (!out.some((link) => link.includes(a) && link.includes(b))) out.push([a, b]);
    }
  }
  return out;
}

function endText({ object, interfaceId = 0 }: McEndpoint): string {
  return `${object.type}@${object.id}${object.type === 'dpsw' || object.type === 'dpdmux' ? `/if@${interfaceId}` : ''}`;
}
