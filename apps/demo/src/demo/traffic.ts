/** What happens to a running VM: devices tick, vCPUs mask interrupts for a while, wait, move between CPUs; all by chance. */
import type { Random } from '@vsim/vfio-core';
import type { Vcpu } from '@vsim/gic-its';
import type { AssignedDevice, VirtualMachine } from '@vsim/vmm';
import type { ArmHost } from '../hosts/arm-host.ts';
import { TICKER_VECTORS } from '../devices/ticker.ts';
import { lineName, type Ledger } from './ledger.ts';
import { vectors } from './setup.ts';
import type { WorldClock } from './world-clock.ts';

/** The vector that the guest masks in the MSI-X table now and then. */
export const MASKABLE_VECTOR = 2;
/** The vectors of the last ticker that pileUp() leaves out: one that comes while the device stands still, and one just before. */
const KEPT_VECTOR = 1;
const IN_FLIGHT_VECTOR = 3;

/** Virtual ns between two things that happen. */
const STEP_NS = 10_000;

/** Who hears what is raised, and knows what nobody has taken yet. */
export type Raises = Pick<Ledger, 'raised' | 'isPending'>;

export class Traffic {
  readonly #random: Random;
  readonly #ledger: Raises;
  readonly #rate: number;
  readonly #clock: WorldClock | undefined;
  /** The names of each ticker's interrupts: made once, as text takes longer to make than to find. */
  readonly #lines = new Map<string, readonly string[]>();
  #vm: VirtualMachine<ArmHost>;

  /** `rate`: how many of a hundred steps are ticks. `clock`: goes on with each step. */
  constructor(random: Random, ledger: Raises, vm: VirtualMachine<ArmHost>, rate = 50, clock?: WorldClock) {
    this.#random = random;
    this.#ledger = ledger;
    this.#vm = vm;
    this.#rate = rate;
    this.#clock = clock;
  }

  /** The VM has moved. */
  follow(vm: VirtualMachine<ArmHost>): void {
    this.#vm = vm;
  }

  /** `steps` things happen. */
  run(steps: number): void {
    for (let i = 0; i < steps; i += 1) this.#step();
  }

  /** Interrupts are masked in every place there is, and every line but one is raised: nothing of it can be delivered now. */
  pileUp(): void {
    this.letGo(); // nothing may be pending that a mask in the MSI-X table would discard: see #mask()
    for (const vcpu of this.#vm.kvm.vcpus) vcpu.irqsMasked = true;
    for (const device of this.#vm.devices) this.#mask(device);
    for (const { name } of this.#vm.host.tickers) {
      for (let n = 0; n < TICKER_VECTORS; n += 1) {
        if (name !== this.#kept || (n !== KEPT_VECTOR && n !== IN_FLIGHT_VECTOR)) this.tick(this.#vm.host, name, n);
      }
    }
  }

  /** Every mask is taken away: what is pending is delivered. */
  letGo(): void {
    for (const vcpu of this.#vm.kvm.vcpus) this.#unmask(vcpu);
    for (const device of this.#vm.devices) this.#unmaskVector(device);
    this.#settle();
  }

  /** The interrupt that pileUp() has left out comes: the world outside does not stop with the VM. */
  tickKept(): void {
    this.tick(this.#vm.host, this.#kept, KEPT_VECTOR);
  }

  /** An interrupt that stays with software comes as the devices are about to stop: no kernel worker has run when they have. */
  tickInFlight(): void {
    const { tickers } = this.#vm.host;
    this.#ledger.raised(this.#line(this.#kept, IN_FLIGHT_VECTOR));
    tickers.find(({ name }) => name === this.#kept)?.tick(IN_FLIGHT_VECTOR);
  }

  /** Which interrupt tickInFlight() raises, by its DeviceID in the guest. */
  get inFlight(): { readonly device: number; readonly vector: number } {
    return { device: this.#vm.devices.find(({ name }) => name === this.#kept)?.guestDevice ?? 0, vector: IN_FLIGHT_VECTOR };
  }

  get #kept(): string {
    return this.#vm.host.tickers.at(-1)?.name ?? '';
  }

  /** The outside world ticks one vector. */
  tick({ tickers }: ArmHost, name: string, vector: number): void {
    this.#ledger.raised(this.#line(name, vector));
    tickers.find((ticker) => ticker.name === name)?.tick(vector);
    this.#settle();
  }

  #step(): void {
    this.#clock?.pass(STEP_NS);
    const random = this.#random;
    const { kvm, host, devices } = this.#vm;
    if (random.below(100) < this.#rate) {
      const ticker = host.tickers[random.below(host.tickers.length)]!;
      this.tick(host, ticker.name, random.below(TICKER_VECTORS));
      return;
    }
    const vcpu = kvm.vcpus[random.below(kvm.vcpus.length)]!;
    const device = devices[random.below(devices.length)];
    switch (random.below(6)) {
      case 0:
        vcpu.irqsMasked = true;
        return;
      case 1:
        this.#unmask(vcpu);
        return;
      case 2:
        vcpu.wfi();
        return;
      case 3:
        this.#move(vcpu);
        return;
      case 4:
        this.#mask(device);
        return;
      default:
        this.#unmaskVector(device);
        this.#settle();
    }
  }

  /**
   * The guest masks a vector in the MSI-X table, as a driver does that has taken its interrupts: never with one pending, since
   * taking forwarding back discards the VLPI (gic F-V18), on hardware as here.
   */
  #mask(device: AssignedDevice | undefined): void {
    if (device === undefined || device.vectors <= MASKABLE_VECTOR || device.isMasked(MASKABLE_VECTOR)) return;
    if (!this.#ledger.isPending(this.#line(device.name, MASKABLE_VECTOR))) device.maskVector(MASKABLE_VECTOR, true);
  }

  #line(name: string, vector: number): string {
    let lines = this.#lines.get(name);
    if (lines === undefined) {
      lines = vectors().map((n) => lineName(name, n));
      this.#lines.set(name, lines);
    }
    return lines[vector]!;
  }

  #unmaskVector(device: AssignedDevice | undefined): void {
    if (device !== undefined && device.vectors > MASKABLE_VECTOR && device.isMasked(MASKABLE_VECTOR)) device.maskVector(MASKABLE_VECTOR, false);
  }

  #unmask(vcpu: Vcpu): void {
    vcpu.irqsMasked = false;
    vcpu.kick();
  }

  /** The scheduler of the host's kernel puts the vCPU on another CPU: the drawn one, or the next where none runs. */
  #move(vcpu: Vcpu): void {
    const { count } = this.#vm.host.its.cpus;
    const first = this.#random.below(count);
    vcpu.stop();
    for (let n = 0; n < count && vcpu.state !== 'running'; n += 1) vcpu.run((first + n) % count);
  }

  /** Kernel workers run: an irqfd's injection may be waiting. */
  #settle(): void {
    this.#vm.host.host.scheduler.settle();
  }
}
