/** The kernel's sample parents as modules: what modprobe and delete_module(2) do with them. */
import { MODULE_USED, NO_ENTRY, type Sleeps, type Vfio } from '@vsim/vfio-core';
import { Mbochs, Mdpy, Mtty, type MdevBus, type MdevParent } from '@vsim/mdev';

/** Makes a parent; its parameters are numbers. */
type MakeParent = (bus: MdevBus, vfio: Vfio, count: number | undefined) => MdevParent;

const PARENTS: ReadonlyMap<string, MakeParent> = new Map(Object.entries<MakeParent>({
  mtty: (bus, vfio) => new Mtty(bus, vfio),
  mdpy: (bus, vfio, count) => new Mdpy(bus, vfio, count),
  mbochs: (bus, vfio, count) => new Mbochs(bus, vfio, count),
}));

/** Modules beside the samples that are loaded in every scenario and call vfio. */
const USE_VFIO = ['vfio_iommu_type1', 'vfio_pci_core', 'vfio_pci'];

const PARAMETER = /^count=(-?[0-9]+)$/;

export class SampleModules {
  readonly #bus: MdevBus;
  readonly #vfio: Vfio;
  readonly #loaded = new Map<string, MdevParent>();

  constructor(bus: MdevBus, vfio: Vfio) {
    this.#bus = bus;
    this.#vfio = vfio;
  }

  /** @param args the module's name, then its parameters @returns the exit status of modprobe */
  *load(args: readonly string[]): Sleeps<number> {
    const [name = '', ...parameters] = args;
    const make = PARENTS.get(name);
    const [count] = parameters.map((text) => PARAMETER.exec(text)?.[1]);
    if (make === undefined) return 1;
    if (this.#loaded.has(name)) return 0;
    const parent = make(this.#bus, this.#vfio, count === undefined ? undefined : Number(count));
    const error = yield* parent.register();
    if (error < 0) return 1;
    this.#loaded.set(name, parent);
    return 0;
  }

  /** delete_module(). @returns 0, -ENOENT, or -EAGAIN while it is in use */
  *unload(name: string): Sleeps<number> {
    const { refusals } = this.#bus.host;
    const users = this.users(name);
    if (users === undefined) return refusals.refuse(NO_ENTRY, { path: `/sys/module/${name}` });
    const parent = this.#loaded.get(name);
    if (parent === undefined) return users > 0 ? refusals.refuse(MODULE_USED, { driver: name, users }) : 0;
    const error = yield* parent.unload();
    if (error === 0) this.#loaded.delete(name);
    return error;
  }

  /** How many use a module; undefined: it is not loaded. */
  users(name: string): number | undefined {
    switch (name) {
      case 'mdev':
        return this.#loaded.size;
      case 'vfio':
        return this.#loaded.size + USE_VFIO.length;
      case 'vfio_iommu_type1':
        return [...this.#vfio.containers].filter(({ backend }) => backend !== undefined).length;
      default:
        return this.#loaded.get(name)?.driver.users;
    }
  }
}
