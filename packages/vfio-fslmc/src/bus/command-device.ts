import { constant, EINVAL, File, get, hex, type Device, type Process, type Sleeps, type UserArgument } from '@vsim/vfio-core';
import { COMMAND_SIZE, mc_header } from '../mc/command.ts';
import { checkCommand } from './accepted-commands.ts';
import { MC_ERROR } from './fslmc-reasons.ts';
import type { McIo } from './mc-io.ts';

/**
 * The one request of `/dev/dprc.1`: _IOWR('R', 0xe0, struct fsl_mc_command), linux/fsl_mc.h. Through it user space (restool) sends commands
 * to the root container.
 */
export const FSL_MC_SEND_MC_COMMAND = 0xc040_52e0;

/** The root container as its command device knows it: the portals that commands go through. */
export interface CommandedContainer {
  readonly device: Device;
  /** Its own portal. */
  readonly io: McIo;
  /** A dpmcp of its pool, or a negative errno. */
  allocatePortal(): McIo | number;
  /** Gives one back. */
  freePortal(io: McIo): void;
}

/**
 * Puts `/dev/dprc.1` there. The first opener has the root's own portal, each further one a dpmcp of its pool. Kernel: fsl-mc-uapi.c.
 *
 * @returns what takes it away
 */
export function addCommandDevice(dprc: CommandedContainer): () => void {
  const path = `/dev/${dprc.device.name}`;
  const { files } = dprc.device.host;
  let staticInUse = false;
  files.add(path, {
    kind: 'device',
    mode: 0o600,
    open: () => {
      if (!staticInUse) {
        staticInUse = true;
        return constant(new CommandFile(dprc.device.name, dprc.io, () => { staticInUse = false; }));
      }
      const portal = dprc.allocatePortal();
      return constant(typeof portal === 'number' ? portal : new CommandFile(dprc.device.name, portal, () => { dprc.freePortal(portal); }));
    },
  });
  return () => { files.remove(path); };
}

class CommandFile extends File {
  override readonly label: string = 'fsl-mc command device';
  readonly #dprc: string;
  readonly #io: McIo;
  readonly #free: () => void;

  constructor(dprc: string, io: McIo, free: () => void) {
    super();
    this.#dprc = dprc;
    this.#io = io;
    this.#free = free;
  }

  /** One command of 64 bytes, which its answer replaces. @returns -EINVAL for any other request, the checks' errno, or the status' */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    if (request !== FSL_MC_SEND_MC_COMMAND) return argument.unknown(EINVAL);
    const command = argument.copyIn(COMMAND_SIZE);
    if (command === undefined) return argument.fault();
    const refused = checkCommand(command, process);
    if (refused < 0) return refused;
    const what = hex(get(command, mc_header.cmd_id));
    const error = this.#io.send(command);
    if (error < 0) return argument.refuse(MC_ERROR, { object: this.#dprc, what, error }, -error);
    return argument.copyOut(command) ? 0 : argument.fault();
  }

  protected override *release(): Sleeps<void> {
    this.#free();
  }
}
