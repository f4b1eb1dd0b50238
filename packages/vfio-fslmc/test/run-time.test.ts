/** Containers and objects made, moved, connected and taken away by command: section 5 of the catalogue fslmc, D22 and D23. */
import { describe, expect, it } from 'vitest';
import { get, Host, set } from '@vsim/vfio-core';
import { ManagementComplex, McContainer, setText as setName, type ManagementComplexInit } from '../src/index.ts';
import { ASSIGN, McUser } from './mc-user.ts';
import { setUp } from './set-up.ts';

const OK = 0;
const [AUTH, CONFIG, NO_RESOURCE, BUSY, UNSUPPORTED, STATE] = [3, 6, 8, 0xa, 0xb, 0xc];

/** A firmware that restool can use, alone. */
function start(init: ManagementComplexInit = {}) {
  const host = new Host();
  const mc = new ManagementComplex(host, { release: '10.36.0', ...init });
  const user = new McUser(mc);
  return { host, mc, user, root: user.open('dprc', 1) };
}

describe('containers made at run time', () => {
  it('have an isolation context, a portal and options of their own, and go again: [fslmc D22] [fslmc D23]', () => {
    const { mc, user, root } = start();
    const before = mc.places;
    expect(user.createContainer(root, { options: 0x47, label: 'DPDK Container' })).toEqual({ status: OK, id: 2, offset: 0x1_0000 });
    expect(user.createContainer(root)).toEqual({ status: OK, id: 3, offset: 0x2_0000 });
    expect(user.list(root)).toEqual(['dprc.2', 'dprc.3']);
    const child = user.open('dprc', 2);
    const attributes = user.attributes(child, 'dprc');
    expect([0, 4, 8, 12].map((at) => get(attributes, [at, 'u32']))).toEqual([2, 10, 0x47, 1]);
    expect([mc.root.options, mc.root.find('dprc', 2)?.label, mc.root.find('dprc', 3)?.icid]).toEqual([0x43, 'DPDK Container', 11]);
    user.close(child);
    expect([user.destroyContainer(root, 2), user.destroyContainer(root, 3), user.destroyContainer(root, 3), user.destroyContainer(root, 1)]).toEqual([OK, OK, CONFIG, CONFIG]);
    expect([user.list(root), mc.places, mc.handles]).toEqual([[], before, 1]);
    // Numbers come again, portals last of all.
    expect(user.createContainer(root)).toEqual({ status: OK, id: 2, offset: 0x3_0000 });
  });

  it('may ask for a context and a portal; a portal that is taken is refused', () => {
    const { mc, user, root } = start();
    expect(user.createContainer(root, { icid: 14, portal: 9 })).toEqual({ status: OK, id: 2, offset: 0x9_0000 });
    expect([user.createContainer(root, { portal: 9 }).status, user.createContainer(root, { portal: 5000 }).status, user.createContainer(root, { icid: 14 }).status]).toEqual([CONFIG, CONFIG, OK]);
    expect(mc.root.objects.map(({ name, icid }) => `${name} ${icid}`)).toEqual(['dprc.2 14', 'dprc.3 14']);
  });

  it('are refused where no context is left', () => {
    const { mc, user, root } = start({ choices: { icids: [10, 2] } });
    expect([user.createContainer(root).status, user.createContainer(root).status, user.createContainer(root).status]).toEqual([OK, OK, NO_RESOURCE]);
    expect([user.list(root), mc.places.portals]).toEqual([['dprc.2', 'dprc.3'], 3]);
  });

  it('give what they did not create to their parent when they go, and take the rest with them', () => {
    const run = (init: ManagementComplexInit) => {
      const { mc, user, root } = start(init);
      user.createContainer(root);
      const child = user.open('dprc', 2);
      user.create(root, 'dpbp');
      user.assign(root, { child: 2, type: 'dpbp', number: 0 });
      user.create(child, 'dpcon');
      user.createContainer(child);
      user.close(child);
      return [user.destroyContainer(root, 2), user.list(root), mc.places.portals];
    };
    expect(run({})).toEqual([OK, ['dpbp.0'], 1]);
    expect(run({ choices: { orphans: 'destroyed' } })).toEqual([OK, [], 1]);
  });

  it('stay while they or what is in them is open from outside, and not for their own portals: [fslmc 55]', () => {
    const { mc, user, root } = start();
    user.createContainer(root);
    const other = mc.root.add({ type: 'dpmcp', id: 1 });
    const child = mc.root.find('dprc', 2)!;
    const inside = new McUser(mc, mc.portalOf(child));
    const token = inside.open('dprc', 2);
    inside.create(token, 'dpmcp');
    const guest = new McUser(mc, mc.portalOf(mc.root.find('dpmcp', 2)!));
    inside.create(token, 'dpni');
    expect([guest.open('dpni', 0) > 0, guest.open('dprc', 2) > 0]).toEqual([true, true]);
    const outside = new McUser(mc, mc.portalOf(other));
    const held = outside.open('dpni', 0);
    expect([user.destroyContainer(root, 2), outside.close(held), mc.handles]).toEqual([BUSY, OK, 4]);
    expect([user.destroyContainer(root, 2), mc.handles, user.list(root)]).toEqual([OK, 1, ['dpmcp.1 plugged']]);
  });

  it('keep what DPRC_SET_LOCKED said, and are refused where they are no child', () => {
    const { mc, user, root } = start();
    user.createContainer(root);
    const lock = (id: number, locked: number) => user.ask(0x16b, 1, root, (bytes) => {
      set(bytes, [0, 'u8'], locked);
      set(bytes, [4, 'u32'], id);
    }).status;
    const child = mc.root.find('dprc', 2);
    if (!(child instanceof McContainer)) throw new Error('no container');
    expect([lock(2, 1), child.locked, lock(2, 0), child.locked, lock(1, 1), lock(3, 1)]).toEqual([OK, true, OK, false, CONFIG, CONFIG]);
  });
});

describe('objects made at run time', () => {
  it('are unplugged, with the lowest number of their type in the whole complex: [fslmc D23] [fslmc 51]', () => {
    const { mc, user, root } = start();
    user.createContainer(root);
    const child = user.open('dprc', 2);
    expect([user.create(root, 'dpbp').id, user.create(child, 'dpbp').id, user.create(child, 'dpmcp').id, user.create(root, 'dpmac', [7]).id]).toEqual([0, 1, 1, 7]);
    expect([user.create(root, 'dpmac', [7]).status, user.destroy(root, 'dpbp', 0), user.create(child, 'dpbp').id]).toEqual([CONFIG, OK, 0]);
    expect([user.list(root), user.list(child)]).toEqual([['dprc.2', 'dpmac.7'], ['dpbp.1', 'dpmcp.1', 'dpbp.0']]);
    expect(start({ choices: { created: 'plugged' } }).user.create(1, 'dpbp').status).toBe(OK);
    expect(mc.root.find('dpmcp', 1)?.icid).toBe(10);
  });

  it('may be plugged at once, by choice of the firmware', () => {
    const { user, root } = start({ choices: { created: 'plugged' } });
    user.createContainer(root);
    user.create(root, 'dpbp');
    expect(user.list(root)).toEqual(['dprc.2 plugged', 'dpbp.0 plugged']);
  });

  it('are refused without a container’s token, in a version to come, and where nothing is left', () => {
    const { mc, user, root } = start();
    user.create(root, 'dpni');
    const dpni = user.open('dpni', 0);
    expect([user.create(0, 'dpbp').status, user.create(dpni, 'dpbp').status, user.destroy(dpni, 'dpni', 0), user.create(root, 'dpbp', [], 9).status, user.create(root, 'dpni', [], 8).status]).toEqual([AUTH, AUTH, AUTH, UNSUPPORTED, UNSUPPORTED]);
    expect([user.create(root, 'dpbp', [], 0).status, user.ask(0x905, 1, root).status, user.destroy(root, 'dpni', 1), user.destroy(root, 'dpbp', 0)]).toEqual([UNSUPPORTED, UNSUPPORTED, CONFIG, CONFIG]);
    for (let i = 0; i < 256; i += 1) expect(user.create(root, 'dpio').status).toBe(OK);
    expect([user.create(root, 'dpio').status, mc.places]).toEqual([NO_RESOURCE, { portals: 1, qbman: 256 }]);
    for (let i = 1; i < 1024; i += 1) expect(user.create(root, 'dpmcp').status).toBe(OK);
    expect([user.create(root, 'dpmcp').status, user.createContainer(root).status, user.create(root, 'dpbp').status]).toEqual([NO_RESOURCE, NO_RESOURCE, OK]);
    for (let i = 0; i < 256; i += 1) expect(user.destroy(root, 'dpio', i)).toBe(OK);
    expect(mc.places).toEqual({ portals: 1024, qbman: 0 });
  });

  it('are destroyed by their container alone, with their sessions on the portal of the command; BUSY while another portal has them', () => {
    const { mc, user, root } = start();
    user.createContainer(root);
    const child = user.open('dprc', 2);
    user.create(child, 'dpni');
    const other = new McUser(mc, mc.portalOf(mc.root.find('dprc', 2)!));
    const held = other.open('dpni', 0);
    user.open('dpni', 0);
    expect([user.destroy(root, 'dpni', 0), user.destroy(child, 'dpni', 0), other.close(held), mc.handles]).toEqual([CONFIG, BUSY, OK, 3]);
    expect([user.destroy(child, 'dpni', 0), mc.handles, user.open('dpni', 0)]).toEqual([OK, 2, -6]);
  });

  it('take what was opened through them: a dpmcp [fslmc 55]', () => {
    const { mc, user, root } = start();
    user.create(root, 'dpmcp');
    user.create(root, 'dpni');
    const portal = new McUser(mc, mc.portalOf(mc.root.find('dpmcp', 1)!));
    const [dpmcp, dpni] = [portal.open('dpmcp', 1), portal.open('dpni', 0)];
    expect([dpmcp > 0, dpni > 0, mc.handles, user.destroy(root, 'dpmcp', 1), mc.handles, portal.close(dpni)]).toEqual([true, true, 3, OK, 1, -13]);
    // Its portal answers nobody any more.
    expect([mc.places.portals, user.destroy(root, 'dpni', 0)]).toEqual([1, OK]);
  });

  it('tell what they were made with: dpni, dpio, dpcon, dpbp', () => {
    const { user, root } = start();
    user.create(root, 'dpni', [0x10, 3, 0, 0x80, 8, 8, 0, 0, 16, 0, 64, 0, 1, 0, 0, 0, 16]);
    const dpni = user.attributes(user.open('dpni', 0), 'dpni');
    // As restool was told in flow.
    expect([...dpni.subarray(0, 21)]).toEqual([0x10, 3, 0, 0x80, 8, 8, 16, 8, 16, 0, 64, 0, 1, 0, 0, 0, 24, 56, 4, 0x21, 16]);
    user.create(root, 'dpio', [0, 0, 0, 0, 2]);
    const dpio = user.attributes(user.open('dpio', 0), 'dpio');
    expect([[...dpio.subarray(0, 8)], get(dpio, [8, 'u32']), get(dpio, [16, 'u32']), get(dpio, [24, 'u32']), get(dpio, [32, 'u32'])]).toEqual([[0, 0, 0, 0, 1, 0, 2, 0], 0, 0x1_0000, 0x0500_0000, 700_000_000]);
    user.create(root, 'dpcon', [4]);
    expect([...user.attributes(user.open('dpcon', 0), 'dpcon').subarray(0, 7)]).toEqual([0, 0, 0, 0, 0, 1, 4]);
    user.create(root, 'dpbp');
    expect([...user.attributes(user.open('dpbp', 0), 'dpbp').subarray(0, 8)]).toEqual([0, 0, 1, 0, 0, 0, 0, 0]);
  });

  it('tell what they were made with: dpsw, dpdmux, dpseci, dpci, dpdmai, dpmac, dpmcp', () => {
    const { user, root } = start();
    const made = (type: string, fields: readonly number[], size: number) => {
      const { id } = user.create(root, type, fields);
      return [...user.attributes(user.open(type, id), type).subarray(0, size)];
    };
    expect(made('dpsw', [2, 0, 2, 0, 0, 0x10, 0, 0, 8], 24)).toEqual([2, 0, 2, 1, 8, 0, 1, 0, 0, 4, 44, 1, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0x10, 0]);
    expect(made('dpdmux', [2, 0, 3, 0, 1], 8)).toEqual([2, 0, 3, 0, 0, 0, 1, 0]);
    expect(made('dpseci', [1, 2, 3, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0, 0x60], 17)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0, 0x60]);
    expect([made('dpci', [1], 7), made('dpdmai', [4, 2, 5], 6), made('dpmac', [5], 8)]).toEqual([[0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 2, 4], [6, 2, 5, 0, 0x10, 0x27, 0, 0]]);
    expect(made('dpmcp', [255, 255, 255, 255, 1], 8)).toEqual([1, 0, 0, 0, 1, 0, 0, 0]);
    const dpseci = user.open('dpseci', 0);
    const queue = (index: number) => user.ask(0x197, 1, dpseci, (bytes) => { set(bytes, [5, 'u8'], index); });
    expect([get(queue(2).params, [4, 'u32']), get(queue(2).params, [8, 'u8']), queue(3).status]).toEqual([0x502, 3, CONFIG]);
  });

  it('have queue portals that are plain memory', () => {
    const { host, mc, user, root } = start();
    user.create(root, 'dpio');
    const { memory } = host;
    memory.write32(mc.qbmanBase + 0x100, 0x1234_5678);
    memory.write64(mc.qbmanBase + 0x1_fff8, 1, 2);
    expect([memory.read32(mc.qbmanBase + 0x100), memory.read8(mc.qbmanBase + 0x101), memory.read32(mc.qbmanBase + 0x1_fffc), memory.read32(mc.qbmanBase + 0x1_0100)]).toEqual([0x1234_5678, 0x56, 2, 0]);
    memory.write16(mc.qbmanBase + 0x102, 0xabcd);
    expect(memory.read32(mc.qbmanBase + 0x100)).toBe(0xabcd_5678);
  });

  it('keep a label, an address and a frame length', () => {
    const { mc, user, root } = start();
    user.create(root, 'dpni');
    const label = (id: number) => user.ask(0x161, 1, root, (bytes) => {
      set(bytes, [0, 'u32'], id);
      setName(bytes, 8, 16, 'front');
      setName(bytes, 24, 16, 'dpni');
    }).status;
    const dpni = user.open('dpni', 0);
    expect([label(0), label(7), mc.root.find('dpni', 0)?.label]).toEqual([OK, CONFIG, 'front']);
    expect([...user.ask(0x225, 1, dpni).params.subarray(0, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 2]);
    user.ask(0x224, 1, dpni, (bytes) => { bytes.set([0, 0, 3, 2, 1]); });
    user.ask(0x216, 1, dpni, (bytes) => { set(bytes, [0, 'u16'], 1518); });
    expect([[...user.ask(0x225, 1, dpni).params.subarray(0, 8)], get(user.ask(0x217, 1, dpni).params, [0, 'u16'])]).toEqual([[0, 0, 3, 2, 1, 0, 0, 0], 1518]);
    user.io.reset(dpni);
    expect([user.ask(0x225, 1, dpni).params[2], get(user.ask(0x217, 1, dpni).params, [0, 'u16'])]).toEqual([3, 10_240]);
  });
});

describe('assignment', () => {
  const withChild = () => {
    const made = start();
    made.user.createContainer(made.root);
    made.user.create(made.root, 'dpni');
    return { ...made, child: made.user.open('dprc', 2) };
  };

  it('moves an object that is not plugged to a child and back, and plugs it where it is: [fslmc D23]', () => {
    const { mc, user, root, child } = withChild();
    const plugged = ASSIGN.explicit | ASSIGN.plugged;
    expect(user.assign(root, { child: 2, type: 'dpni', options: plugged })).toBe(OK);
    expect([user.list(root), user.list(child), mc.root.find('dpni', 0)?.icid]).toEqual([['dprc.2'], ['dpni.0 plugged'], 10]);
    // Plugged, it stays; unplugged by its own container, it goes.
    expect([user.unassign(root, { child: 2, type: 'dpni' }), user.assign(child, { child: 2, type: 'dpni' }), user.unassign(root, { child: 2, type: 'dpni' })]).toEqual([STATE, OK, OK]);
    expect([user.list(root), user.list(child), mc.root.find('dpni', 0)?.icid]).toEqual([['dprc.2', 'dpni.0'], [], 0]);
    // What both ends name is the container itself: only the state changes.
    expect([user.assign(root, { child: 1, type: 'dpni', options: plugged }), user.list(root), user.unassign(root, { child: 1, type: 'dpni' }), user.list(root)]).toEqual([OK, ['dprc.2', 'dpni.0 plugged'], OK, ['dprc.2', 'dpni.0']]);
  });

  it('refuses what is not there, and an object that is not named', () => {
    const { user, root, child } = withChild();
    const all = (token: number, given: Parameters<McUser['assign']>[1]) => [user.assign(token, given), user.unassign(token, given)];
    expect(all(root, { child: 9, type: 'dpni' })).toEqual([CONFIG, CONFIG]);
    expect(all(root, { child: 2, type: 'dpni', number: 5 })).toEqual([CONFIG, CONFIG]);
    expect(all(child, { child: 1, type: 'dpni' })).toEqual([CONFIG, CONFIG]);
    expect(all(root, { child: 1, type: 'dpni', options: ASSIGN.plugged })).toEqual([NO_RESOURCE, NO_RESOURCE]);
    expect(user.assign(root, { child: 2, type: 'dprc', number: 2 })).toBe(CONFIG);
    expect(user.assign(0, { child: 2, type: 'dpni' })).toBe(AUTH);
    expect(user.list(root)).toEqual(['dprc.2', 'dpni.0']);
  });

  it('moves a dpmcp with its portal, and a container with all that is in it', () => {
    const { mc, user, root, child } = withChild();
    user.createContainer(root);
    user.create(root, 'dpmcp');
    const portal = mc.portalOf(mc.root.find('dpmcp', 1)!);
    expect([portal?.container.name, user.assign(root, { child: 2, type: 'dpmcp', number: 1 }), portal?.container.name]).toEqual(['dprc.1', OK, 'dprc.2']);
    // Through it, what is outside is no longer there.
    expect([new McUser(mc, portal).open('dpni', 0), new McUser(mc, portal).open('dprc', 2) > 0]).toEqual([-6, true]);
    expect([user.assign(root, { child: 2, type: 'dprc', number: 3 }), user.list(child), mc.root.find('dprc', 3)?.icid]).toEqual([OK, ['dpmcp.1', 'dprc.3'], 11]);
  });

  it('ends sessions of portals that no longer reach the object', () => {
    const { mc, user, root, child } = withChild();
    user.create(root, 'dpmcp');
    const portal = new McUser(mc, mc.portalOf(mc.root.find('dpmcp', 1)!));
    const [dpni, own] = [portal.open('dpni', 0), portal.open('dpmcp', 1)];
    // The root's portal reaches both wherever they are.
    const kept = user.open('dpni', 0);
    expect([user.assign(root, { child: 2, type: 'dpni' }), portal.close(dpni)]).toEqual([OK, OK]);
    const again = portal.open('dpni', 0);
    expect([again > 0, user.assign(root, { child: 2, type: 'dpmcp', number: 1 }), portal.io.reset(own), portal.io.reset(again)]).toEqual([true, OK, 0, 0]);
    expect([user.unassign(root, { child: 2, type: 'dpni' }), portal.io.reset(again), user.io.reset(kept), user.close(child)]).toEqual([OK, -13, 0, OK]);
  });

  it('moves numbers of pools: from a base, aligned, or the lowest', () => {
    const { user, root, child } = withChild();
    expect(user.pools(root)).toEqual(['fq 256', 'bp 64', 'cg 256', 'qpr 64', 'mcp 64', 'swp 32', 'swp-ch 32', 'qd 64', 'kp.wr0.ctlui 256', 'prp.wr0.ctlui 16']);
    expect([user.resources(root, 'mcp'), user.resources(root, 'fq'), user.resources(child, 'mcp')]).toEqual(['0-63', '1024-1279', '']);
    expect([
      user.assign(root, { child: 2, type: 'mcp', options: 0, count: 2 }),
      user.assign(root, { child: 2, type: 'mcp', options: ASSIGN.explicit, count: 4, number: 10 }),
      user.assign(root, { child: 2, type: 'mcp', options: ASSIGN.aligned, count: 3, number: 8 }),
    ]).toEqual([OK, OK, OK]);
    expect([user.resources(root, 'mcp'), user.resources(child, 'mcp'), user.pools(child)[4]]).toEqual(['2-9 14-15 19-63', '0-1 10-13 16-18', 'mcp 9']);
    expect([
      user.assign(root, { child: 2, type: 'mcp', options: 0, count: 60 }),
      user.assign(root, { child: 2, type: 'mcp', options: ASSIGN.explicit, count: 2, number: 9 }),
      user.assign(root, { child: 2, type: 'mcp', options: 0, count: 0 }),
      user.assign(root, { child: 2, type: 'nothing', options: 0, count: 1 }),
    ]).toEqual([NO_RESOURCE, NO_RESOURCE, NO_RESOURCE, NO_RESOURCE]);
    expect([user.unassign(root, { child: 2, type: 'mcp', options: ASSIGN.explicit, count: 4, number: 10 }), user.resources(root, 'mcp')]).toEqual([OK, '2-15 19-63']);
    user.close(child);
    // The rest comes back with the container.
    expect([user.destroyContainer(root, 2), user.resources(root, 'mcp')]).toEqual([OK, '0-63']);
  });
});

describe('connection', () => {
  it('links any two free ends below a container, and refuses others: [fslmc D23]', () => {
    const { mc, user, root } = start();
    user.createContainer(root);
    const child = user.open('dprc', 2);
    user.create(child, 'dpni');
    user.create(root, 'dpmac', [3]);
    user.create(root, 'dpsw', [2]);
    user.create(root, 'dpdmux', [1, 0, 2]);
    expect(user.connect(root, ['dpni', 0], ['dpmac', 3])).toBe(OK);
    expect([user.connect(root, ['dpmac', 3], ['dpsw', 0]), user.connect(root, ['dpsw', 0], ['dpsw', 0])]).toEqual([STATE, STATE]);
    expect([user.connect(root, ['dpni', 9], ['dpsw', 0]), user.connect(root, ['dpsw', 0, 2], ['dpdmux', 0]), user.connect(root, ['dpdmux', 0, 3], ['dpsw', 0])]).toEqual([CONFIG, CONFIG, CONFIG]);
    expect([user.connect(child, ['dpsw', 0], ['dpsw', 0, 1]), user.connect(root, ['dprc', 2], ['dpsw', 0])]).toEqual([CONFIG, CONFIG]);
    expect([user.connect(root, ['dpsw', 0, 1], ['dpdmux', 0, 2]), user.io.connection(root, { type: 'dpdmux', id: 0 }, 2)]).toEqual([OK, { type: 'dpsw', id: 0, interfaceId: 1, up: false }]);
    expect([user.disconnect(root, ['dpmac', 3]), user.disconnect(root, ['dpni', 0]), user.disconnect(root, ['dpni', 9])]).toEqual([OK, STATE, CONFIG]);
    expect([user.destroy(root, 'dpsw', 0), user.io.connection(root, { type: 'dpdmux', id: 0 }, 2), mc.links.all]).toEqual([OK, -107, []]);
  });

  it('is up when both ends are enabled: a dpni and a dpci tell of it', () => {
    const { user, root } = start();
    for (const type of ['dpni', 'dpni', 'dpci', 'dpci']) {
      const { id } = user.create(root, type, type === 'dpci' ? [2] : []);
      user.assign(root, { child: 1, type, number: id, options: ASSIGN.explicit | ASSIGN.plugged });
    }
    const [a, b, c, d] = [['dpni', 0], ['dpni', 1], ['dpci', 0], ['dpci', 1]].map(([type, id]) => user.open(String(type), Number(id)));
    const link = () => [...user.ask(0x215, 2, a!).params.subarray(4, 12)];
    const peer = (token: number) => [get(user.ask(0x0e2, 1, token).params, [0, 's32']), get(user.ask(0x0e2, 1, token).params, [4, 'u8'])];
    expect([link(), peer(c!)]).toEqual([[0, 0, 0, 0, 0, 0, 0, 0], [-1, 0]]);
    user.connect(root, ['dpni', 0], ['dpni', 1]);
    user.connect(root, ['dpci', 0], ['dpci', 1]);
    for (const token of [a, b, c, d]) user.ask(0x002, 1, token!);
    expect([link(), peer(c!), user.ask(0x0e1, 1, d!).params[0]]).toEqual([[1, 0, 0, 0, 0x10, 0x27, 0, 0], [1, 2], 1]);
  });
});

describe('interrupts of changes, and what Linux makes of them', () => {
  /** What a container's interrupt has gathered since it was asked last. */
  const causes = (user: McUser, token: number) => {
    const status = user.io.irqStatus(token, 0);
    user.io.clearIrqStatus(token, 0, 0xffff_ffff);
    return status;
  };

  it('tell a creation, a removal, an assignment and a plugged state: [fslmc 50]', () => {
    const { user, root } = start();
    user.createContainer(root);
    const child = user.open('dprc', 2);
    const said: number[][] = [];
    const look = () => said.push([causes(user, root), causes(user, child)]);
    look();
    user.create(child, 'dpni');
    look();
    user.assign(child, { child: 2, type: 'dpni', options: ASSIGN.explicit | ASSIGN.plugged });
    look();
    user.assign(child, { child: 2, type: 'dpni' });
    look();
    user.unassign(root, { child: 2, type: 'dpni' });
    look();
    user.assign(root, { child: 2, type: 'dpni', options: ASSIGN.explicit | ASSIGN.plugged });
    look();
    user.destroy(child, 'dpni', 0);
    look();
    user.close(child);
    user.destroyContainer(root, 2);
    expect([said, causes(user, root)]).toEqual([[[0x41, 0], [0, 0x41], [0, 1], [0, 2], [1, 2], [2, 1], [0, 0x22]], 0x22]);
  });

  it('have a container that was made be a device without driver: [fslmc 51] [fslmc 50]', () => {
    const { bus, host, mc, store } = setUp({ release: '10.36.0' });
    const user = new McUser(mc);
    const root = user.open('dprc', 1);
    user.createContainer(root);
    host.scheduler.settle();
    expect(bus.device('dprc.3')?.driverName).toBeUndefined();
    // It goes to vfio-fsl-mc without an unbind before.
    store('devices/dprc.3/driver_override', 'vfio-fsl-mc');
    expect([store('drivers/vfio-fsl-mc/bind', 'dprc.3'), bus.device('dprc.3')?.driverName]).toEqual([6, 'vfio-fsl-mc']);
  });

  it('have a plugged dpmcp of the root go into the allocator’s pool, and an unplugged one out of it: [fslmc 52]', () => {
    const { bus, host, mc } = setUp({ release: '10.36.0' });
    const user = new McUser(mc);
    const root = user.open('dprc', 1);
    const driver = () => {
      host.scheduler.settle();
      return [bus.device('dpmcp.1')?.driverName, bus.root?.dprc?.pool('dpmcp')?.size];
    };
    const seen = [driver()];
    for (const options of [ASSIGN.explicit, ASSIGN.explicit | ASSIGN.plugged, ASSIGN.explicit]) {
      if (seen.length === 1) user.create(root, 'dpmcp');
      else user.assign(root, { child: 1, type: 'dpmcp', number: 1, options });
      seen.push(driver());
    }
    expect(seen).toEqual([[undefined, 0], [undefined, 0], ['fsl_mc_allocator', 1], [undefined, 0]]);
  });
});
