/** The commands of the protocol. 14 was a command of drafts and is none any more. */

/** Numbers of the commands by their names, which are those of the specification without `VFIO_USER_`. */
export const COMMANDS = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  DEVICE_GET_INFO: 4,
  DEVICE_GET_REGION_INFO: 5,
  DEVICE_GET_REGION_IO_FDS: 6,
  DEVICE_GET_IRQ_INFO: 7,
  DEVICE_SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  DMA_READ: 11,
  DMA_WRITE: 12,
  DEVICE_RESET: 13,
  REGION_WRITE_MULTI: 15,
  DEVICE_FEATURE: 16,
  MIG_DATA_READ: 17,
  MIG_DATA_WRITE: 18,
} as const;

/** The name of a command. All but DMA_READ and DMA_WRITE are the client's. */
export type CommandName = keyof typeof COMMANDS;

const NAMES: ReadonlyMap<number, CommandName> = new Map(commandNames().map((name) => [COMMANDS[name], name]));

/** All commands, in the order of their numbers. */
export function commandNames(): CommandName[] {
  return [
    'VERSION',
    'DMA_MAP',
    'DMA_UNMAP',
    'DEVICE_GET_INFO',
    'DEVICE_GET_REGION_INFO',
    'DEVICE_GET_REGION_IO_FDS',
    'DEVICE_GET_IRQ_INFO',
    'DEVICE_SET_IRQS',
    'REGION_READ',
    'REGION_WRITE',
    'DMA_READ',
    'DMA_WRITE',
    'DEVICE_RESET',
    'REGION_WRITE_MULTI',
    'DEVICE_FEATURE',
    'MIG_DATA_READ',
    'MIG_DATA_WRITE',
  ];
}

/** The name of a command. @param command its number @returns undefined where the protocol has none of that number */
export function commandName(command: number): CommandName | undefined {
  return NAMES.get(command);
}
