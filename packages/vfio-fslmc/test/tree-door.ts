/**
 * Random programs of creation, assignment, connection and destruction on a Management Complex, half of them with a Linux on top, against a
 * shadow of the tree: after each program all is taken apart, and portals, sessions and interrupts are what they were at the start.
 */
import { ApicMsi, Host, Mmu500Iommu, Random } from '@vsim/vfio-core';
import { pick, same, type Depth, type Door, type Report, type World } from '../../../testing/fuzz.ts';
import { FslMcBus, ManagementComplex, type McPortal } from '../src/index.ts';
import { ASSIGN, McUser } from './mc-user.ts';
import { nameOf, OK, Shadow, type Thing } from './tree-shadow.ts';

const TYPES = ['dpni', 'dpio', 'dpbp', 'dpcon', 'dpmcp', 'dpmac', 'dpci', 'dpseci', 'dpdmai', 'dprtc'];
const PROGRAMS = 20;
const OPERATIONS = 24;

/** A program by its number: what it does is a function of that. */
interface Program {
  readonly program: number;
}

class Trees implements World<Program> {
  readonly counts: Map<string, number> = new Map<string, number>();
  readonly #mc: ManagementComplex;
  readonly #host = new Host();
  /** undefined: there is no kernel. */
  readonly #bus: FslMcBus | undefined;
  readonly #user: McUser;
  readonly #rootPortal: McPortal | undefined;
  readonly #start: string;
  #shadow = new Shadow();
  #said: string[] = [];

  constructor(random: Random) {
    this.#mc = new ManagementComplex(this.#host, { release: '10.36.0' });
    this.#rootPortal = this.#mc.portalOf(this.#mc.root);
    this.#user = new McUser(this.#mc, this.#rootPortal);
    if (random.below(2) === 0) {
      this.#bus = new FslMcBus(this.#host, { mc: this.#mc, iommu: new Mmu500Iommu(this.#host), msi: new ApicMsi(this.#host) });
      same('boot', this.#host.scheduler.call('boot', this.#bus.start()), 0);
    }
    this.#start = this.#left();
  }

  generate(random: Random): Program {
    return { program: random.uint32() };
  }

  check({ program }: Program): Depth {
    const random = new Random(program);
    this.#shadow = new Shadow();
    this.#said = [];
    let done = 0;
    try {
      for (let n = 4 + random.below(OPERATIONS); n > 0; n -= 1) {
        if (this.#operate(random)) done += 1;
        if (random.below(6) === 0) this.#compare();
      }
      this.#compare();
      this.#takeApart();
      same('what is left', this.#left(), this.#start);
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)} after ${this.#said.join('; ')}`, { cause });
    }
    this.#count(this.#bus === undefined ? 'programs without a kernel' : 'programs with Linux');
    return done === 0 ? 'past' : 'succeeded';
  }

  /** One command, by the token of a container; its status has to be the shadow's. @returns whether it succeeded */
  #operate(random: Random): boolean {
    const shadow = this.#shadow;
    const container = pick(random, shadow.containers);
    const type = pick(random, TYPES);
    const one = (): Thing => pick(random, [...shadow.things, ...shadow.containers]);
    const id = (thing: Thing): number => (random.below(12) === 0 ? random.below(20) : thing.id);
    switch (random.below(13)) {
      case 0:
        return this.#createContainer(container);
      case 1:
      case 2:
      case 3:
        return this.#create(container, type);
      case 4: {
        const thing = one();
        return this.#destroy(random.below(3) === 0 ? container : (thing.parent ?? container), thing.type, id(thing));
      }
      case 5:
      case 6:
        return this.#move(random, container, one());
      case 7:
        return random.below(3) === 0 ? this.#disconnect(container, one()) : this.#connect(random.below(2) === 0 ? shadow.root : container, one(), one());
      case 8:
        return this.#moveNumbers(random, container);
      case 9:
        return this.#create(container, 'dpmcp');
      case 10: {
        // Somebody has it, perhaps elsewhere.
        const held = shadow.sessions.length === 0 ? one() : pick(random, shadow.sessions).object;
        return this.#destroy(held.parent ?? container, held.type, held.id);
      }
      default:
        return this.#session(random, one());
    }
  }

  #createContainer(container: Thing): boolean {
    const { id, status } = this.#with(container, (token) => this.#user.createContainer(token));
    const made = this.#shadow.add(container, 'dprc');
    same('the id of a container', [status, id], [OK, made.id]);
    return this.#told(`create ${nameOf(made)} in ${nameOf(container)}`, status, OK);
  }

  #create(container: Thing, type: string): boolean {
    const wanted = this.#shadow.nextId(type);
    const { id, status } = this.#with(container, (token) => this.#user.create(token, type, type === 'dpmac' ? [wanted] : []));
    const made = this.#shadow.add(container, type);
    same(`the id of a ${type}`, [status, id], [OK, made.id]);
    return this.#told(`create ${nameOf(made)} in ${nameOf(container)}`, status, OK);
  }

  #destroy(container: Thing, type: string, id: number): boolean {
    // Who sends it has the container open through the same portal: that holds nothing.
    const status = this.#with(container, (token) => (type === 'dprc' ? this.#user.destroyContainer(token, id) : this.#user.destroy(token, type, id)));
    return this.#told(`destroy ${type}.${id} of ${nameOf(container)}`, status, type === 'dprc' ? this.#shadow.destroyContainer(container, id) : this.#shadow.destroy(container, type, id));
  }

  #move(random: Random, container: Thing, thing: Thing): boolean {
    const back = random.below(3) === 0;
    const by = random.below(4) === 0 ? container : back ? (thing.parent?.parent ?? container) : (thing.parent ?? container);
    const child = back && random.below(2) === 0 ? (thing.parent ?? container) : pick(random, [by, ...this.#shadow.in(by).filter(({ type }) => type === 'dprc')]);
    const plugged = random.below(3) === 0;
    const given = { child: child.id, type: thing.type, number: thing.id, options: ASSIGN.explicit | (plugged ? ASSIGN.plugged : 0) };
    const status = this.#with(by, (token) => (back ? this.#user.unassign(token, given) : this.#user.assign(token, given)));
    return this.#told(`${back ? 'unassign' : 'assign'} ${nameOf(thing)} ${nameOf(child)} by ${nameOf(by)}${plugged ? ' plugged' : ''}`, status, this.#shadow.move(by, child.id, thing.type, thing.id, plugged, back));
  }

  #moveNumbers(random: Random, container: Thing): boolean {
    const back = random.below(3) === 0;
    const child = pick(random, [container, ...this.#shadow.in(container).filter(({ type }) => type === 'dprc')]);
    const count = random.below(9);
    const base = random.below(2) === 0 ? undefined : random.below(66);
    const given = { child: child.id, type: 'mcp', number: base ?? 0, count, options: base === undefined ? 0 : ASSIGN.explicit };
    const status = this.#with(container, (token) => (back ? this.#user.unassign(token, given) : this.#user.assign(token, given)));
    return this.#told(`${back ? 'unassign' : 'assign'} ${count} mcp from ${base ?? 'any'} of ${nameOf(container)} ${nameOf(child)}`, status, this.#shadow.moveNumbers(container, child.id, count, base, back));
  }

  #connect(container: Thing, a: Thing, b: Thing): boolean {
    const status = this.#with(container, (token) => this.#user.connect(token, [a.type, a.id], [b.type, b.id]));
    return this.#told(`connect ${nameOf(a)} ${nameOf(b)} by ${nameOf(container)}`, status, this.#shadow.connect(container, a, b));
  }

  #disconnect(container: Thing, end: Thing): boolean {
    const status = this.#with(container, (token) => this.#user.disconnect(token, [end.type, end.id]));
    return this.#told(`disconnect ${nameOf(end)} by ${nameOf(container)}`, status, this.#shadow.disconnect(container, end));
  }

  /** Opens an object through some portal, or closes what is open. A kernel's own portals are left alone. */
  #session(random: Random, object: Thing): boolean {
    const shadow = this.#shadow;
    if (random.below(3) === 0 && shadow.sessions.length > 0) {
      const session = pick(random, shadow.sessions);
      shadow.sessions = shadow.sessions.filter((other) => other !== session);
      return this.#told(`close ${nameOf(session.object)} at ${nameOf(session.portal)}`, this.#through(session.portal).close(session.token), OK);
    }
    const portals = shadow.things.filter(({ type, plugged }) => (type === 'dpmcp' || type === 'dprc') && (this.#bus === undefined || !plugged));
    if (portals.length === 0) return false;
    const portal = pick(random, portals);
    const token = this.#through(portal).open(object.type, object.id);
    const reached = shadow.within(object, shadow.containerOf(portal));
    if (token > 0) shadow.sessions.push({ portal, object, token });
    return this.#told(`open ${nameOf(object)} at ${nameOf(portal)}`, token > 0 ? OK : token, reached ? OK : -6);
  }

  #through(portal: Thing): McUser {
    const object = this.#mc.root.find(portal.type, portal.id);
    return new McUser(this.#mc, object === undefined ? undefined : this.#mc.portalOf(object));
  }

  /** Opens a container through the root's portal, for one command; then the kernel has its turn. */
  #with<T>(container: Thing, run: (token: number) => T): T {
    const token = this.#user.open('dprc', container.id);
    if (token <= 0) throw new Error(`${nameOf(container)} is lost: ${token}`);
    const out = run(token);
    this.#user.close(token);
    this.#host.scheduler.settle();
    return out;
  }

  #told(what: string, status: number, wanted: number): boolean {
    this.#said.push(what);
    this.#count(`status ${wanted}`);
    same(what, status, wanted);
    return status === OK;
  }

  /** What the MC tells of each container, against the shadow; then Linux's devices. */
  #compare(): void {
    const shadow = this.#shadow;
    for (const container of shadow.containers) {
      const told = this.#with(container, (token) => [this.#user.list(token).sort(), this.#user.resources(token, 'mcp')]);
      same(nameOf(container), told, [shadow.in(container).map((thing) => `${nameOf(thing)}${thing.plugged ? ' plugged' : ''}`).sort(), runsOf(container.numbers)]);
      same(`the context of ${nameOf(container)}`, this.#mc.root.find('dprc', container.id)?.icid, container.icid);
    }
    for (const thing of shadow.things) {
      const object = this.#mc.root.find(thing.type, thing.id);
      if (thing.type !== 'dprc') same(`the context of ${nameOf(thing)}`, object?.icid, thing.parent?.icid);
      const peer = object === undefined ? undefined : this.#mc.links.peer({ object });
      same(`the peer of ${nameOf(thing)}`, peer?.object.name ?? 'none', shadow.peer(thing) === undefined ? 'none' : nameOf(shadow.peer(thing)!));
    }
    same('sessions of users', this.#sessions(), shadow.sessions.length);
    if (this.#bus !== undefined) this.#compareDevices(this.#bus);
  }

  /** Every object of a container that the kernel's driver has is a device, and no other is. */
  #compareDevices(bus: FslMcBus): void {
    const shadow = this.#shadow;
    const seen: string[] = ['dprc.1'];
    const look = (container: Thing): void => {
      for (const thing of shadow.in(container)) {
        seen.push(nameOf(thing));
        if (thing.type === 'dprc' && thing.plugged) look(thing);
      }
    };
    look(shadow.root);
    same('devices', bus.devices.map(({ name }) => name).sort().join(' '), seen.sort().join(' '));
    for (const device of bus.devices) if (device.parent !== undefined) same(`the container of ${device.name}`, device.parent.name, nameOf(shadow.things.find((thing) => nameOf(thing) === device.name)?.parent ?? shadow.root));
  }

  /** As restool's user would: sessions are closed, objects destroyed, containers from below. */
  #takeApart(): void {
    const shadow = this.#shadow;
    for (const { portal, token } of shadow.sessions) this.#through(portal).close(token);
    shadow.sessions = [];
    for (const thing of [...shadow.things]) if (thing.type !== 'dprc') this.#destroy(thing.parent ?? shadow.root, thing.type, thing.id);
    for (const thing of shadow.in(shadow.root)) this.#destroy(shadow.root, thing.type, thing.id);
  }

  /** Without the kernel's: one for each container that it has. */
  #sessions(): number {
    return this.#mc.handles - (this.#bus?.devices.filter(({ dprc }) => dprc !== undefined).length ?? 0);
  }

  #left(): string {
    const bus = this.#bus;
    return JSON.stringify([
      this.#mc.places,
      this.#mc.handles,
      this.#mc.root.objects.length,
      this.#mc.links.all.length,
      this.#mc.root.pools.ranges('mcp'),
      bus?.devices.map(({ name }) => name),
      bus?.portals,
      bus?.devices.map(({ dprc }) => dprc?.irqs?.size),
      [...(bus?.irqSpace.used ?? [])],
      this.#host.scheduler.threads.length,
    ]);
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

/** `0-3 7-7`. */
function runsOf(numbers: ReadonlySet<number>): string {
  const out: string[] = [];
  for (let at = 0; at < 64; at += 1) {
    if (!numbers.has(at)) continue;
    const first = at;
    while (numbers.has(at + 1)) at += 1;
    out.push(`${first}-${at}`);
  }
  return out.join(' ');
}

export const TREE_DOOR: Door<Program> = {
  name: 'fslmc-tree',
  length: PROGRAMS,
  open: (random) => new Trees(random),
  report: ({ counts }): Report => ({ lines: [[...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name}: ${count}`).join(', ')], unmet: [] }),
};
