/**
 * Runs an input of random migrations (migration-inputs.ts), and says what was lost, doubled or wrong. A migration that is cancelled is followed by
 * one of the same source. The ledger is the devices' and the guest's own (device-book.ts). For tests only.
 */
import { EACCES, errnoName, getMigrationState, MIG_STATE, Random, setMigrationState, type MigrationResult, type Phase } from '@vsim/vfio-core';
import { implementationChoices, IRQFD_INJECT, type MigrationSwitches } from '@vsim/gic-its';
import { COMMIT, Link, lpiOf, migrate, PHASES } from '@vsim/vmm';
import { lineName } from '../src/demo/ledger.ts';
import { bootVm, buildHost, countTaken, guestDeviceOf, incomingVm, ringOf, samePlace, vectors, type GuestVm, type Takings } from '../src/demo/setup.ts';
import { Traffic } from '../src/demo/traffic.ts';
import { TICKER_VECTORS } from '../src/devices/ticker.ts';
import type { ArmHost } from '../src/hosts/arm-host.ts';
import { BookTicker, DeviceBook } from './device-book.ts';
import { ArmedFault, type End } from './migration-faults.ts';
import type { HostKind, Migration, MigrationsInput, Tick } from './migration-inputs.ts';

/** Steps of traffic after a migration. */
const AFTER = 30;

/** What became of the interrupts and of the machines. */
export interface Verdict {
  /** Lines, once for each interrupt. */
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  /** What else is not as it has to be, migrations by their number. */
  readonly wrong: readonly string[];
  /** What was counted, by name. */
  readonly counts: ReadonlyMap<string, number>;
  readonly results: readonly MigrationResult[];
}

/** Runs an input; `switches` are patches that all hosts do without. */
export function runMigrations(input: MigrationsInput, switches: Partial<MigrationSwitches> = {}): Verdict {
  return new Run(input, switches).run();
}

class Run {
  readonly #input: MigrationsInput;
  readonly #switches: Partial<MigrationSwitches>;
  readonly #book = new DeviceBook();
  readonly #traffic: Traffic;
  readonly #random: Random;
  readonly #lost: string[] = [];
  readonly #wrong: string[] = [];
  readonly #counts = new Map<string, number>();
  readonly #results: MigrationResult[] = [];
  /** LPIs that the guest has disabled: slot and vector. */
  readonly #disabled: (readonly [slot: number, vector: number])[] = [];
  #here: GuestVm;
  #kind: HostKind;
  #hosts = 0;
  #migration = 0;

  constructor(input: MigrationsInput, switches: Partial<MigrationSwitches>) {
    this.#input = input;
    this.#switches = switches;
    this.#kind = input.from;
    this.#here = this.#made(input.from, input.devices, (host, takings) => bootVm(host, takings, input.vcpus));
    setLive(this.#here.vm.host, true);
    this.#random = new Random(input.seed);
    this.#traffic = new Traffic(this.#random, this.#book, this.#here.vm, input.rate);
  }

  run(): Verdict {
    const { instant, migrations } = this.#input;
    this.#traffic.run(instant);
    for (const migration of migrations) {
      this.#migration += 1;
      this.#migrate(migration);
      if (migration.held && this.#migration < migrations.length) continue;
      this.#letGo();
      this.#traffic.run(AFTER);
    }
    this.#letGo();
    this.#same('the counters in guest memory', countTaken(this.#here), this.#book.takings);
    for (const [slot, device] of this.#here.vm.devices.entries()) {
      for (const vector of vectors()) this.#same(`the ring of ${device.name} vector ${vector}`, ring(this.#here, slot, vector), this.#book.ticks(lineName(device.name, vector)));
    }
    const { raises, coalesced, takings, doubled } = this.#book;
    for (const [name, count] of [['raised', raises], ['coalesced', coalesced], ['delivered', takings], ['lost', this.#lost.length], ['doubled', doubled.length]] as const) this.#count(name, count);
    return { lost: this.#lost, doubled, wrong: this.#wrong, counts: this.#counts, results: this.#results };
  }

  #migrate(migration: Migration): void {
    const { fault, to } = migration;
    const { vcpus, devices } = this.#input;
    const source = this.#here;
    const { vm } = source;
    const other = fault.kind === 'machine' ? fault.more : undefined;
    const destination = this.#made(to, devices + (other === 'devices' ? 1 : 0), (host, takings) => incomingVm(host, takings, vcpus + (other === 'vcpus' ? 1 : 0)));
    const armed = new ArmedFault(fault, vm, destination.vm);
    const { scheduler } = vm.host.host;
    const result = migrate({
      source: vm,
      destination: destination.vm,
      link: new Link(),
      place: samePlace,
      precopyRound: () => { this.#round(migration); },
      progress: (phase) => {
        armed.progress(phase);
        if (phase === 'stop-devices' && migration.inFlight) {
          scheduler.stopAt(IRQFD_INJECT);
          this.#book.workersHeld();
          this.#traffic.tickInFlight();
        }
        if (phase === 'drain-irqfds') scheduler.release(IRQFD_INJECT);
        if (phase === 'save-registers') this.#book.deviceSaved();
        for (const tick of migration.ticks) if (tick.phase === phase) this.#tick(tick);
        if (phase === 'stop-devices') this.#countAlone();
        if (phase === 'run') {
          setLive(vm.host, false);
          setLive(destination.vm.host, true);
        }
      },
      resumed: () => {
        this.#traffic.follow(destination.vm);
        // PSTATE is a part of the vCPU.
        for (const vcpu of destination.vm.kvm.vcpus) vcpu.irqsMasked = vm.kvm.vcpus[vcpu.index]?.irqsMasked ?? false;
      },
      transport: (message) => armed.transport(message),
      order: (phases) => armed.order(phases.map((phase) => (phase.name === 'restore-msix' ? this.#handedOver(phase, destination) : phase))),
    });
    scheduler.release(IRQFD_INJECT);
    scheduler.settle();
    this.#results.push(result);
    const committed = result.outcome !== 'cancelled';
    this.#ended(result, armed, committed);
    this.#settled(committed ? destination : source, committed ? source : destination, committed && fault.kind === 'arc');
    if (committed) {
      this.#book.deviceMoved();
      this.#here = destination;
      this.#kind = to;
    }
  }

  /** Between two passes of memory. */
  #round({ steps, stop, move: [device, vector, cpu], disable }: Migration): void {
    const { vm, guest } = this.#here;
    this.#traffic.run(steps);
    if (disable !== undefined) this.#enable(disable, false);
    guest.moveEvent(guestDeviceOf(device % vm.devices.length), vector, cpu % vm.kvm.vcpus.length);
    if (stop === 'piled') {
      this.#traffic.pileUp();
      const { device: id, vector: late } = this.#traffic.inFlight;
      // Its translation is not cached any more.
      guest.moveEvent(id, late, 0);
    }
    if (stop === 'masked') {
      for (const vcpu of vm.kvm.vcpus) vcpu.irqsMasked = true;
      for (let n = this.#random.below(12); n > 0; n -= 1) this.#tick({ device: this.#random.below(3), vector: this.#random.below(TICKER_VECTORS) });
    }
  }

  /** The guest enables or disables an LPI. */
  #enable([device, vector]: readonly [device: number, vector: number], enabled: boolean): void {
    const { vm, guest } = this.#here;
    const slot = device % vm.devices.length;
    if (!enabled) this.#disabled.push([slot, vector]);
    guest.enableEvent(slot, guestDeviceOf(slot), vector, enabled);
  }

  #tick({ device, vector }: Pick<Tick, 'device' | 'vector'>): void {
    const { host } = this.#here.vm;
    this.#traffic.tick(host, host.tickers[device % host.tickers.length]!.name, vector);
  }

  /** The vCPUs have stopped: is an interrupt pending in a VPT, and nowhere else? */
  #countAlone(): void {
    const { vm } = this.#here;
    let alone = 0;
    for (const [slot, device] of vm.devices.entries()) {
      for (const vector of vectors()) {
        if (!this.#book.isPending(lineName(device.name, vector))) continue;
        const lpi = lpiOf(slot, vector);
        const irq = vm.kvm.lpis.find(lpi);
        const vpe = irq?.target?.vpe;
        if (irq?.hw !== true || vpe === undefined || irq.pendingLatch || irq.queuedOn !== undefined || device.isPending(vector)) continue;
        // GICv4.0 has all of it in memory while the vPE is not resident.
        const byte = vm.host.host.memory.read8(vpe.vptAddress + (lpi >>> 3));
        if (vm.host.gic.vpe(vpe.vpeid)?.lpis.test(lpi) ?? (byte & (1 << (lpi & 7))) !== 0) alone += 1;
      }
    }
    if (alone > 0) this.#count('in a VPT alone');
    this.#count('interrupts in a VPT alone', alone);
  }

  /** Forwarding hands what is latched over to the hardware: an INT for each, on the command queue. */
  #handedOver(phase: Phase, { vm }: GuestVm): Phase {
    return {
      ...phase,
      run: () => {
        const latched = [...vm.kvm.lpis.all()].filter(({ pendingLatch, hw }) => pendingLatch && !hw);
        const commands: string[] = [];
        const stop = vm.host.host.trace.listen(({ id, fields }) => {
          if (id === 'gic/command' && 'name' in fields) commands.push(String(fields.name));
        });
        // Of plain calls, which do not sleep.
        const result = phase.run();
        stop();
        const due = latched.filter(({ hw }) => hw).length;
        this.#same('INTs for what was latched when it was forwarded', commands.filter((name) => name === 'INT').length, due);
        return result;
      },
    };
  }

  /** The outcome is that of the fault, if it fired; else a VM with VLPIs leaves no GICv4.0, and any other migrates. */
  #ended(result: MigrationResult, armed: ArmedFault, committed: boolean): void {
    const { kind } = armed.fault;
    const end: End | undefined = result.outcome === 'migrated' ? undefined : result;
    const due = armed.ended(end);
    armed.disarm();
    this.#count('migrations');
    if (kind !== 'none') this.#count(`armed ${kind}`);
    if (due !== undefined) this.#count(`fired ${kind}`);
    if (end !== undefined) this.#count(`${committed ? 'error after the commit' : 'abort'} ${end.phase}`);
    const wanted = due ?? (this.#kind.gic === 'gicv4' ? { phase: 'save-its-tables', error: -EACCES } : undefined);
    const told = (at: End | undefined): string => (at === undefined ? 'migrated' : `${at.phase} ${errnoName(at.error)}`);
    this.#same('the outcome', told(end), told(wanted));
    this.#same('the side of the commit point', committed, wanted === undefined || PHASES.findIndex((name) => name === wanted.phase) > PHASES.indexOf(COMMIT));
  }

  /** One side runs, with all of its devices; the other is gone, and has kept nothing. @param refused a device did not start there */
  #settled(runs: GuestVm, gone: GuestVm, refused: boolean): void {
    this.#same('vCPUs that run', runs.vm.kvm.vcpus.filter(({ state }) => state !== 'stopped').length, this.#input.vcpus);
    this.#same('vCPUs of the other side that run', gone.vm.kvm.vcpus.filter(({ state }) => state !== 'stopped').length, 0);
    const { process, devices } = runs.vm;
    const still = devices.filter(({ fd }) => getMigrationState(process, fd) !== MIG_STATE.RUNNING);
    this.#same('devices that stand still', still.length, refused ? 1 : 0);
    // The firmware refuses once.
    for (const { fd } of still) setMigrationState(process, fd, MIG_STATE.RUNNING);
    if (gone.vm.devices.length > 0) gone.vm.destroy();
    this.#same('fds of the other side', gone.vm.process.fds.length, 0);
    for (const { vm } of [runs, gone]) this.#same('threads', vm.host.host.scheduler.threads.length, 0);
  }

  /** All masks are taken away: what is pending now never comes. */
  #letGo(): void {
    for (const event of this.#disabled.splice(0)) this.#enable(event, true);
    this.#traffic.letGo();
    this.#lost.push(...this.#book.takeLost());
  }

  #made(kind: HostKind, tickers: number, make: (host: ArmHost, takings: Takings) => GuestVm): GuestVm {
    this.#hosts += 1;
    const book = this.#book;
    const host = buildHost({
      seed: this.#input.seed + this.#hosts,
      tickers,
      gic: kind.gic,
      choices: { ...implementationChoices(kind.preset), coherent: kind.coherent, listRegisters: kind.listRegisters },
      switches: this.#switches,
      makeTicker: (on, address) => new BookTicker(on, address, book),
    });
    const places = new Map(host.tickers.flatMap(({ name }, slot) => vectors().map((vector) => [lineName(name, vector), [slot, vector] as const] as const)));
    const side = make(host, {
      delivered: (line) => {
        const [slot, vector] = places.get(line) ?? [0, 0];
        book.taken(line, ring(side, slot, vector), side.vm.kvm.pendingInjections > 0);
      },
    });
    return side;
  }

  #same(what: string, got: number | string | boolean, wanted: number | string | boolean): void {
    if (got !== wanted) this.#wrong.push(`migration ${this.#migration}: ${what}: expected ${wanted}, got ${got}`);
  }

  #count(name: string, by = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + by);
  }
}

function setLive({ tickers }: ArmHost, live: boolean): void {
  for (const ticker of tickers) if (ticker instanceof BookTicker) ticker.live = live;
}

/** The word of a vector in its device's ring, in guest memory. */
function ring({ vm, guest }: GuestVm, slot: number, vector: number): number {
  return vm.kvm.memory.read32(ringOf(guest, slot) + 4 * vector);
}
