import { InterruptTable } from '../irq/interrupt-table.ts';
import { AddressSpace } from '../memory/address-space.ts';
import { PageAllocator } from '../memory/page-allocator.ts';
import type { RamRange } from '../memory/physical-memory.ts';
import { FaultInjection } from './fault-injection.ts';
import { FileTree } from './file-tree.ts';
import { ModuleHelper } from './module-helper.ts';
import { kernelProfile, type KernelProfile, type ProfileName } from './profile.ts';
import { Random } from './random.ts';
import { Refusals } from './reason.ts';
import { Scheduler, type Schedule } from './scheduler.ts';
import { NOT_IN_5_10, SERIES, type SeriesPatch } from './series.ts';
import { Trace } from './trace.ts';
import { VERSION } from './version.ts';
import { WorkQueue } from './work-queue.ts';

/** What a host begins with; all of it may be left out. */
export interface HostInit {
  /** Of everything random in this host, 32 bits. @default 1 */
  readonly seed?: number | undefined;
  /** Which kernel it runs. @default 'linux-6.1' */
  readonly profile?: ProfileName | undefined;
  /** Patches of the series of March 2021 that the kernel is to be without: only linux-5.13, which merged it. @default none */
  readonly without?: readonly SeriesPatch[] | undefined;
  /** Which thread runs next. @default runToBlock */
  readonly schedule?: Schedule | undefined;
  /** The machine's RAM. @default 4 GiB at 0x1_0000_0000 */
  readonly ram?: readonly RamRange[] | undefined;
}

/**
 * A host: one machine with one kernel. What runs in it (buses, IOMMUs, interrupt controllers, drivers, processes) is made with it as first
 * argument; the host itself knows none of them.
 *
 * @example
 * ```ts
 * import { Host } from '@vsim/vfio-core';
 *
 * const host = new Host({ seed: 7, profile: 'linux-6.12' });
 * console.log(host.profile.name, host.scheduler.now); // linux-6.12 0
 * ```
 */
export class Host {
  /** The vsim version this host was made with: see assertSameCore(). */
  readonly version: string = VERSION;
  /** What its kernel does otherwise than others. */
  readonly profile: KernelProfile;
  readonly #without: ReadonlySet<SeriesPatch>;
  /** Its only source of chance. */
  readonly random: Random;
  /** Its threads and its clock. */
  readonly scheduler: Scheduler;
  /** What happened in it. */
  readonly trace: Trace;
  /** What must not happen inside of what asked for it. */
  readonly work: WorkQueue;
  /** Physical addresses: RAM and MMIO. */
  readonly memory: AddressSpace;
  /** The kernel's allocator of RAM pages. */
  readonly pages: PageAllocator;
  /** /dev, /proc and /sys. */
  readonly files: FileTree;
  /** Who has asked for which interrupt. */
  readonly interrupts: InterruptTable;
  /** What loads modules. */
  readonly moduleHelper: ModuleHelper;
  /** Why calls were refused. */
  readonly refusals: Refusals;
  /** What a test makes fail. */
  readonly faults: FaultInjection;

  /**
   * Makes a machine with RAM and a kernel, and nothing else.
   *
   * @throws RangeError for a profile that there is not, RAM that is malformed, or patches that the kernel cannot be without
   */
  constructor(init: HostInit = {}) {
    this.profile = kernelProfile(init.profile ?? 'linux-6.1');
    this.#without = new Set(patchesWithout(this.profile, init.without ?? []));
    this.random = new Random(init.seed ?? 1);
    this.trace = new Trace(() => this.scheduler.now);
    this.work = new WorkQueue(this.trace);
    this.scheduler = new Scheduler(init.schedule, this.work, this.trace);
    this.refusals = new Refusals(this.trace, this.scheduler);
    this.faults = new FaultInjection(this.refusals);
    this.memory = new AddressSpace(init.ram ?? [{ base: 0x1_0000_0000, size: 0x1_0000_0000 }]);
    this.pages = new PageAllocator(this.memory.ram);
    this.files = new FileTree();
    this.interrupts = new InterruptTable(this.files);
    this.moduleHelper = new ModuleHelper(this.files);
  }

  /** Whether the kernel has a patch of the series. */
  has(patch: SeriesPatch): boolean {
    return !this.#without.has(patch);
  }
}

/** @throws RangeError for a patch that there is not, or a kernel that cannot be without one */
function patchesWithout({ name }: KernelProfile, without: readonly SeriesPatch[]): readonly SeriesPatch[] {
  if (without.length > 0 && name !== 'linux-5.13') throw new RangeError(`"without" expected the profile linux-5.13, which merged the series, got ${name}`);
  const unknown = without.find((patch) => !Object.hasOwn(SERIES, patch));
  if (unknown !== undefined) throw new RangeError(`"without" expected patches 1 to 14, got ${String(unknown)}`);
  return name === 'linux-5.10' ? NOT_IN_5_10 : without;
}

/** What a host is made of, or knows by reference: it is of one host. */
export interface PartOfHost {
  /** The host that it is of; undefined for what is of none, or does not tell. */
  readonly host?: Host | undefined;
}

/**
 * Refuses a part of another host, before two machines share what they cannot.
 *
 * @param parameter the caller's name for the part
 * @param told the part, as the author knows it: `the ApicMsi`, `0000:00:02.0`
 * @param whole what it was given to, likewise
 * @throws TypeError that names both
 */
export function assertSameHost(host: Host, part: PartOfHost | undefined, parameter: string, told: string, whole: string): void {
  if (part?.host === undefined || part.host === host) return;
  throw new TypeError(`"${parameter}" expected a part of the host that ${whole} is of, got ${told} of another host`);
}

/**
 * Refuses a host that another copy of @vsim/vfio-core made: its classes would not be the ones that this copy knows.
 *
 * @throws TypeError that names both versions.
 */
export function assertSameCore(host: Host): void {
  if (!(host instanceof Host)) {
    const other: { readonly version?: string } = host;
    throw new TypeError(`"host" expected a Host of this @vsim/vfio-core (${VERSION}), got one of another copy (${other.version ?? 'unknown'})`);
  }
}
