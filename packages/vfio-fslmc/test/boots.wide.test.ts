/** Random boots: any contents, IOMMU and device tree, with an MC that refuses, hangs or is slow at any command; containers go to user space and back; then the machine goes down. */
import { ApicMsi, Host, Mmu500Iommu, Process, Random, SmmuV3Iommu, Vfio, type ProfileName } from '@vsim/vfio-core';
import { expect, it } from 'vitest';
import { forSeeds } from '../../../testing/random.ts';
import { FslMcBus, ManagementComplex, VfioFslMcDriver, type McContainer, type McFault } from '../src/index.ts';

const TYPES = ['dpni', 'dpio', 'dpbp', 'dpcon', 'dpmcp', 'dpmac', 'dpseci'];
const RANGES = [{ kind: 'mc-portal', offset: 0, size: 0x400_0000, start: 0x7800_0000 }, { kind: 'qbman', offset: 0, size: 0x200_0000, start: 0x7c00_0000 }] as const;
const DEPTH = 3;

class Boot {
  readonly host: Host;
  readonly mc: ManagementComplex;
  readonly bus: FslMcBus;
  readonly containers: McContainer[] = [];
  readonly #random: Random;
  readonly #root: Process;
  #next = 2;

  constructor(profile: ProfileName, seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.host = new Host({ profile });
    this.mc = new ManagementComplex(this.host, { base: 0x7800_0000, qbmanBase: 0x7c00_0000, apiVersion: this.#pick([[6, 6], [6, 6], [6, 2], [6, 4], [5, 9]]), control: this.#one(20) ? 'none' : undefined });
    if (this.mc.control !== undefined && this.#one(15)) this.mc.control.gsr = random.uint32();
    this.#fill(this.mc.root, 0);
    const iommu = this.#pick(['mmu500', 'mmu500', 'smmuv3', 'none']);
    this.bus = new FslMcBus(this.host, {
      mc: this.mc,
      iommu: iommu === 'none' ? undefined : iommu === 'smmuv3' ? new SmmuV3Iommu(this.host) : new Mmu500Iommu(this.host),
      msi: this.#one(8) ? undefined : new ApicMsi(this.host, { entries: this.#pick([300, 600, 65_536]) }),
      ranges: this.#one(3) ? undefined : RANGES,
      dmaRanges: !this.#one(10),
      msiProperty: this.#one(8) ? 'msi-map' : 'msi-parent',
    });
    this.#root = new Process(this.host, { name: 'root' });
  }

  /** Boots, binds and unbinds what comes, and goes down. */
  run(faults: boolean): void {
    const { host, bus, mc } = this;
    const random = this.#random;
    const stop = faults ? mc.watch({ submitted: () => (this.#one(12) ? this.#fault() : undefined) }) : undefined;
    host.scheduler.call('boot', bus.start());
    host.scheduler.call('modprobe', bus.addDriver(new VfioFslMcDriver(bus, new Vfio(host))));
    for (let n = random.below(12); n > 0; n -= 1) {
      const name = this.#pick([...bus.devices.map((device) => device.name), 'dprc.1', 'dpni.99']);
      const [path, text] = this.#pick([
        [`devices/${name}/driver_override`, this.#pick(['vfio-fsl-mc', '\n'])],
        ['drivers/fsl_mc_dprc/unbind', name],
        ['drivers/vfio-fsl-mc/bind', name],
        ['drivers/vfio-fsl-mc/unbind', name],
        ['drivers/fsl_mc_allocator/unbind', name],
        ['drivers_probe', name],
        ['rescan', '1'],
        ['autorescan', this.#pick(['0', '1'])],
      ] as const);
      host.scheduler.call('write', this.#root.sys.writeFile(`/sys/bus/fsl-mc/${path}`, text));
      const container = this.#pick([mc.root, ...this.containers]);
      if (this.#one(3)) container.add({ type: this.#pick(TYPES), id: 1000 + n, plugged: !this.#one(4) });
      const [object] = container.objects;
      if (this.#one(4) && object !== undefined && object !== mc.root) container.remove(object);
    }
    stop?.();
    host.scheduler.call('shutdown', bus.shutDown());
  }

  /** What nobody may keep. */
  get left(): unknown {
    const { bus, host } = this;
    const ofBus = host.files.lookup('/dev');
    return [bus.devices.length, bus.portals.size, bus.irqSpace.used.size, host.scheduler.threads.length, ofBus?.kind === 'folder' ? [...ofBus.entries.keys()].filter((name) => name.startsWith('dprc')) : []];
  }

  #fill(container: McContainer, depth: number): void {
    for (let n = this.#random.below(6); n > 0; n -= 1) {
      const id = this.#next;
      this.#next += 1;
      if (depth < DEPTH && this.#one(4)) {
        const below = container.addContainer({ id, icid: this.#random.below(4), plugged: !this.#one(5), irqs: this.#random.below(3) });
        this.containers.push(below);
        this.#fill(below, depth + 1);
      } else container.add({ type: this.#pick(TYPES), id, irqs: this.#pick([0, 1, 2, 200]), plugged: !this.#one(5), version: this.#one(6) ? [2, 9] : undefined });
    }
  }

  #fault(): McFault {
    return this.#pick<McFault>([{ status: this.#random.below(14) }, { hangs: true }, { delay: this.#random.below(20) * 1_000_000_000 }, { patch: [[8 + this.#random.below(56), Uint8Array.of(this.#random.below(256))]] }]);
  }

  #one(of: number): boolean {
    return this.#random.below(of) === 0;
  }

  #pick<T>(list: readonly T[]): T {
    const found = list[this.#random.below(list.length)];
    if (found === undefined) throw new RangeError('"list" expected something');
    return found;
  }
}

it.each(['linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'] as const)('on %s a machine that goes down keeps nothing, whatever the MC answered, and an MC that answers well has no session left', (profile) => {
  forSeeds((seed) => {
    for (const faults of [false, true]) {
      const boot = new Boot(profile, seed);
      boot.run(faults);
      expect(boot.left, `faults: ${faults}`).toEqual([0, 0, 0, 0, []]);
      if (!faults) expect(boot.mc.handles).toBe(0);
    }
  }, 2);
}, 60_000);
