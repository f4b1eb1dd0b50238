/** A user of a Management Complex: restool's commands, each by its name, through one portal. Fields are as section 5 of the catalogue fslmc has them. */
import { get, set } from '@vsim/vfio-core';
import { getAddress, getText, mc_header, mcCommand, McIo, PARAMS, setText, type ManagementComplex, type McPortal } from '../src/index.ts';

const TYPES = ['dpni', 'dpsw', 'dpio', 'dpbp', 'dprc', 'dpdmux', 'dpci', 'dpcon', 'dpseci', 'dpaiop', 'dpmcp', 'dpmac', 'dpdcei', 'dpdmai', 'dpdbg', 'dprtc'];
/** The versions in which restool 2.4 creates. */
const CREATE_VERSIONS: Readonly<Record<string, number>> = { dpni: 7, dpsw: 3, dpdmux: 4, dpci: 2, dpseci: 3, dpmcp: 2, dpdmai: 3 };
const ATTRIBUTE_VERSIONS: Readonly<Record<string, number>> = { dpni: 6, dpmcp: 2, dpsw: 2, dpdmux: 2, dpdmai: 3 };

export const ASSIGN = { explicit: 1, aligned: 2, plugged: 4 } as const;

export interface AssignArguments {
  readonly child: number;
  readonly type: string;
  readonly number?: number;
  readonly options?: number;
  readonly count?: number;
}

export interface ContainerArguments {
  readonly options?: number;
  readonly icid?: number;
  readonly portal?: number;
  readonly label?: string;
}

/** An answer: the status, and what follows the header. */
export interface Answer {
  readonly status: number;
  readonly token: number;
  readonly params: Uint8Array;
}

export class McUser {
  readonly io: McIo;

  constructor(mc: ManagementComplex, portal: McPortal | undefined = mc.portalOf(mc.root)) {
    this.io = new McIo(mc.host, mc.base + (portal?.id ?? 0) * 0x1_0000);
  }

  ask(command: number, version: number, token: number, fill: (params: Uint8Array) => void = () => undefined): Answer {
    const bytes = mcCommand(command, version, token);
    fill(bytes.subarray(PARAMS));
    this.io.send(bytes);
    return { status: get(bytes, mc_header.status), token: get(bytes, mc_header.token), params: bytes.slice(PARAMS) };
  }

  open(type: string, id: number): number {
    return this.io.open(type, id);
  }

  close(token: number): number {
    return this.io.close(token);
  }

  createContainer(token: number, { options = 0x47, icid = 0xffff, portal = 0xffff_ffff, label = '' }: ContainerArguments = {}): { readonly status: number; readonly id: number; readonly offset: number } {
    const { status, params } = this.ask(0x151, 2, token, (bytes) => {
      set(bytes, [0, 'u32'], options);
      set(bytes, [4, 'u32'], icid);
      set(bytes, [12, 'u32'], portal);
      setText(bytes, 16, 16, label);
    });
    return { status, id: get(params, [8, 'u32']), offset: getAddress(params, 16) };
  }

  destroyContainer(token: number, id: number): number {
    return this.ask(0x152, 1, token, (bytes) => { set(bytes, [0, 'u32'], id); }).status;
  }

  create(token: number, type: string, fields: readonly number[] = [], version?: number): { readonly status: number; readonly id: number } {
    const { status, params } = this.ask(0x900 + TYPES.indexOf(type) + 1, version ?? CREATE_VERSIONS[type] ?? 1, token, (bytes) => { bytes.set(fields); });
    return { status, id: get(params, [0, 'u32']) };
  }

  destroy(token: number, type: string, id: number): number {
    return this.ask(0x980 + TYPES.indexOf(type) + 1, 1, token, (bytes) => { set(bytes, [0, 'u32'], id); }).status;
  }

  attributes(token: number, type: string): Uint8Array {
    return this.ask(0x004, ATTRIBUTE_VERSIONS[type] ?? 1, token).params;
  }

  assign(token: number, given: AssignArguments): number {
    return this.#assign(0x157, token, given);
  }

  unassign(token: number, given: AssignArguments): number {
    return this.#assign(0x158, token, given);
  }

  connect(token: number, a: readonly [string, number, number?], b: readonly [string, number, number?]): number {
    return this.ask(0x167, 1, token, (bytes) => {
      for (const [[type, id, interfaceId = 0], at, text] of [[a, 0, 16], [b, 8, 40]] as const) {
        set(bytes, [at, 'u32'], id);
        set(bytes, [at + 4, 'u16'], interfaceId);
        setText(bytes, text, 16, type);
      }
    }).status;
  }

  disconnect(token: number, [type, id, interfaceId = 0]: readonly [string, number, number?]): number {
    return this.ask(0x168, 1, token, (bytes) => {
      set(bytes, [0, 'u32'], id);
      set(bytes, [4, 'u16'], interfaceId);
      setText(bytes, 8, 16, type);
    }).status;
  }

  /** The names of what is in a container, as `dpni.0 plugged`. */
  list(token: number): string[] {
    const count = this.io.objectCount(token);
    return Array.from({ length: Math.max(0, count) }, (_, i) => {
      const object = this.io.object(token, i);
      return typeof object === 'number' ? `error ${object}` : `${object.type}.${object.id}${(object.state & 2) === 0 ? '' : ' plugged'}`;
    });
  }

  resources(token: number, type: string): string {
    const out: string[] = [];
    for (let [first, last] = [0, 0]; ; ) {
      const { status, params } = this.ask(0x15c, 1, token, (bytes) => {
        set(bytes, [5, 'u8'], out.length === 0 ? 0 : 4);
        set(bytes, [8, 'u32'], first);
        set(bytes, [12, 'u32'], last);
        setText(bytes, 16, 16, type);
      });
      if (status !== 0) break;
      [first, last] = [get(params, [8, 'u32']), get(params, [12, 'u32'])];
      out.push(`${first}-${last}`);
      if (get(params, [5, 'u8']) >>> 2 !== 1) break;
    }
    return out.join(' ');
  }

  pools(token: number): string[] {
    const { params } = this.ask(0x16a, 1, token);
    return Array.from({ length: get(params, [0, 'u32']) }, (_, i) => {
      const name = getText(this.ask(0x169, 1, token, (bytes) => { set(bytes, [0, 'u32'], i); }).params, 8, 16);
      const count = this.ask(0x15b, 1, token, (bytes) => { setText(bytes, 8, 16, name); }).params;
      return `${name} ${get(count, [0, 'u32'])}`;
    });
  }

  #assign(command: number, token: number, { child, type, number = 0, options = ASSIGN.explicit, count = 0 }: AssignArguments): number {
    return this.ask(command, 1, token, (bytes) => {
      set(bytes, [0, 'u32'], child);
      set(bytes, [4, 'u32'], options);
      set(bytes, [8, 'u32'], count);
      set(bytes, [12, 'u32'], number);
      setText(bytes, 16, 16, type);
    }).status;
  }
}
