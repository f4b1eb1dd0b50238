/** A door for fuzzers: one user ties eventfds of two devices together, as triggers, ioeventfds and unmasks. Row R6 of docs/robustness.md. */
import {
  POLLIN,
  Process,
  setIrqs,
  setIrqTriggers,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  WORK_WITHOUT_END,
  type ProfileName,
  type Random,
} from '@vsim/vfio-core';
import { pick, same, type Depth, type Door, type World } from '../../../testing/fuzz.ts';
import { createEdu, EDU } from '../src/index.ts';
import { bind, CONFIG, EDU_NAME, eduHost, ioeventfd, open, unmaskBy, write16, write32 } from './edu-host.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const NAMES = [EDU_NAME, '0000:00:03.0'];
const FDS = 4;
/** More works than any chain of so few eventfds has, and more than the kernel's worker does at one go. */
const MOST = 4096;

type Mode = 'none' | 'msi' | 'intx';

interface LoopStep {
  readonly kind: 'none' | 'msi' | 'intx' | 'unmask' | 'ioeventfd' | 'write' | 'raise' | 'acknowledge';
  readonly device: number;
  /** Of the eventfds; -1 takes away. */
  readonly fd: number;
  /** What an ioeventfd writes. */
  readonly value: number;
}

/** What a signal makes the worker do: an unmask, or a store of a value. */
interface ShadowWork {
  readonly device: ShadowDevice;
  readonly value: number | undefined;
}

interface ShadowDevice {
  readonly fd: number;
  mode: Mode;
  trigger: number;
  line: boolean;
  masked: boolean;
}

/** Every call returns. Without a circle each eventfd has the count that the chain gives it, and nothing is told; a circle is told, and ends with its user. */
class Loops implements World<LoopStep> {
  readonly #made;
  #user: Process;
  #fds: readonly number[] = [];
  #devices: readonly ShadowDevice[] = [];
  /** By eventfd, the last one first. */
  #listeners: ShadowWork[][] = [];
  #counts: number[] = [];
  #waiting: ShadowWork[] = [];
  #busy = false;
  #done = 0;

  constructor(random: Random) {
    this.#made = eduHost({ profile: pick(random, PROFILES) });
    this.#made.bus.plug(createEdu(this.#made.host, NAMES[1]!));
    for (const name of NAMES) bind(this.#made.process, name);
    this.#user = this.#start();
  }

  generate(random: Random): LoopStep {
    const kind = pick(random, ['none', 'msi', 'intx', 'unmask', 'ioeventfd', 'ioeventfd', 'ioeventfd', 'ioeventfd', 'write', 'write', 'write', 'raise', 'raise', 'acknowledge'] as const);
    return { kind, device: random.below(NAMES.length), fd: random.below(5) === 0 ? -1 : random.below(FDS), value: 1 << random.below(3) };
  }

  check(step: LoopStep): Depth {
    const device = this.#devices[step.device]!;
    const { fd } = device;
    const before = this.#told;
    this.#done = 0;
    let depth: Depth = 'succeeded';
    switch (step.kind) {
      case 'none':
        this.#disable(device);
        break;
      case 'msi':
      case 'intx':
        if (step.kind === 'intx' && step.fd < 0) return 'refused'; // 5.13 has an oops of its own there
        if (device.mode !== step.kind) this.#disable(device);
        device.mode = step.kind;
        device.trigger = step.fd;
        setIrqTriggers(this.#user, fd, step.kind === 'msi' ? VFIO_PCI_MSI_IRQ_INDEX : VFIO_PCI_INTX_IRQ_INDEX, 0, [this.#fds[step.fd] ?? -1]);
        break;
      case 'unmask':
        if (device.mode !== 'intx') return 'refused';
        this.#forget((work) => work.device === device && work.value === undefined);
        unmaskBy(this.#user, fd, -1);
        if (step.fd < 0) break;
        this.#listeners[step.fd]!.unshift({ device, value: undefined });
        unmaskBy(this.#user, fd, this.#fds[step.fd]!);
        break;
      case 'ioeventfd': {
        const there = this.#listeners.flat().find((work) => work.device === device && work.value === step.value);
        const told = ioeventfd(this.#user, fd, EDU.INTERRUPT_RAISE, 4, BigInt(step.value), this.#fds[step.fd] ?? -1);
        same('IOEVENTFD', told, step.fd < 0 ? (there === undefined ? -19 : 0) : there === undefined ? 0 : -17);
        if (told < 0) return 'past';
        if (step.fd < 0) this.#forget((work) => work === there);
        else this.#listeners[step.fd]!.unshift({ device, value: step.value });
        break;
      }
      case 'write':
        if (step.fd < 0 || this.#listeners[step.fd]!.length === 0) depth = 'refused';
        if (step.fd < 0) break;
        this.#signal(step.fd);
        this.#user.writeEventfd(this.#fds[step.fd]!, 1n);
        break;
      case 'raise':
        this.#raise(device);
        write32(this.#user, fd, EDU.INTERRUPT_RAISE, step.value);
        break;
      case 'acknowledge':
        device.line = false;
        write32(this.#user, fd, EDU.INTERRUPT_ACKNOWLEDGE, 7);
        break;
    }
    this.#compare(before);
    return depth;
  }

  end(): void {
    this.#exit();
  }

  get #told(): number {
    return this.#made.events.filter(({ id }) => id === WORK_WITHOUT_END.id).length;
  }

  #start(): Process {
    const user = new Process(this.#made.host);
    this.#devices = NAMES.map((name, i) => {
      const { device } = open(user, name, i);
      write16(user, device, CONFIG + 4, 6);
      return { fd: device, mode: 'none', trigger: -1, line: false, masked: false };
    });
    this.#fds = Array.from({ length: FDS }, () => user.eventfd());
    this.#listeners = this.#fds.map(() => []);
    this.#counts = this.#fds.map(() => 0);
    this.#waiting = [];
    return user;
  }

  #exit(): void {
    const { host } = this.#made;
    this.#user.exit();
    const before = this.#told;
    host.scheduler.settle();
    same('threads, pages and circles that are left', [host.scheduler.threads.length, host.pages.used, this.#told - before], [0, 0, 0]);
  }

  #compare(before: number): void {
    const circle = this.#done >= MOST;
    same('the circle is told', this.#told > before, circle);
    if (circle) {
      this.#exit();
      this.#user = this.#start();
      return;
    }
    this.#fds.forEach((fd, i) => {
      const count = this.#user.poll([{ fd, events: POLLIN }])[0] === POLLIN ? Number(this.#user.readEventfd(fd)) : 0;
      // From 5.11 on a worker that is called takes the count.
      if (this.#listeners[i]!.length === 0) same(`the count of eventfd ${i}`, count, this.#counts[i]);
      this.#counts[i] = 0;
    });
  }

  #disable(device: ShadowDevice): void {
    if (device.mode !== 'none') setIrqs(this.#user, device.fd, device.mode === 'msi' ? VFIO_PCI_MSI_IRQ_INDEX : VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
    write32(this.#user, device.fd, EDU.INTERRUPT_ACKNOWLEDGE, 7);
    this.#forget((work) => work.device === device && work.value === undefined);
    Object.assign(device, { mode: 'none', trigger: -1, line: false, masked: false });
  }

  #forget(which: (work: ShadowWork) => boolean): void {
    this.#listeners = this.#listeners.map((list) => list.filter((work) => !which(work)));
  }

  // What a signal does

  #signal(fd: number): void {
    this.#counts[fd]! += 1;
    for (const work of this.#listeners[fd]!) if (!this.#waiting.includes(work)) this.#waiting.push(work);
    if (!this.#busy) this.#work();
  }

  #work(): void {
    this.#busy = true;
    for (let next = this.#waiting.shift(); next !== undefined && this.#done < MOST; next = this.#waiting.shift()) {
      this.#done += 1;
      if (next.value !== undefined) this.#raise(next.device);
      else if (next.device.line && next.device.masked) this.#signal(next.device.trigger);
      else next.device.masked = false;
    }
    this.#busy = false;
  }

  #raise(device: ShadowDevice): void {
    if (device.mode !== 'msi') device.line = true;
    if (device.mode === 'intx') {
      if (device.masked) return;
      device.masked = true;
    }
    if (device.mode !== 'none' && device.trigger >= 0) this.#signal(device.trigger);
  }
}

export const LOOPS: Door<LoopStep> = { name: 'eventfd-loops', length: 200, open: (random) => new Loops(random) };
