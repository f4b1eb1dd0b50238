/**
 * A container of DPAA2 objects for user space, made while the machine runs: what restool and DPDK's dynamic_dpl.sh do, call by call, then what
 * DPDK does with it, and the way back as destroy_dynamic_dpl.sh goes it. docs/dpaa2.md tells why each step is there.
 */
import { get, getDeviceFd, set, setContainer, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, type Mapping, type Process } from '@vsim/vfio-core';
import { FSL_MC_SEND_MC_COMMAND, getText, mc_header, mcCommand, OPEN_COMMANDS, PARAMS, setText } from '@vsim/vfio-fslmc';

const BUS = '/sys/bus/fsl-mc';
const COMMAND_BYTES = 64;
/** Options of ASSIGN: the object is named, and is plugged. */
const EXPLICIT = 1;
const PLUGGED = 4;
/** Any, for an isolation context and a portal. */
const ANY_ICID = 0xffff;
const ANY_PORTAL = 0xffff_ffff;
/** DPRC_CFG_OPT: SPAWN, ALLOC, OBJ_CREATE, IRQ_CFG. */
const OPTIONS = 0x47;

/** How a command gets to the firmware. @throws if it is refused */
type Send = (command: Uint8Array) => void;

/** Through /dev/dprc.1: the kernel lets pass what restool needs, and tells a status as an errno. */
export function throughKernel(user: Process, fd: number): Send {
  return (command) => { user.ioctl(fd, FSL_MC_SEND_MC_COMMAND, command); };
}

/** Through a portal that is mapped: parameters first, the header last, then the answer is read. */
export function throughMapping(mapping: Mapping): Send {
  return (command) => {
    for (let at = COMMAND_BYTES - 8; at >= 0; at -= 8) {
      mapping.write(at, 4, get(command, [at, 'u32']));
      mapping.write(at + 4, 4, get(command, [at + 4, 'u32']));
    }
    for (let at = 0; at < COMMAND_BYTES; at += 4) set(command, [at, 'u32'], mapping.read(at, 4));
    const status = get(command, mc_header.status);
    if (status !== 0) throw new Error(`status ${status}`);
  };
}

/** Commands of the firmware, as restool's sub-commands have them. Offsets are from the first parameter. */
export class Firmware {
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  ask(command: number, version: number, token: number, fill: (params: Uint8Array) => void = () => undefined): { readonly token: number; readonly params: Uint8Array } {
    const bytes = mcCommand(command, version, token);
    fill(bytes.subarray(PARAMS));
    this.#send(bytes);
    return { token: get(bytes, mc_header.token), params: bytes.subarray(PARAMS) };
  }

  open(type: string, id: number): number {
    return this.ask(OPEN_COMMANDS.get(type) ?? 0, 1, 0, (params) => { set(params, [0, 'u32'], id); }).token;
  }

  close(token: number): void {
    this.ask(0x800, 1, token);
  }

  /** An object is opened for one command, and closed again: what restool does. */
  with<T>(type: string, id: number, run: (token: number) => T): T {
    const token = this.open(type, id);
    const out = run(token);
    this.close(token);
    return out;
  }

  createContainer(token: number, label: string): number {
    const { params } = this.ask(0x151, 2, token, (fields) => {
      set(fields, [0, 'u32'], OPTIONS);
      set(fields, [4, 'u32'], ANY_ICID);
      set(fields, [12, 'u32'], ANY_PORTAL);
      setText(fields, 16, 16, label);
    });
    return get(params, [8, 'u32']);
  }

  /** @param token - of the container that gets it @param version - that of restool 2.4 */
  create(token: number, type: string, version: number, fields: readonly number[] = []): number {
    const { params } = this.ask((OPEN_COMMANDS.get(type) ?? 0) + 0x100, version, token, (bytes) => { bytes.set(fields); });
    return get(params, [0, 'u32']);
  }

  destroy(token: number, type: string, id: number): void {
    this.ask((OPEN_COMMANDS.get(type) ?? 0) + 0x180, 1, token, (params) => { set(params, [0, 'u32'], id); });
  }

  /** The object stays where it is: only its state changes. */
  plug(token: number, container: number, type: string, id: number, plugged: boolean): void {
    this.ask(0x157, 1, token, (params) => {
      set(params, [0, 'u32'], container);
      set(params, [4, 'u32'], EXPLICIT | (plugged ? PLUGGED : 0));
      set(params, [12, 'u32'], id);
      setText(params, 16, 16, type);
    });
  }

  connect(token: number, [type1, id1]: readonly [string, number], [type2, id2]: readonly [string, number]): void {
    this.ask(0x167, 1, token, (params) => {
      set(params, [0, 'u32'], id1);
      set(params, [8, 'u32'], id2);
      setText(params, 16, 16, type1);
      setText(params, 40, 16, type2);
    });
  }

  /** The names of what is in a container. */
  list(token: number): string[] {
    const count = get(this.ask(0x159, 1, token).params, [4, 'u32']);
    return Array.from({ length: count }, (_, i) => {
      const { params } = this.ask(0x15a, 1, token, (fields) => { set(fields, [0, 'u32'], i); });
      return `${getText(params, 24, 16)}.${get(params, [4, 'u32'])}`;
    });
  }
}

/** What DPDK needs at least, with the versions and fields that restool 2.4 sends: a network interface of 8 queues, buffers, a queue portal, a command portal. */
const OBJECTS: readonly (readonly [type: string, version: number, fields: readonly number[]])[] = [
  ['dpni', 7, [0, 0, 0, 0, 8, 1]],
  ['dpmcp', 2, [255, 255, 255, 255]],
  ['dpbp', 1, []],
  ['dpbp', 1, []],
  ['dpcon', 1, [2]],
  ['dpio', 1, [0, 0, 1, 0, 2]],
];

/** dynamic_dpl.sh: a container, its objects, the link to a MAC. Each object is plugged where it was made. @returns the container's number */
export function makeContainer(mc: Firmware, mac: number): number {
  const container = mc.with('dprc', 1, (root) => mc.createContainer(root, 'DPDK Container'));
  mc.with('dprc', container, (token) => {
    for (const [type, version, fields] of OBJECTS) {
      const id = mc.create(token, type, version, fields);
      if (type === 'dpni') mc.with('dprc', 1, (root) => { mc.connect(root, ['dpni', id], ['dpmac', mac]); });
      mc.plug(token, container, type, id, true);
    }
  });
  return container;
}

/** The container is unplugged, so that no driver of the kernel has it: it goes to vfio-fsl-mc at once, and its objects follow. */
export function bind(user: Process, container: number): void {
  user.writeFile(`${BUS}/devices/dprc.${container}/driver_override`, 'vfio-fsl-mc');
  user.writeFile(`${BUS}/drivers/vfio-fsl-mc/bind`, `dprc.${container}`);
}

/** What the user of a container holds. */
export interface OpenContainer {
  readonly mc: Firmware;
  /** Sessions through the dpmcp's portal. */
  readonly token: number;
  close(): void;
}

/** As DPDK's fslmc bus: the group, an IOMMU, the dpmcp's portal mapped; from there on no call goes through the kernel. */
export function openContainer(user: Process, container: number, dpmcp: number): OpenContainer {
  const group = user.readlink(`${BUS}/devices/dprc.${container}/iommu_group`).split('/').at(-1) ?? '';
  const vfio = user.open('/dev/vfio/vfio');
  const groupFd = user.open(`/dev/vfio/${group}`);
  setContainer(user, groupFd, vfio);
  user.ioctl(vfio, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  const fds = [getDeviceFd(user, groupFd, `dprc.${container}`), getDeviceFd(user, groupFd, `dpmcp.${dpmcp}`)];
  const mapping = user.mmap(fds[1]!, 0x1000);
  const mc = new Firmware(throughMapping(mapping));
  const token = mc.open('dprc', container);
  return {
    mc,
    token,
    close: () => {
      // A mapping keeps its device open.
      mapping.unmap();
      for (const fd of [...fds, groupFd, vfio]) user.close(fd);
    },
  };
}

/** destroy_dynamic_dpl.sh: unbind, destroy each object, plugged as they are, then the container. */
export function takeApart(user: Process, mc: Firmware, container: number): void {
  user.writeFile(`${BUS}/drivers/vfio-fsl-mc/unbind`, `dprc.${container}`);
  mc.with('dprc', container, (token) => {
    for (const name of mc.list(token)) {
      const [type = '', id] = name.split('.');
      mc.destroy(token, type, Number(id));
    }
  });
  mc.with('dprc', 1, (root) => { mc.ask(0x152, 1, root, (params) => { set(params, [0, 'u32'], container); }); });
}
