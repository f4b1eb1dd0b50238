import { ENOTCONN, eventKind, get, set, type AddressSpace, type EventKind, type Host, type HostIrq } from '@vsim/vfio-core';
import {
  COMMAND_SIZE,
  DPMNG_GET_VERSION,
  DPRC_GET_API_VERSION,
  DPRC_GET_CONNECTION,
  DPRC_GET_CONT_ID,
  DPRC_GET_OBJ,
  DPRC_GET_OBJ_COUNT,
  DPRC_GET_OBJ_REG,
  DPRC_RESET_CONT,
  DPRC_SET_OBJ_IRQ,
  getAddress,
  getText,
  MC_CLEAR_IRQ_STATUS,
  MC_CMD_FLAG_INTR_DIS,
  MC_CMD_FLAG_PRI_HIGH,
  MC_CLOSE,
  MC_GET_ATTR,
  MC_GET_IRQ_STATUS,
  MC_RESET,
  MC_SET_IRQ,
  MC_SET_IRQ_ENABLE,
  MC_SET_IRQ_MASK,
  MC_STATUS_READY,
  mc_header,
  mcCommand,
  OPEN_COMMANDS,
  PARAMS,
  setAddress,
  setText,
  statusError,
} from '../mc/command.ts';
import { REGION_KINDS, type McRegionKind } from '../mc/mc-object.ts';

/** What a container says of one of its objects. Kernel: struct fsl_mc_obj_desc. */
export interface ObjectDescriptor {
  /** As `dpni`, at most 16 bytes. */
  readonly type: string;
  /** Its number among the objects of its type, 32 bits. */
  readonly id: number;
  /** 16 bits; 0x1957 is FSL_MC_VENDOR_FREESCALE. */
  readonly vendor: number;
  /** Major and minor of its type's API, 16 bits each. */
  readonly version: readonly [number, number];
  /** Interrupts that it has, 8 bits. */
  readonly irqCount: number;
  /** Regions that a driver sees, 8 bits; 0 for the root, whose portal is the bus's. */
  readonly regionCount: number;
  /** OPEN 1, PLUGGED 2. */
  readonly state: number;
  /** What somebody named it, at most 16 bytes; may be empty. */
  readonly label: string;
  /** Bit 0, FSL_MC_OBJ_FLAG_NO_MEM_SHAREABILITY: its memory must not be made shareable. */
  readonly flags: number;
}

/** What a container says of a region of one of its objects: the answer of DPRC_GET_OBJ_REG. */
export interface RegionDescriptor {
  /** Portals of the MC, of the queue manager, or its memory-backed ones. */
  readonly kind: McRegionKind;
  /** Bytes from the base of its kind. */
  readonly offset: number;
  /** Bytes: 64 or 4096 before version 3 of the command. */
  readonly size: number;
  /** CACHEABLE 1, SHAREABLE 2. */
  readonly flags: number;
  /** Physical address from which the offset counts; 0 where the API is too old to say. */
  readonly base: number;
}

/** The other end of a link. */
export interface Connection {
  /** Of the object there: as `dpmac`. */
  readonly type: string;
  /** Of the object there, 32 bits. */
  readonly id: number;
  /** Which of its interfaces, 16 bits: 0 but for switches and demultiplexers. */
  readonly interfaceId: number;
  /** Both ends are enabled. */
  readonly up: boolean;
}

/** The status, in the first word of a command. */
const STATUS_SHIFT = 16;
/** How often a driver looks for an answer, in ns. */
const POLL_INTERVAL = 10_000_000;
const NO_MEM_SHAREABILITY = 1;
const NON_RECURSIVE = 1;

/** The MC did not answer in time. */
export const MC_TIMEOUT: EventKind<{ readonly portal: number; readonly command: number; readonly ns: number }> = eventKind(
  'fsl-mc/command-timeout',
  'warn',
  ({ portal, command, ns }) => `portal 0x${portal.toString(16)}: command 0x${command.toString(16)}: no answer in ${ns / 1_000_000} ms`,
);

/** Stores a command as a driver does: the parameters, then the header. @param portal its physical address */
export function submitCommand(memory: AddressSpace, portal: number, command: Uint8Array): void {
  for (let at = COMMAND_SIZE - 8; at >= 0; at -= 8) memory.write64(portal + at, get(command, [at, 'u32']), get(command, [at + 4, 'u32']));
}

/**
 * Waits for a command's answer, and looks each 10 ms.
 *
 * @param portal its physical address
 * @param command cmd_id, 16 bits, for the event
 * @param limit ns
 * @returns false if there is none in `limit`: MC_TIMEOUT
 */
export function waitForAnswer({ memory, scheduler, trace }: Host, portal: number, command: number, limit: number): boolean {
  const end = scheduler.now + limit;
  while (((memory.read32(portal) >>> STATUS_SHIFT) & 0xff) === MC_STATUS_READY) {
    if (scheduler.now >= end) {
      trace.emit(MC_TIMEOUT, { portal, command, ns: limit });
      return false;
    }
    scheduler.pass(Math.min(POLL_INTERVAL, end - scheduler.now));
  }
  return true;
}

/** Loads the 64 bytes that a portal holds, the last word first. @param portal its physical address */
export function loadCommand(memory: AddressSpace, portal: number, into: Uint8Array): void {
  for (let at = COMMAND_SIZE - 4; at >= 0; at -= 4) set(into, [at, 'u32'], memory.read32(portal + at));
}

/**
 * The kernel's end of a command portal. Kernel: mc_send_command(), struct fsl_mc_io.
 *
 * The wait for an answer keeps the processor: the clock moves, and no other thread runs meanwhile.
 */
export class McIo {
  /** Physical address of the portal. */
  readonly portal: number;
  readonly #host: Host;

  /** @param host whose memory it stores to, and whose clock moves while it waits @param portal its physical address */
  constructor(host: Host, portal: number) {
    this.#host = host;
    this.portal = portal;
  }

  /**
   * mc_send_command(): `command` becomes the answer.
   *
   * @returns 0; -ETIMEDOUT without an answer in the profile's time; what the status stands for, see statusError()
   */
  send(command: Uint8Array): number {
    const { memory, profile } = this.#host;
    submitCommand(memory, this.portal, command);
    waitForAnswer(this.#host, this.portal, get(command, mc_header.cmd_id), profile.fslmcTimeout);
    loadCommand(memory, this.portal, command);
    return statusError(get(command, mc_header.status));
  }

  /** mc_get_version(), of which nothing is kept: whether the firmware answers. @returns 0 or a negative errno */
  version(): number {
    return this.send(mcCommand(DPMNG_GET_VERSION, 1, 0));
  }

  /** dprc_get_container_id(): the id of the container whose portal this is, or a negative errno. */
  containerId(): number {
    return this.#ask(mcCommand(DPRC_GET_CONT_ID, 1, 0), (answer) => get(answer, [PARAMS, 'u32']));
  }

  /**
   * Opens an object in the portal's container or below it.
   *
   * @param type as `dpni`
   * @param id 32 bits
   * @returns the token, 16 bits, or a negative errno
   */
  open(type: string, id: number): number {
    const command = mcCommand(OPEN_COMMANDS.get(type) ?? 0, 1, 0);
    set(command, [PARAMS, 'u32'], id);
    return this.#ask(command, (answer) => get(answer, mc_header.token));
  }

  /** Ends a session. @param token of an open object, 16 bits @returns 0, or -EACCES for a token that stands for nothing */
  close(token: number): number {
    return this.send(mcCommand(MC_CLOSE, 1, token));
  }

  /** MC_RESET of an open object that is no container. @param token of the object, 16 bits @returns 0 or a negative errno */
  reset(token: number): number {
    return this.send(mcCommand(MC_RESET, 1, token));
  }

  /** The isolation context of the open container, or a negative errno. @param token of the container, 16 bits */
  icid(token: number): number {
    return this.#ask(mcCommand(MC_GET_ATTR, 1, token), (answer) => get(answer, [PARAMS + 4, 'u32']));
  }

  /** Major and minor, or a negative errno. */
  apiVersion(): readonly [number, number] | number {
    const command = mcCommand(DPRC_GET_API_VERSION, 1, 0);
    const error = this.send(command);
    return error < 0 ? error : [get(command, [PARAMS, 'u16']), get(command, [PARAMS + 2, 'u16'])];
  }

  /**
   * dprc_get_obj_count(): the objects of an open container, without those further below, or a negative errno.
   *
   * @param token of the container, 16 bits
   */
  objectCount(token: number): number {
    return this.#ask(mcCommand(DPRC_GET_OBJ_COUNT, 1, token), (answer) => get(answer, [PARAMS + 4, 'u32']));
  }

  /**
   * dprc_get_obj(): what a container says of one of its objects.
   *
   * @param token of the container, 16 bits
   * @param index in [0, objectCount())
   * @returns -ENXIO for an index beyond
   */
  object(token: number, index: number): ObjectDescriptor | number {
    const command = mcCommand(DPRC_GET_OBJ, 1, token);
    set(command, [PARAMS, 'u32'], index);
    const error = this.send(command);
    if (error < 0) return error;
    const answer = command.subarray(PARAMS);
    const type = getText(answer, 24, 16);
    const major = get(answer, [16, 'u16']);
    const flags = get(answer, [20, 'u16']);
    return {
      type,
      id: get(answer, [4, 'u32']),
      vendor: get(answer, [8, 'u16']),
      version: [major, get(answer, [18, 'u16'])],
      irqCount: get(answer, [10, 'u8']),
      regionCount: get(answer, [11, 'u8']),
      state: get(answer, [12, 'u32']),
      label: getText(answer, 40, 16),
      // The first dpseci did not say that its memory is not shareable.
      flags: type === 'dpseci' && major < 4 ? flags | NO_MEM_SHAREABILITY : flags,
    };
  }

  /**
   * dprc_get_obj_region(): where a region of an object lies.
   *
   * @param token of the container, 16 bits
   * @param version of DPRC_GET_OBJ_REG: 1; 2 with a base; 3 with the size as it is
   * @param index in [0, regionCount)
   * @returns -ENXIO for an object or a region that is not there
   */
  region(token: number, version: number, { type, id }: ObjectDescriptor, index: number): RegionDescriptor | number {
    const command = mcCommand(DPRC_GET_OBJ_REG, version, token);
    const params = command.subarray(PARAMS);
    set(params, [0, 'u32'], id);
    set(params, [6, 'u8'], index);
    setText(params, 24, 16, type);
    const error = this.send(command);
    if (error < 0) return error;
    return {
      kind: REGION_KINDS[get(params, [20, 'u8'])] ?? 'mc-portal',
      offset: getAddress(params, 8),
      size: get(params, [16, 'u32']),
      flags: get(params, [24, 'u32']),
      base: version >= 2 ? getAddress(params, 32) : 0,
    };
  }

  /**
   * dprc_get_connection(): what is connected to an interface of an object.
   *
   * @param token of a container that has it, 16 bits
   * @param interfaceId which of its interfaces, 16 bits
   * @returns -ENOTCONN without a link, -ENXIO where the object is not there
   */
  connection(token: number, { type, id }: Pick<ObjectDescriptor, 'type' | 'id'>, interfaceId = 0): Connection | number {
    const command = mcCommand(DPRC_GET_CONNECTION, 1, token);
    const params = command.subarray(PARAMS);
    set(params, [0, 'u32'], id);
    set(params, [4, 'u16'], interfaceId);
    setText(params, 8, 16, type);
    const error = this.send(command);
    if (error < 0) return error;
    const state = get(params, [48, 's32']);
    if (state < 0) return -ENOTCONN;
    return { type: getText(params, 32, 16), id: get(params, [24, 'u32']), interfaceId: get(params, [28, 'u16']), up: state === 1 };
  }

  /**
   * dprc_reset_container(), of this container alone where the API knows the option.
   *
   * @param token of a container, 16 bits
   * @param id of the container that is reset: this one or one below
   * @param version of the command: 1 resets those below as well
   * @returns 0 or a negative errno
   */
  resetContainer(token: number, id: number, version: 1 | 2): number {
    const command = mcCommand(DPRC_RESET_CONT, version, token);
    set(command, [PARAMS, 'u32'], id);
    if (version === 2) set(command, [PARAMS + 4, 'u32'], NON_RECURSIVE);
    return this.send(command);
  }

  /**
   * Tells an interrupt its message, before other commands and without an interrupt for that. `object` undefined: the container's own.
   * Kernel: __fsl_mc_msi_write_msg().
   *
   * @param token of the container, 16 bits
   * @param index of the object's interrupt, from 0
   * @returns 0, or -ENXIO where there is none
   */
  setIrq(token: number, object: ObjectDescriptor | undefined, index: number, { message, number }: Pick<HostIrq, 'message' | 'number'>): number {
    const command = mcCommand(object === undefined ? MC_SET_IRQ : DPRC_SET_OBJ_IRQ, 1, token);
    set(command, mc_header.flags_hw, MC_CMD_FLAG_PRI_HIGH);
    set(command, mc_header.flags_sw, MC_CMD_FLAG_INTR_DIS);
    const params = command.subarray(PARAMS);
    set(params, [0, 'u32'], message.data);
    set(params, [4, 'u8'], index);
    setAddress(params, 8, message.address);
    set(params, [16, 'u32'], number);
    if (object !== undefined) {
      set(params, [20, 'u32'], object.id);
      setText(params, 24, 16, object.type);
    }
    return this.send(command);
  }

  /**
   * Which causes raise an interrupt.
   *
   * @param token of the object, 16 bits
   * @param index of the interrupt, from 0
   * @param mask 32 bits, set: it raises
   * @returns 0 or a negative errno
   */
  setIrqMask(token: number, index: number, mask: number): number {
    return this.#irq(MC_SET_IRQ_MASK, token, index, mask);
  }

  /**
   * Turns an interrupt on or off as a whole.
   *
   * @param token of the object, 16 bits
   * @param index of the interrupt, from 0
   * @returns 0 or a negative errno
   */
  setIrqEnable(token: number, index: number, enable: boolean): number {
    return this.#irq(MC_SET_IRQ_ENABLE, token, index, enable ? 1 : 0);
  }

  /**
   * The causes that are latched, 32 bits, or a negative errno.
   *
   * @param token of the object, 16 bits
   * @param index of the interrupt, from 0
   */
  irqStatus(token: number, index: number): number {
    const command = mcCommand(MC_GET_IRQ_STATUS, 1, token);
    set(command, [PARAMS + 4, 'u8'], index);
    return this.#ask(command, (answer) => get(answer, [PARAMS, 'u32']));
  }

  /**
   * Acknowledges causes.
   *
   * @param token of the object, 16 bits
   * @param index of the interrupt, from 0
   * @param status 32 bits, set: it is cleared
   * @returns 0 or a negative errno
   */
  clearIrqStatus(token: number, index: number, status: number): number {
    return this.#irq(MC_CLEAR_IRQ_STATUS, token, index, status);
  }

  #irq(id: number, token: number, index: number, value: number): number {
    const command = mcCommand(id, 1, token);
    set(command, [PARAMS, 'u32'], value);
    set(command, [PARAMS + 4, 'u8'], index);
    return this.send(command);
  }

  #ask(command: Uint8Array, read: (answer: Uint8Array) => number): number {
    const error = this.send(command);
    return error < 0 ? error : read(command);
  }
}
