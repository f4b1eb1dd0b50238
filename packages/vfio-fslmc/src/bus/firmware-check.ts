/**
 * Linux and the firmware's control registers: stopped when the device is announced, looked at, started by the probe. Kernel:
 * fsl_mc_firmware_check().
 */
import { EFAULT, EINVAL, EOPNOTSUPP, EPROBE_DEFER, eventKind, type EventKind, type Host } from '@vsim/vfio-core';
import { GCR1, GCR1_STOPPED, GSR, GSR_BOOT_DONE } from '../mc/control-registers.ts';
import type { ManagementComplex } from '../mc/management-complex.ts';

/** The firmware's description has no second `reg`: the kernel reads GSR at address 0. */
export const NO_CONTROL_REGISTERS: EventKind<{ readonly portals: number }> = eventKind(
  'fsl-mc/no-control-registers',
  'bug',
  ({ portals }) => `the MC with its portals at 0x${portals.toString(16)} has no control registers: the kernel follows a NULL pointer to GSR`,
);
/** The firmware says of itself that it cannot be used. */
export const FIRMWARE_NOT_READY: EventKind<{ readonly gsr: number; readonly why: 'not booted' | 'unsupported' | 'failed' }> = eventKind(
  'fsl-mc/firmware-not-ready',
  'warn',
  ({ gsr, why }) => `the MC's GSR is 0x${gsr.toString(16)}: ${why}`,
);

/** In bits 8 to 15: the firmware has no use for this machine. */
const NOT_SUPPORTED = 0xdd;
/** Bits 1 to 7: what went wrong. */
const FAILED = 0xfe;

/**
 * A firmware that is started may still say that it cannot be used.
 *
 * @returns 0, and the root is probed; -EFAULT without control registers, where the kernel follows a NULL pointer and the probe's thread
 * ends; -EPROBE_DEFER, -EOPNOTSUPP or -EINVAL for what GSR says
 */
export function startFirmware(host: Host, mc: ManagementComplex): number {
  const { control } = mc;
  if (control === undefined) {
    host.trace.emit(NO_CONTROL_REGISTERS, { portals: mc.base });
    return -EFAULT;
  }
  stopFirmware(host, mc);
  host.memory.write32(control.address + GCR1, (host.memory.read32(control.address + GCR1) & ~GCR1_STOPPED) >>> 0);
  const gsr = host.memory.read32(control.address + GSR);
  const refuse = (why: 'not booted' | 'unsupported' | 'failed', errno: number): number => {
    host.trace.emit(FIRMWARE_NOT_READY, { gsr, why });
    return -errno;
  };
  if ((gsr & GSR_BOOT_DONE) === 0) return refuse('not booted', EPROBE_DEFER);
  if (((gsr >>> 8) & 0xff) === NOT_SUPPORTED) return refuse('unsupported', EOPNOTSUPP);
  return (gsr & FAILED) !== 0 ? refuse('failed', EINVAL) : 0;
}

/** Both halves of the firmware. */
export function stopFirmware(host: Host, { control }: ManagementComplex): void {
  if (control !== undefined) host.memory.write32(control.address + GCR1, (host.memory.read32(control.address + GCR1) | GCR1_STOPPED) >>> 0);
}
