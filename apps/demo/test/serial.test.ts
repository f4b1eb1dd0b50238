import { describe, expect, it } from 'vitest';
import { getRegionInfo, setIrqTriggers, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX } from '@vsim/vfio-core';
import { MdevBus, Mtty, UART } from '@vsim/mdev';
import { type AssignedDevice, Link, migrate, VirtualMachine } from '@vsim/vmm';
import { armHost, type ArmHost } from '../src/hosts/arm-host.ts';

const SERIAL = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';
const TEXT = Array.from({ length: 40 }, (_, n) => `line ${n} over a 16550\n`).join('');
/** One less than the FIFO has: the sample's looks empty when it is full. */
const ROOM = 15;

/** A host with an mtty of its own, in a VM. */
function serialVm(seed: number): { readonly vm: VirtualMachine; readonly device: AssignedDevice } {
  const arm = armHost({ seed, tickers: 0 });
  const bus = new MdevBus(arm.host);
  arm.host.scheduler.call('modprobe mtty', new Mtty(bus, arm.vfio, { migration: true }).register());
  arm.root.writeFile('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create', SERIAL);
  const withSerial: ArmHost = { ...arm, groupOf: () => Number(arm.root.readlink(`/sys/bus/mdev/devices/${SERIAL}/iommu_group`).split('/').at(-1)) };
  const vm = new VirtualMachine(withSerial, { vcpus: 1 });
  return { vm, device: vm.assign(SERIAL, 0x20) };
}

/** The VMM's end of the serial card: its registers, and the eventfd of its interrupt. */
class Card {
  readonly vm: VirtualMachine;
  readonly device: AssignedDevice;
  readonly irq: number;
  readonly #port: number;

  constructor(seed: number, index: number) {
    const { vm, device } = serialVm(seed);
    this.vm = vm;
    this.device = device;
    this.#port = Number(getRegionInfo(vm.process, device.fd, 0).offset);
    this.irq = vm.process.eventfd();
    setIrqTriggers(vm.process, device.fd, index, 0, [this.irq]);
  }

  write(register: number, value: number): void {
    this.vm.process.pwrite(this.device.fd, Uint8Array.of(value), this.#port + register);
  }

  read(register: number): number {
    const into = new Uint8Array(1);
    this.vm.process.pread(this.device.fd, into, this.#port + register);
    return into[0]!;
  }
}

/** A guest's driver of the port, which sends a text to itself. It reads only when an interrupt has said that there is something. */
class SerialGuest {
  card: Card;
  readonly received: number[] = [];
  interrupts = 0;
  #sent = 0;
  #inFlight = 0;
  /** An interrupt came, and the FIFO has not been seen empty since: no other will come. */
  #busy = false;
  readonly #text: Uint8Array;

  constructor(card: Card, text: string) {
    this.card = card;
    this.#text = new TextEncoder().encode(text);
    card.write(UART.FCR, 1);
    card.write(UART.IER, 1); // received data
  }

  get done(): boolean {
    return this.received.length === this.#text.length;
  }

  send(count: number): void {
    for (let n = 0; n < count && this.#inFlight < ROOM && this.#sent < this.#text.length; n += 1) {
      this.card.write(UART.TX, this.#text[this.#sent]!);
      this.#sent += 1;
      this.#inFlight += 1;
    }
  }

  /** The interrupt handler, where an interrupt says that there is something: it reads at most `count` bytes, and goes on later. */
  receive(count: number): void {
    if (this.card.vm.process.readEventfd(this.card.irq) > 0n) {
      this.interrupts += 1;
      this.#busy = true;
    }
    for (let n = 0; n < count && this.#busy; n += 1) {
      this.#busy = (this.card.read(UART.LSR) & 1) !== 0;
      if (!this.#busy) return;
      this.received.push(this.card.read(UART.RX));
      this.#inFlight -= 1;
    }
  }
}

describe.each([['INTx', VFIO_PCI_INTX_IRQ_INDEX], ['MSI', VFIO_PCI_MSI_IRQ_INDEX]] as const)('a serial port in a VM, %s', (_, index) => {
  it.each([1, 2, 3, 4, 5])('migrates in the middle of a transfer, and not one byte is lost or doubled (seed %i)', (seed) => {
    const [from, to] = [new Card(seed, index), new Card(seed + 100, index)];
    const guest = new SerialGuest(from, TEXT);
    from.vm.run((vcpu) => vcpu);
    const step = (n: number) => {
      guest.send(1 + ((n * 7 + seed) % 13));
      guest.receive(1 + ((n * 5 + seed) % 11));
    };
    for (let n = 0; n < 20; n += 1) step(n);
    let atStop = 0;
    let pending = 0n;
    const result = migrate({
      source: from.vm,
      destination: to.vm,
      link: new Link(),
      place: (vcpu) => vcpu,
      // When the VM stops, half of the text is there, nine bytes are in the FIFO, and the interrupt for them is not taken.
      precopyRound: () => {
        guest.receive(100);
        guest.send(9);
      },
      stopped: () => {
        atStop = guest.received.length;
        // As QEMU's: what the eventfd holds is the guest's, and goes along.
        pending = from.vm.process.readEventfd(from.irq);
        to.vm.process.writeEventfd(to.irq, pending);
      },
      resumed: () => { guest.card = to; },
    });
    expect(result).toEqual({ outcome: 'migrated' });
    expect([atStop > 50, atStop < TEXT.length - 100, pending, from.vm.process.fds]).toEqual([true, true, 1n, []]);
    for (let n = 100; !guest.done && n < 1000; n += 1) step(n);
    expect(new TextDecoder().decode(Uint8Array.from(guest.received))).toBe(TEXT);
    expect(guest.interrupts).toBeGreaterThan(10);
  });
});
