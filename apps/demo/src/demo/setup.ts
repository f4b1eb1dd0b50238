/** The hosts and VMs of the demonstration, before anything happens to them. */
import { getRegionInfo } from '@vsim/vfio-core';
import type { PciMachineDescription } from '@vsim/vfio-pci';
import { REG, TICKER_VECTORS } from '../devices/ticker.ts';
import { Guest, lpiOf } from '../guest/guest.ts';
import { AT, GUEST_TRANSLATER } from '../guest/layout.ts';
import { armHost, TICKERS, type ArmHost } from '../hosts/arm-host.ts';
import type { AssignedDevice } from '../vmm/assigned-device.ts';
import { VirtualMachine } from '../vmm/virtual-machine.ts';
import { lineName, type Ledger } from './ledger.ts';

export const VCPUS = 2;
/** A device of the recorded machine that vfio-pci drives, and that cannot migrate: QEMU's edu. */
export const PLAIN_DEVICE = '0000:00:02.0';
/** The vector whose event the guest maps after it has unmasked it: forwarding is refused, it stays with software. */
const LATE_VECTOR = 3;

/** DeviceID of a slot in the guest: devices 2, 3, ... of its bus 0. */
export function guestDeviceOf(slot: number): number {
  return (2 + slot) * 8;
}

/** A host whose tickers and edu are bound. */
export function buildHost(seed: number, machine: PciMachineDescription): ArmHost {
  const host = armHost(seed, machine);
  for (const name of TICKERS) host.bind(name, 'vfio-ticker');
  host.bind(PLAIN_DEVICE, 'vfio-pci');
  return host;
}

/** The guest's handler tells the ledger which interrupt it took. */
export function takenBy(ledger: Ledger): (lpi: number) => void {
  const lines = new Map(TICKERS.flatMap((name, slot) => vectors().map((vector) => [lpiOf(slot, vector), lineName(name, vector)] as const)));
  return (lpi) => { ledger.delivered(lines.get(lpi) ?? `LPI ${lpi}`); };
}

/** The guest's driver of a ticker: its ring, its interrupts, and off it goes. */
export function startTicker(vm: VirtualMachine, guest: Guest, device: AssignedDevice, slot: number): void {
  guest.mapDevice(slot, device.guestDevice);
  device.enableMsix(TICKER_VECTORS);
  for (const vector of vectors()) {
    const cpu = (slot + vector) % VCPUS;
    if (vector !== LATE_VECTOR) guest.mapEvent(slot, device.guestDevice, vector, cpu);
    device.writeVector(vector, { address: GUEST_TRANSLATER, data: vector, masked: false });
    if (vector === LATE_VECTOR) guest.mapEvent(slot, device.guestDevice, vector, cpu);
  }
  const registers = Number(getRegionInfo(vm.process, device.fd, 0).offset);
  const write = (offset: number, value: number): void => {
    const word = new Uint8Array(4);
    new DataView(word.buffer).setUint32(0, value, true);
    vm.process.pwrite(device.fd, word, registers + offset);
  };
  write(REG.RING_LOW, AT.rings + slot * 0x1000);
  write(REG.RING_HIGH, 0);
  write(REG.CONTROL, 1);
}

/** The vectors of a ticker. */
export function vectors(): readonly number[] {
  return Array.from({ length: TICKER_VECTORS }, (_, n) => n);
}


/** A VM that runs a guest on its tickers, from power-on. */
export function bootVm(host: ArmHost, ledger: Ledger): { readonly vm: VirtualMachine; readonly guest: Guest } {
  const vm = new VirtualMachine(host, VCPUS);
  const guest = new Guest(vm.kvm, takenBy(ledger));
  guest.boot();
  TICKERS.forEach((name, slot) => { startTicker(vm, guest, vm.assign(name, guestDeviceOf(slot)), slot); });
  vm.run((vcpu) => vcpu);
  return { vm, guest };
}

/** A VM with the tickers in it that waits for its state. */
export function incomingVm(host: ArmHost, ledger: Ledger): { readonly vm: VirtualMachine; readonly guest: Guest } {
  const vm = new VirtualMachine(host, VCPUS);
  const guest = new Guest(vm.kvm, takenBy(ledger));
  TICKERS.forEach((name, slot) => vm.assign(name, guestDeviceOf(slot)));
  return { vm, guest };
}
