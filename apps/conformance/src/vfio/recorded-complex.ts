/** The Management Complex of the fsl-mc recordings, with the contents that they name. */
import type { Host } from '@vsim/vfio-core';
import { ManagementComplex, McContainer, type McEndpoint, type McObject } from '@vsim/vfio-fslmc';
import type { Fields } from '../json.ts';
import { Registers } from './arm-machine.ts';
import type { FslMcBoard } from './fslmc-board.ts';

/** Where its portals are. */
export const PORTALS = 0x7800_0000;
const QBMAN = 0x7c00_0000;
const CONTROL = 0x7f00_0000;
/** The recorder's extension counts its tokens from here. */
const FIRST_EXTENDED_TOKEN = 0x101;

/** What a recording says of the firmware. */
export interface FirmwareOf extends Pick<FslMcBoard, 'api' | 'gsr' | 'registers'> {
  /** @default 10.28.0, of `extended` contents 10.36.0 */
  readonly release?: string | undefined;
}

/**
 * The firmware of a recording, empty: with the commands of Linux's bus alone; or `extended`, and then `lenient` with those of a dpni that it
 * does not model.
 */
export function recordedComplex(host: Host, content: Fields, board: FirmwareOf = { registers: true }): ManagementComplex {
  const extended = content.has('extended') && content.boolean('extended');
  const lenient = content.has('lenient') && content.boolean('lenient');
  const mc = new ManagementComplex(host, {
    base: PORTALS,
    control: board.registers ? CONTROL : 'none',
    qbmanBase: QBMAN,
    icid: content.object('tree').number('icid'),
    release: board.release ?? (extended ? '10.36.0' : '10.28.0'),
    // host.json: the version of the containers' commands is the older one's in both.
    apiVersion: board.api ?? [6, 6],
    preset: extended ? 'firmware' : 'bus',
    choices: { unmodelledDpni: lenient ? 'zeros' : 'unsupported', dpciPeer: 'hidden', firstToken: extended ? FIRST_EXTENDED_TOKEN : 1 },
  });
  if (mc.control !== undefined && board.gsr !== undefined) mc.control.gsr = board.gsr;
  return mc;
}

/** What was in it when the recording began. */
export function fillComplex(mc: ManagementComplex, content: Fields): void {
  for (const object of content.object('tree').objects('objects')) addTree(mc.root, object);
  for (const link of content.has('connections') ? content.list('connections') : []) {
    const [a, b] = Array.isArray(link) ? link.map((end) => endpoint(mc, String(end))) : [];
    if (a === undefined || b === undefined) content.fail('connections', 'pairs of endpoints that are there');
    else mc.links.connect(a, b);
  }
}

/** Makes what a recording's `add` or contents describe. */
export function addRecorded(to: McContainer, type: string, id: number, described: Fields): McObject {
  const irqs = described.has('irqs') ? described.number('irqs') : undefined;
  const [major, minor] = described.has('version') ? described.string('version').split('.').map(Number) : [];
  const init = {
    id,
    irqs,
    version: major === undefined || minor === undefined ? undefined : ([major, minor] as const),
    label: described.has('label') ? described.string('label') : undefined,
    plugged: described.has('plugged') ? described.boolean('plugged') : undefined,
    // The recording has plain memory for the queues.
    portals: type === 'dpio' ? [new Registers(), new Registers()] : undefined,
  };
  return type === 'dprc' ? to.addContainer({ ...init, icid: described.has('icid') ? described.number('icid') : 0 }) : to.add({ ...init, type });
}

function addTree(to: McContainer, described: Fields): void {
  const [type = '', id] = described.string('name').split('.');
  const made = addRecorded(to, type, Number(id), described);
  if (made instanceof McContainer) for (const object of described.objects('objects')) addTree(made, object);
}

/** `dpsw.0.1`: type, id and interface. */
function endpoint(mc: ManagementComplex, text: string): McEndpoint | undefined {
  const [type = '', id, interfaceId] = text.split('.');
  const object = mc.root.find(type, Number(id));
  return object === undefined ? undefined : { object, interfaceId: Number(interfaceId) };
}
