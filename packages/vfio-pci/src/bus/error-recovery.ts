import { eventKind, type EventKind, type Point, type Sleeps } from '@vsim/vfio-core';
import { findExtendedCapability } from '../pci/capabilities.ts';
import type { ErrorMessage } from '../pci/aer.ts';
import { PciPort } from '../pci/pci-port.ts';
import { PCI_ERR_COR_STATUS, PCI_ERR_UNCOR_STATUS, PCI_EXT_CAP_ID_ERR } from '../pci/registers.ts';
import type { PciDevice } from './pci-device.ts';
import type { ChannelState, RecoveryVote } from './pci-driver.ts';
import { resetBelow } from './reset.ts';

/** The recovery of an error has ended. */
export const ERROR_RECOVERY: EventKind<{ readonly device: string; readonly recovered: boolean; readonly why: string }> = eventKind(
  'pci/error-recovery',
  'info',
  ({ device, recovered, why }) => `${device}: ${recovered ? 'recovered' : 'not recovered'}: ${why}`,
);

/** The walk of error_detected is over, and the next begins. */
export const ERROR_REPORTED: Point = { point: 'pci/error-reported' };

/** A vote, or what stands for one: nobody there to vote, or nothing to say. */
type Vote = RecoveryVote | 'no-driver' | 'none';

/**
 * What the kernel does of an error that a root port reports: it walks the drivers of every device that may be hurt. Kernel:
 * pci_aer_handle_error(), pcie_do_recovery(); Documentation/PCI/pci-error-recovery.rst.
 *
 * The error of one source.
 */
export function* handleError(source: PciDevice, { severity }: ErrorMessage): Sleeps<void> {
  if (severity === 'correctable') clearStatus(source, PCI_ERR_COR_STATUS);
  else yield* recover(source, severity === 'fatal' ? 'frozen' : 'normal');
}

function* recover(source: PciDevice, state: ChannelState): Sleeps<void> {
  const { bus, host } = source;
  const bridge = source.function instanceof PciPort ? source : bus.bridgeOf(source);
  const end = (recovered: boolean, why: string): void => host.trace.emit(ERROR_RECOVERY, { device: source.name, recovered, why });
  if (bridge === undefined) {
    end(false, 'no port above');
    return;
  }
  const hurt = bus.below(bridge);

  let status: Vote = 'can-recover';
  for (const device of hurt) {
    yield* device.lock.lock();
    status = merge(status, detect(device, state));
    device.lock.unlock();
  }
  yield ERROR_REPORTED;
  if (state === 'frozen') {
    // Nothing is saved before this reset, and nothing restored after it: drivers do that in slot_reset.
    // What drivers said stands: also in 5.10.223, which has "PCI/ERR: Retain status from error notification" as a backport.
    if (resetBelow(bridge) < 0) {
      end(false, 'the link does not come back');
      return;
    }
  }
  if (status === 'can-recover') {
    status = yield* walk(hurt, 'recovered', (device) => device.driver?.mmioEnabled(device));
  }
  if (status === 'need-reset') {
    status = yield* walk(hurt, 'recovered', (device) => device.driver?.slotReset(device));
  }
  if (status !== 'recovered') {
    end(false, status === 'no-driver' ? 'a device has no driver that could recover it' : 'a driver gave its device up');
    return;
  }
  for (const device of hurt) {
    yield* device.lock.lock();
    if (device.channel !== 'gone') device.channel = 'normal';
    device.driver?.resume(device);
    device.lock.unlock();
  }
  clearStatus(source, PCI_ERR_UNCOR_STATUS);
  end(true, `${hurt.length} devices below ${bridge.name}`);
}

/** report_error_detected() of one device. */
function detect(device: PciDevice, state: ChannelState): Vote {
  if (device.channel === 'gone') return 'disconnect';
  device.channel = state;
  return device.driver?.errorDetected(device, state) ?? (device.isBridge ? 'none' : 'no-driver');
}

function* walk(devices: readonly PciDevice[], start: Vote, step: (device: PciDevice) => RecoveryVote | undefined): Sleeps<Vote> {
  let status = start;
  for (const device of devices) {
    yield* device.lock.lock();
    status = merge(status, step(device) ?? 'none');
    device.lock.unlock();
  }
  return status;
}

/** merge_result(). */
function merge(before: Vote, vote: Vote): Vote {
  if (vote === 'no-driver') return 'no-driver';
  if (vote === 'none') return before;
  if (before === 'can-recover' || before === 'recovered') return vote;
  return before === 'disconnect' && vote === 'need-reset' ? 'need-reset' : before;
}

/** Error bits are cleared by writing them. */
function clearStatus(device: PciDevice, register: number): void {
  const fn = device.function;
  const aer = findExtendedCapability(fn.config.bytes, PCI_EXT_CAP_ID_ERR);
  if (aer !== 0) fn.configWrite(aer + register, 4, fn.configRead(aer + register, 4));
}
