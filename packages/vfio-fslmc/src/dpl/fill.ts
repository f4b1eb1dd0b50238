/** A Management Complex as its layout has it: ids, options and labels as given, all objects plugged; ICIDs and portals are the next ones. */
import { McContainer } from '../mc/mc-container.ts';
import type { Connected } from '../mc/link-commands.ts';
import { hasInterface, type McEndpoint } from '../mc/links.ts';
import type { Layout, LayoutEnd } from './layout.ts';

/** A firmware as a layout fills it. */
export interface Filled extends Connected {
  readonly root: McContainer;
  /** The next ICID; undefined where none is left. */
  freeIcid(): number | undefined;
}

/** @throws DplError where an end of a connection is not there or taken; RangeError where no portal or ICID is left */
export function fillFromLayout(mc: Filled, { containers, connections }: Layout): void {
  for (const { id, parent, options, objects } of containers) {
    const container = parent === undefined ? mc.root : addContainer(mc, id, parent, options);
    for (const { type, id: object, label, config } of objects) container.add({ type, id: object, label, config });
  }
  for (const { ends: [first, second], fail } of connections) {
    const [a, b] = [endpoint(mc, first, fail), endpoint(mc, second, fail)];
    if (!mc.links.canConnect(a, b)) fail('an end is connected already');
    mc.links.connect(a, b);
  }
}

function addContainer(mc: Filled, id: number, parent: number, options: number): McContainer {
  const above = mc.root.find('dprc', parent);
  const icid = mc.freeIcid();
  if (!(above instanceof McContainer) || icid === undefined) throw new RangeError(`"dpl" expected no more containers than there are isolation contexts, got dprc@${id}`);
  return above.addContainer({ id, icid, options });
}

function endpoint(mc: Filled, { type, id, interfaceId }: LayoutEnd, fail: (what: string) => never): McEndpoint {
  const object = mc.root.find(type, id);
  if (object === undefined) return fail(`${type}@${id} is not there`);
  const end = { object, interfaceId };
  return hasInterface(end) ? end : fail(`${type}@${id} has no interface ${interfaceId}`);
}
