/** The kernel's sample parents as modules: what modprobe and delete_module(2) do with them. */
import { EAGAIN, ENOENT, type Sleeps, type Vfio } from '@vsim/vfio-core';
import { Mbochs, Mdpy, Mtty, type MdevBus, type MdevParent } from '@vsim/mdev';

/** Makes a parent; its parameters are numbers. */
type MakeParent = (bus: MdevBus, vfio: Vfio, count: number | undefined) => MdevParent;

const PARENTS: ReadonlyMap<string, MakeParent> = new Map(Object.entries<MakeParent>({
  mtty: (bus, vfio) => new Mtty(bus, vfio),
  mdpy: (bus, vfio, count) => new Mdpy(bus, vfio, count),
  mbochs: (bus, vfio, count) => new Mbochs(bus, vfio, count),
}));

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
    if (name === 'mdev') return this.#loaded.size > 0 ? -EAGAIN : 0;
    const parent = this.#loaded.get(name);
    if (parent === undefined) return -ENOENT;
    if (parent.driver.users > 0) return -EAGAIN;
    this.#loaded.delete(name);
    yield* parent.unregister();
    return 0;
  }
}
