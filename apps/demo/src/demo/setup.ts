/** Hosts and VMs with tickers in them, before anything happens to them: what `vsim demo` and `vsim migrate` start from. */
import { getRegionInfo } from '@vsim/vfio-core';
import { type AssignedDevice, GuestGicDriver, lpiOf, translaterOf, VirtualMachine } from '@vsim/vmm';
import { REG, TICKER_VECTORS } from '../devices/ticker.ts';
import { armHost, type ArmHost, type ArmHostInit } from '../hosts/arm-host.ts';
import { lineName, type Ledger } from './ledger.ts';

/** A device of the recorded machine that vfio-pci drives, and that cannot migrate: QEMU's edu. */
export const PLAIN_DEVICE = '0000:00:02.0';
/** The vector whose event the guest maps after it has unmasked it: forwarding is refused, it stays with software. */
const LATE_VECTOR = 3;

/** DeviceID of a slot in the guest: devices 2, 3, ... of its bus 0. */
export function guestDeviceOf(slot: number): number {
  return (2 + slot) * 8;
}

/** A host whose tickers, and edu if it has one, are bound to their VFIO drivers. */
export function buildHost(init: ArmHostInit): ArmHost {
  const host = armHost(init);
  for (const { name } of host.tickers) host.bind(name, 'vfio-ticker');
  if (host.pci.device(PLAIN_DEVICE) !== undefined) host.bind(PLAIN_DEVICE, 'vfio-pci');
  return host;
}

/** Who hears what the guest takes. */
export type Takings = Pick<Ledger, 'delivered'>;

/** The guest's handler tells the ledger which interrupt it took. */
function takenBy(ledger: Takings, { tickers }: ArmHost): (lpi: number) => void {
  const lines = new Map(tickers.flatMap(({ name }, slot) => vectors().map((vector) => [lpiOf(slot, vector), lineName(name, vector)] as const)));
  return (lpi) => { ledger.delivered(lines.get(lpi) ?? `LPI ${lpi}`); };
}

/** The guest's driver of a ticker: its ring, its interrupts, and off it goes. */
function startTicker(vm: VirtualMachine<ArmHost>, guest: GuestGicDriver, device: AssignedDevice, slot: number): void {
  guest.mapDevice(slot, device.guestDevice);
  device.enableMsix(TICKER_VECTORS);
  for (const vector of vectors()) {
    const cpu = (slot + vector) % vm.kvm.vcpus.length;
    if (vector !== LATE_VECTOR) guest.mapEvent(slot, device.guestDevice, vector, cpu);
    device.writeVector(vector, { address: translaterOf(vm.layout), data: vector, masked: false });
    if (vector === LATE_VECTOR) guest.mapEvent(slot, device.guestDevice, vector, cpu);
  }
  const registers = Number(getRegionInfo(vm.process, device.fd, 0).offset);
  const write = (offset: number, value: number): void => {
    const word = new Uint8Array(4);
    new DataView(word.buffer).setUint32(0, value, true);
    vm.process.pwrite(device.fd, word, registers + offset);
  };
  write(REG.RING_LOW, ringOf(guest, slot));
  write(REG.RING_HIGH, 0);
  write(REG.CONTROL, 1);
}

/** The vectors of a ticker. */
export function vectors(): readonly number[] {
  return Array.from({ length: TICKER_VECTORS }, (_, n) => n);
}

/** Where the ring of a slot's ticker is: a page each, behind the GIC driver's tables. */
export function ringOf(guest: GuestGicDriver, slot: number): number {
  return guest.tables.end + slot * 0x1000;
}

/** A VM and the guest in it. */
export interface GuestVm {
  readonly vm: VirtualMachine<ArmHost>;
  readonly guest: GuestGicDriver;
}

/** A VM that runs a guest on the host's tickers, from power-on. */
export function bootVm(host: ArmHost, ledger: Takings, vcpus: number): GuestVm {
  const vm = new VirtualMachine(host, { vcpus });
  const guest = new GuestGicDriver(vm, takenBy(ledger, host));
  guest.boot();
  host.tickers.forEach(({ name }, slot) => { startTicker(vm, guest, vm.assign(name, guestDeviceOf(slot)), slot); });
  vm.run(samePlace);
  return { vm, guest };
}

/** A VM with the tickers in it that waits for its state. */
export function incomingVm(host: ArmHost, ledger: Takings, vcpus: number): GuestVm {
  const vm = new VirtualMachine(host, { vcpus });
  const guest = new GuestGicDriver(vm, takenBy(ledger, host));
  host.tickers.forEach(({ name }, slot) => vm.assign(name, guestDeviceOf(slot)));
  return { vm, guest };
}

/** vCPU n runs on CPU n. */
export function samePlace(vcpu: number): number {
  return vcpu;
}

/** What the guest's own memory says it has taken, over all LPIs of the tickers. */
export function countTaken({ vm, guest }: GuestVm): number {
  return vm.host.tickers.reduce((sum, _, slot) => vectors().reduce((part, vector) => part + guest.count(lpiOf(slot, vector)), sum), 0);
}
