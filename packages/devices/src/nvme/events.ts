/** What the trace tells of a controller. */
import { eventKind, type EventKind } from '@vsim/vfio-core';

/** The controller gave up: CSTS.CFS is set, and nothing is done until it is reset. */
export const NVME_FATAL: EventKind<{ readonly device: string; readonly why: string }> = eventKind(
  'nvme/fatal',
  'fault',
  ({ device, why }) => `${device}: fatal: ${why}`,
);

/** A doorbell was rung that there is not, or with a place that the queue does not have. */
export const NVME_BAD_DOORBELL: EventKind<{ readonly device: string; readonly offset: number; readonly value: number; readonly why: string }> = eventKind(
  'nvme/bad-doorbell',
  'fault',
  ({ device, offset, value, why }) => `${device}: 0x${value.toString(16)} to the doorbell at 0x${offset.toString(16)}: ${why}`,
);

/** A command failed. */
export const NVME_COMMAND_FAILED: EventKind<{ readonly device: string; readonly queue: number; readonly command: number; readonly opcode: number; readonly status: number }> = eventKind(
  'nvme/command-failed',
  'info',
  ({ device, queue, command, opcode, status }) =>
    `${device}: queue ${queue}: command ${command}, opcode 0x${opcode.toString(16)}: status 0x${status.toString(16)}`,
);

/** The controller's own DMA led to its registers: it is lost. */
export const NVME_OWN_DMA: EventKind<{ readonly device: string; readonly offset: number }> = eventKind(
  'nvme/own-dma',
  'fault',
  ({ device, offset }) => `${device}: its own DMA wrote its register at 0x${offset.toString(16)}: lost`,
);

/** One call had more commands than any queue has: the rest waits for the next doorbell. */
export const NVME_BUSY: EventKind<{ readonly device: string; readonly commands: number }> = eventKind(
  'nvme/busy',
  'warn',
  ({ device, commands }) => `${device}: ${commands} commands in one call: the rest waits`,
);

/** A state was refused. */
export const NVME_STATE_REFUSED: EventKind<{ readonly device: string; readonly why: string }> = eventKind(
  'nvme/state-refused',
  'warn',
  ({ device, why }) => `${device}: refuses a state: ${why}`,
);
