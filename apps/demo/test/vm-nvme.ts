/** A VM whose VMM has a served NVMe controller assigned, over the bus vfio-user, and migrates it to another host. For tests only. */
import { Host, IrqBypassManager, Vfio } from '@vsim/vfio-core';
import { Gic, ItsDriver } from '@vsim/gic-its';
import { VfioUserBus } from '@vsim/vfio-user';
import { Link, migrate, VIRT_MACHINE, VirtualMachine } from '@vsim/vmm';
import { samePlace } from '../src/demo/setup.ts';
import { NvmeQueues, type Done, type NvmeMachine, type NvmeServer } from './remote-nvme.ts';

/** Where the driver's memory begins in the guest's RAM. */
const AT = 0x10_0000;

/** A VM on a host of its own, with the server's device in it. */
function machine(server: NvmeServer) {
  const host = new Host();
  const its = new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 1 }));
  const bus = new VfioUserBus(host, new Vfio(host));
  const device = host.scheduler.call('connect', bus.connect('disk', server.channel));
  if (typeof device === 'number') throw new Error(`connect: ${device}`);
  server.channel.attend(device.session);
  const vm = new VirtualMachine({ host, its, irqBypass: new IrqBypassManager(), groupOf: () => device.iommuGroup?.id ?? -1 }, { vcpus: 1 });
  return { vm, fd: vm.assign('disk', 8).fd };
}

/** The guest of such a VM. It looks for completions without interrupts. */
export class VmNvme implements NvmeMachine {
  readonly base: number = VIRT_MACHINE.ram.base + AT;
  readonly interrupts: boolean = false;
  readonly queues: NvmeQueues;
  #machine: ReturnType<typeof machine>;

  /** @param queues I/O queue pairs, 3 at most */
  constructor(server: NvmeServer, queues: number) {
    this.#machine = machine(server);
    this.#machine.vm.run(samePlace);
    this.queues = new NvmeQueues(this, queues);
    this.queues.bringUp();
  }

  reap(queue: number): readonly Done[] {
    return this.queues.reap(queue);
  }

  store(at: number, bytes: Uint8Array): void {
    this.#machine.vm.memory.writeBytes(AT + at, bytes);
  }

  load(at: number, length: number): Uint8Array {
    return this.#machine.vm.memory.readBytes(AT + at, length);
  }

  register(at: number, value: number): void {
    const { fd, vm } = this.#machine;
    vm.process.pwrite(fd, new Uint8Array(Int32Array.of(value).buffer), at);
  }

  /** @returns 0, or the negative errno with which it was cancelled; then the source goes on */
  migrate(server: NvmeServer, meanwhile: () => void): number {
    const destination = machine(server);
    const result = migrate({ source: this.#machine.vm, destination: destination.vm, link: new Link(), place: samePlace, precopyRound: (round) => { if (round === 0) meanwhile(); } });
    if (result.outcome === 'cancelled') {
      destination.vm.destroy();
      return result.error;
    }
    if (result.outcome !== 'migrated') throw new Error(`${result.phase}: ${result.error}`);
    this.#machine = destination;
    return 0;
  }
}
