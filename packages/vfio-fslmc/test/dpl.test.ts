/** Data path layouts: a Management Complex from one, and one from a Management Complex. */
import { describe, expect, it } from 'vitest';
import { Host } from '@vsim/vfio-core';
import { DplError, ManagementComplex, McContainer, type ManagementComplexInit, type McObject } from '../src/index.ts';
import { compile } from './dtb.ts';
import { McUser } from './mc-user.ts';

const complex = (dpl: string | Uint8Array, init?: ManagementComplexInit) => ManagementComplex.fromDpl(new Host(), dpl, { release: '10.36.0', ...init });

/** What a user of the complex can be told of it, but for the numbers of portals. */
function told(mc: ManagementComplex): unknown {
  const user = new McUser(mc);
  const object = (each: McObject) => {
    const token = user.open(each.type, each.id);
    const attributes = each instanceof McContainer ? each.options : [...user.attributes(token, each.type)].map((byte, i) => (each.type === 'dpio' && i >= 8 && i < 24 ? 0 : byte));
    user.close(token);
    return [each.name, each.parent?.name, each.label, each.plugged, each.icid, each.version, [...each.config], attributes];
  };
  const links = mc.links.all.map((ends) => ends.map(({ object: { name }, interfaceId }) => `${name}.${interfaceId ?? 0}`).sort().join(' '));
  return { objects: mc.root.all.map(object).sort((a, b) => String(a[0]).localeCompare(String(b[0]))), links: links.sort() };
}

/** A layout in the grammar of boards: containers with objects, and connections. */
interface Shape {
  readonly containers: readonly { readonly id: number; readonly parent?: number; readonly options?: readonly string[]; readonly objects: Readonly<Record<string, readonly number[]>> }[];
  readonly fields?: Readonly<Record<string, string>>;
  readonly connections: readonly (readonly [string, string])[];
}

function layout({ containers, fields = {}, connections }: Shape): string {
  const objects = containers.flatMap((container) => Object.entries(container.objects).flatMap(([type, ids]) => ids.map((id) => [type, id] as const)));
  return [
    '/dts-v1/;',
    '/ {',
    'dpl-version = <10>;',
    'containers {',
    ...containers.flatMap(({ id, parent, options = ['DPRC_CFG_OPT_SPAWN_ALLOWED', 'DPRC_CFG_OPT_ALLOC_ALLOWED', 'DPRC_CFG_OPT_IRQ_CFG_ALLOWED'], objects: of }) => [
      `dprc@${id} { compatible = "fsl,dprc"; parent = "${parent === undefined ? 'none' : `dprc@${parent}`}"; options = ${options.map((name) => `"${name}"`).join(', ')}; objects {`,
      ...Object.entries(of).map(([type, ids]) => `obj_set@${type} { type = "${type}"; ids = <${ids.join(' ')}>; };`),
      '}; };',
    ]),
    '};',
    'objects {',
    ...objects.map(([type, id]) => `${type}@${id} { compatible = "fsl,${type}"; ${fields[type] ?? ''} };`),
    '};',
    'connections {',
    ...connections.map(([a, b], i) => `connection@${i + 1} { endpoint1 = "${a}"; endpoint2 = "${b}"; };`),
    '};',
    '};',
  ].join('\n');
}

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
/** A board with 16 MACs and cores; one with a switch and a demultiplexer; one with a container for user space, and one in it. */
const SHAPES: Readonly<Record<string, Shape>> = {
  '16 MACs': {
    containers: [{ id: 1, objects: { dpmac: upTo(16, 1), dpni: upTo(16), dpbp: upTo(16), dpio: upTo(16), dpcon: upTo(64), dpmcp: upTo(35, 1), dpseci: [0], dprtc: [0] } }],
    fields: { dpni: 'type = "DPNI_TYPE_NIC"; num_queues = <16>; num_tcs = <1>;', dpio: 'channel_mode = "DPIO_LOCAL_CHANNEL"; num_priorities = <8>;', dpcon: 'num_priorities = <2>;', dpseci: 'priorities = <1 1 1 1 1 1 1 1>;' },
    connections: upTo(16).map((id) => [`dpni@${id}`, `dpmac@${id + 1}`] as const),
  },
  'a switch': {
    containers: [{ id: 1, objects: { dpmac: upTo(4, 1), dpsw: [0], dpdmux: [0], dpni: upTo(3), dpbp: [0], dpio: [0, 1], dpmcp: upTo(20, 1) } }],
    fields: {
      dpsw: 'num_ifs = <5>; max_vlans = <16>; max_fdbs = <5>; num_fdb_entries = <1024>; fdb_aging_time = <300>; max_fdb_mc_groups = <32>; flooding_cfg = "DPSW_FLOODING_PER_FDB"; broadcast_cfg = "DPSW_BROADCAST_PER_FDB"; options = "DPSW_OPT_CTRL_IF_DIS";',
      dpdmux: 'method = "DPDMUX_METHOD_MAC"; manip = "DPDMUX_MANIP_NONE"; num_ifs = <2>; options = "DPDMUX_OPT_BRIDGE_EN";',
      dpni: 'num_queues = <2>;',
    },
    connections: [['dpsw@0/if@0', 'dpmac@1'], ['dpsw@0/if@1', 'dpmac@2'], ['dpsw@0/if@2', 'dpni@0'], ['dpdmux@0/if@0', 'dpmac@3'], ['dpdmux@0/if@1', 'dpni@1'], ['dpsw@0/if@4', 'dpdmux@0/if@2']],
  },
  'a child container': {
    containers: [
      { id: 1, objects: { dpmac: [1, 2], dpni: [0], dpbp: [0], dpio: [0], dpcon: [0, 1], dpmcp: [1, 2, 5], dpci: [0] } },
      { id: 7, parent: 5, options: ['DPRC_CFG_OPT_AIOP', 'DPRC_CFG_OPT_PL_ALLOWED'], objects: { dpdmai: [0] } },
      { id: 5, parent: 1, options: ['DPRC_CFG_OPT_IRQ_CFG_ALLOWED'], objects: { dpni: [1], dpio: [1], dpmcp: [30], dpci: [1], dpdcei: [0] } },
    ],
    fields: { dpci: 'num_of_priorities = <1>;', dpdmai: 'priorities = <2 2>;', dpni: 'options = "DPNI_OPT_HAS_KEY_MASKING", "DPNI_OPT_SINGLE_SENDER", "0x80000000"; fs_entries = <16>; num_rx_tcs = <2>;' },
    connections: [['dpni@0', 'dpmac@1'], ['dpni@1', 'dpmac@2'], ['dpci@0', 'dpci@1']],
  },
};

describe('a complex from its layout, a layout from its complex', () => {
  it.each(Object.entries(SHAPES))('%s: equal both ways, and from the blob as well [fslmc 60] [fslmc 61]', (_, shape) => {
    const text = layout(shape);
    const mc = complex(text);
    const again = mc.toDpl();
    expect(told(complex(again))).toEqual(told(mc));
    expect(complex(again).toDpl()).toBe(again);
    expect(told(complex(compile(text)))).toEqual(told(mc));
    // Most boards' files leave it out.
    expect(told(complex(text.replaceAll(/compatible = "[^"]*";/g, '')))).toEqual(told(mc));
  });

  it('has ids, options, connections and fields as given; all plugged, contexts in turn [fslmc 60]', () => {
    const mc = complex(layout(SHAPES['a child container']!));
    expect(mc.root.all.map(({ name, plugged, icid }) => `${name} ${plugged ? 'plugged' : ''} ${icid}`)).toEqual([
      ...['dprc.1', 'dpmac.1', 'dpmac.2', 'dpni.0', 'dpbp.0', 'dpio.0', 'dpcon.0', 'dpcon.1', 'dpmcp.1', 'dpmcp.2', 'dpmcp.5', 'dpci.0'].map((name) => `${name} plugged 0`),
      ...['dprc.5', 'dpni.1', 'dpio.1', 'dpmcp.30', 'dpci.1', 'dpdcei.0'].map((name) => `${name} plugged 10`),
      ...['dprc.7', 'dpdmai.0'].map((name) => `${name} plugged 11`),
    ]);
    const [five, seven] = [5, 7].map((id) => mc.root.find('dprc', id));
    expect([mc.root.options, five instanceof McContainer && five.options, seven instanceof McContainer && seven.options, seven?.parent]).toEqual([0x43, 0x40, 0xa0, five]);
    expect([...(mc.root.find('dpni', 1)?.config ?? [])].filter(([name]) => ['options', 'fs_entries', 'num_rx_tcs', 'num_queues'].includes(name))).toEqual([['options', [0x8000_0110]], ['num_queues', [1]], ['num_rx_tcs', [2]], ['fs_entries', [16]]]);
    expect(mc.links.peer({ object: mc.root.find('dpci', 0)! })?.object.name).toBe('dpci.1');
    expect(mc.places).toEqual({ portals: 7, qbman: 2 });
  });

  it('keeps labels where it is asked to: restool writes none', () => {
    const text = layout({ containers: [{ id: 1, objects: { dpni: [0, 1] } }], connections: [] }).replace('obj_set@dpni { type = "dpni"; ids = <0 1>; };', 'obj@7 { obj_name = "dpni@0"; label = "front \\"a\\""; }; obj@8 { obj_name = "dpni@1"; };');
    const mc = complex(text);
    expect(mc.root.objects.map(({ label }) => label)).toEqual(['front "a"', '']);
    expect([complex(mc.toDpl()).root.objects.map(({ label }) => label), told(complex(mc.toDpl({ labels: true })))]).toEqual([['', ''], told(mc)]);
  });

  it('writes objects in the order of types and numbers', () => {
    const names = [...complex(layout(SHAPES['a child container']!)).toDpl().matchAll(/^\t\t(\w+@\d+) \{$/gm)].map(([, name]) => name);
    expect(names.join(' ')).toBe('dprc@1 dprc@5 dprc@7 dpbp@0 dpci@0 dpci@1 dpcon@0 dpcon@1 dpdcei@0 dpdmai@0 dpio@0 dpio@1 dpmac@1 dpmac@2 dpmcp@1 dpmcp@2 dpmcp@5 dpmcp@30 dpni@0 dpni@1');
  });

  it('leaves out a link that a dpci does not tell', () => {
    const text = layout(SHAPES['a child container']!);
    expect([complex(text).toDpl().includes('endpoint1 = "dpci@0"'), complex(text, { choices: { dpciPeer: 'hidden' } }).toDpl().includes('endpoint1 = "dpci@0"')]).toEqual([true, false]);
  });
});

describe('a layout that is wrong names line and node', () => {
  const good = `/dts-v1/;
/ {
	dpl-version = <10>; /* a comment
	of two lines */
	containers {
		dprc@1 {
			compatible = "fsl,dprc"; parent = "none"; options = "DPRC_CFG_OPT_ALLOC_ALLOWED";
			objects {
				obj_set@dpmac { type = "dpmac"; ids = <1 2>; };
				obj@1 { obj_name = "dpni@0"; };
				obj@2 { obj_name = "dpsw@0"; };
			};
		};
	};
	objects {
		dpmac@1 { compatible = "fsl,dpmac"; };
		dpmac@2 { compatible = "fsl,dpmac"; };
		dpni@0 { compatible = "fsl,dpni"; options = ""; num_queues = <1>; }; // another
		dpsw@0 { compatible = "fsl,dpsw"; num_ifs = <2>; };
	};
	connections {
		connection@1 { endpoint1 = "dpni@0"; endpoint2 = "dpmac@1"; };
	};
};
`;
  const wrong: readonly (readonly [what: string, from: string, to: string, line: number | undefined, node: string, message: RegExp])[] = [
    ['version', '<10>', '<9>', 3, '/', /dpl-version: expected <10>, got <9>/],
    ['no version', 'dpl-version = <10>;', '', 2, '/', /expected dpl-version/],
    ['no containers', 'containers {', 'boxes {', 2, '/', /expected containers \{ \}/],
    ['parent', '"none"', '"dprc@9"', 7, '/containers/dprc@1', /parent: expected one container|parent: expected a container that is there/],
    ['parent of another type', '"none"', '"dpni@0"', 7, '/containers/dprc@1', /expected "none" or a container/],
    ['root', 'dprc@1 {', 'dprc@2 {', 6, '/containers/dprc@2', /expected the root container to be dprc@1/],
    ['container', 'dprc@1 {', 'dpni@1 {', 6, '/containers/dpni@1', /expected dprc@N/],
    ['field of a container', 'parent = "none";', 'parent = "none"; icid = <3>;', 7, '/containers/dprc@1', /icid: no field of a container/],
    ['option', 'DPRC_CFG_OPT_ALLOC_ALLOWED', 'DPRC_CFG_OPT_ALL', 7, '/containers/dprc@1', /options: no option "DPRC_CFG_OPT_ALL"/],
    ['type of a set', 'type = "dpmac"', 'type = "dpmax"', 9, '/containers/dprc@1/objects/obj_set@dpmac', /type: expected a type of object/],
    ['a set of strings', 'ids = <1 2>', 'ids = "a"', 9, '/containers/dprc@1/objects/obj_set@dpmac', /ids: expected numbers/],
    ['an object that is not there', '<1 2>', '<1 2 3>', 9, '/containers/dprc@1/objects/obj_set@dpmac', /ids: dpmac@3 is not among the objects/],
    ['an object in two places', '<1 2>', '<1 2 2>', 9, '/containers/dprc@1/objects/obj_set@dpmac', /dpmac@2 is in dprc@1 already/],
    ['an object in no container', '<1 2>', '<1>', 17, '/objects/dpmac@2', /in no container/],
    ['entry', 'obj@1 {', 'thing@1 {', 10, '/containers/dprc@1/objects/thing@1', /expected obj_set@TYPE or obj@N/],
    ['name', 'obj_name = "dpni@0"', 'obj_name = "dpni.0"', 10, '/containers/dprc@1/objects/obj@1', /obj_name: expected TYPE@ID, got "dpni.0"/],
    ['compatible', '"fsl,dpni"', '"fsl,dpbp"', 18, '/objects/dpni@0', /compatible: expected "fsl,dpni"/],
    ['field of an object', 'num_queues', 'num_kews', 18, '/objects/dpni@0', /num_kews: no field of a dpni/],
    ['value of a field', 'num_queues = <1>', 'num_queues = <300>', 18, '/objects/dpni@0', /"num_queues" expected at most 1 numbers that its command has room for, got 300/],
    ['values of a field', 'num_queues = <1>', 'num_queues = <1 2>', 18, '/objects/dpni@0', /got 1 2/],
    ['empty field', 'num_queues = <1>', 'num_queues', 18, '/objects/dpni@0', /num_queues: expected numbers/],
    ['name of a value', 'num_ifs = <2>;', 'flooding_cfg = "NO";', 19, '/objects/dpsw@0', /flooding_cfg: expected one of DPSW_FLOODING_PER_VLAN/],
    ['number', '<2>;', '<x>;', 19, '/objects/dpsw@0', /num_ifs: expected a number of 32 bits, got x/],
    ['big number', '<2>;', '<0x100000000>;', 19, '/objects/dpsw@0', /expected a number of 32 bits/],
    ['endpoint', '"dpmac@1"', '"dpmac@1/x"', 22, '/connections/connection@1', /endpoint2: expected TYPE@ID or TYPE@ID\/if@N/],
    ['an end that is not there', '"dpmac@1"', '"dpmac@3"', 22, '/connections/connection@1', /dpmac@3 is not there/],
    ['an interface that is not there', '"dpmac@1"', '"dpsw@0/if@2"', 22, '/connections/connection@1', /dpsw@0 has no interface 2/],
    ['a taken end', '"dpmac@1"; };', '"dpmac@1"; }; connection@2 { endpoint1 = "dpmac@1"; endpoint2 = "dpmac@2"; };', 22, '/connections/connection@2', /an end is connected already/],
    ['a node twice', 'dpmac@2 {', 'dpmac@1 {', 17, '/objects', /dpmac@1 is there twice/],
    ['a property twice', 'options = "";', 'num_queues = <1>;', 18, '/objects/dpni@0', /num_queues is there twice/],
    ['an end of a node', '"fsl,dpmac"; };\n\t\tdpmac@2', '"fsl,dpmac"; }\n\t\tdpmac@2', 17, '/objects/dpmac@1', /expected ;, got dpmac@2/],
    ['an end of the text', '};\n};\n', '};\n', 24, '/', /expected a name, got the end of the text/],
    ['a sign', '"";', '&x;', 18, '/', /expected a device tree, got "&"/],
    ['no tree', '/dts-v1/;', 'dts', 1, '/', /expected \/dts-v1\//],
  ];

  it.each(wrong)('%s', (_, from, to, line, node, message) => {
    const text = good.replace(from, to);
    expect(text).not.toBe(good);
    let error: unknown;
    try {
      complex(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(DplError);
    if (!(error instanceof DplError)) return;
    expect([error.line, error.node, error.message]).toEqual([line, node, expect.stringMatching(message)]);
  });

  it('is right before it is made wrong; a blob names the node', () => {
    expect(complex(good).root.objects.length).toBe(4);
    expect(() => complex(compile(good.replace('num_queues', 'num_kews')))).toThrow('/objects/dpni@0: num_kews: no field of a dpni');
    expect(() => complex(new Uint8Array(8))).toThrow('/: not a flattened device tree');
    expect(() => complex(good.replace('<1 2>', '<1 2>'), { choices: { icids: [10, 0] } })).not.toThrow();
    expect(() => complex(layout(SHAPES['a child container']!), { choices: { icids: [10, 1] } })).toThrow(RangeError);
  });
});
