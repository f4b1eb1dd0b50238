/**
 * What only a real firmware could tell, as one typed set of choices with presets: the public headers do not say it, and the recordings
 * were made with a Management Complex of the project's own.
 */

/**
 * `firmware`, the default: all commands of the release that are modelled, as restool, DPDK and Linux's drivers need them. `bus`: what the
 * recordings of Linux's bus and of vfio-fsl-mc ran on, a firmware with the commands of these two and no more.
 */
export type McPreset = 'firmware' | 'bus';

/** What the public headers leave to the firmware. A preset has a value for each. */
export interface McChoices {
  /** Which preset the rest was taken from. */
  readonly preset: McPreset;
  /** Which commands there are: all of the release that are modelled, or those that Linux's bus and vfio-fsl-mc send. */
  readonly commands: 'all' | 'bus';
  /** An object that is opened again through one portal: another session beside the first, or BUSY. */
  readonly reopen: 'session' | 'busy';
  /** Commands of a dpni that are not modelled: OK with zeros, so that a driver gets its port; or unsupported. */
  readonly unmodelledDpni: 'zeros' | 'unsupported';
  /** GET_PEER_ATTR of a dpci that is connected: which other one it is; or none, as the recordings' firmware said ever. */
  readonly dpciPeer: 'told' | 'hidden';
  /** Objects of a container that is destroyed: destroyed where it created them, else its parent gets them; or all destroyed. */
  readonly orphans: 'by-creator' | 'destroyed';
  /** What CREATE and CREATE_CONT make. A container that is plugged goes to Linux's own driver at once. */
  readonly created: 'unplugged' | 'plugged';
  /** The first token that is given, 16 bits; 0 is none. */
  readonly firstToken: number;
  /** Isolation contexts for containers that ask for any: the first, and how many. Both presets: 10 and 54. */
  readonly icids: readonly [first: number, count: number];
  /** GET_SOC_VERSION: the system version register, which names the chip, and the processor's, 32 bits each. Both presets: an LX2160A. */
  readonly soc: readonly [svr: number, pvr: number];
}

const FIRMWARE: McChoices = {
  preset: 'firmware',
  commands: 'all',
  reopen: 'session',
  unmodelledDpni: 'zeros',
  dpciPeer: 'told',
  orphans: 'by-creator',
  created: 'unplugged',
  firstToken: 1,
  icids: [10, 54],
  // An LX2160A.
  soc: [0x8736_0010, 0x8020_0010],
};

const PRESETS: Readonly<Record<McPreset, McChoices>> = {
  firmware: FIRMWARE,
  bus: { ...FIRMWARE, preset: 'bus', commands: 'bus', reopen: 'busy', unmodelledDpni: 'unsupported' },
};

/** A preset, with single choices overridden. */
export function mcChoices(preset: McPreset, override: Partial<McChoices> = {}): McChoices {
  return { ...PRESETS[preset], ...override };
}
