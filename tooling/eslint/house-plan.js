/**
 * Holds the plan of the house: which room may import which.
 *
 * A room is a folder; what it may import is a list of rooms (a relative import is resolved first) and
 * of package names. The first row whose folder holds the file counts. `$PACKAGE` is the folder of the
 * file's own package. A file that no row holds imports what it likes.
 */
import { isBuiltin } from 'node:module';
import { dirname, relative, resolve, sep } from 'node:path';

const CORE = 'packages/vfio-core';
const CORE_NAME = '@vsim/vfio-core';

/** The spoke that each kit stands on, besides the hub. */
export const KITS = { 'packages/devices': '@vsim/vfio-pci', 'packages/doctor': '@vsim/vfio-pci', 'packages/vmm': '@vsim/gic-its' };

/** Model sources: an allow-list for each room. */
export const SOURCES = [
  { room: `${CORE}/src/uapi`, may: [`${CORE}/src/uapi`] },
  { room: `${CORE}/src/memory`, may: [`${CORE}/src/memory`, `${CORE}/src/uapi`] },
  { room: `${CORE}`, may: ['$PACKAGE/src'] },
  ...Object.entries(KITS).map(([room, spoke]) => ({ room, may: ['$PACKAGE/src', CORE_NAME, spoke] })),
  // The one folder of a package that is for Node alone: sockets and descriptors.
  { room: 'packages/vfio-user/src/node', may: ['$PACKAGE/src', CORE_NAME, 'node:', 'koffi'] },
  { room: 'packages', may: ['$PACKAGE/src', CORE_NAME] },
];

/** Model packages of all rings. */
const PACKAGES = [CORE_NAME, '@vsim/gic-its', '@vsim/mdev', '@vsim/vfio-fslmc', '@vsim/vfio-pci', '@vsim/vfio-platform', '@vsim/vfio-user', ...Object.keys(KITS).map((room) => room.replace('packages/', '@vsim/'))];

/** Apps: all packages; only the command imports other apps, by their entry points; the page has the doctor alone, and a browser. */
export const APPS = [
  { room: 'apps/cli', may: ['$PACKAGE/src', 'node:', ...PACKAGES, '@vsim/conformance', '@vsim/demo', '@vsim/web', '@bufbuild/protobuf', 'commander'] },
  { room: 'apps/web', may: ['$PACKAGE/src', '@vsim/doctor', 'preact'] },
  { room: 'apps', may: ['$PACKAGE/src', 'node:', ...PACKAGES] },
];

/** Tests of the packages: node and the test tools besides, but no other spoke. */
export const TESTS = [
  { room: CORE, may: ['$PACKAGE', 'testing', 'node:', 'vitest', CORE_NAME] },
  ...Object.entries(KITS).map(([room, spoke]) => ({ room, may: ['$PACKAGE', 'testing', 'node:', 'vitest', CORE_NAME, spoke] })),
  { room: 'packages', may: ['$PACKAGE', 'testing', 'node:', 'vitest', CORE_NAME] },
];

export const housePlan = {
  meta: {
    type: 'problem',
    schema: [{ type: 'array', items: { type: 'object' } }],
    messages: { outside: '{{room}} may import {{may}}; not {{source}}' },
  },
  create(context) {
    const file = relative(context.cwd, context.filename).split(sep).join('/');
    const row = context.options[0].find(({ room }) => file.startsWith(`${room}/`));
    if (row === undefined) return {};
    const own = file.split('/').slice(0, 2).join('/');
    const may = row.may.map((entry) => entry.replace('$PACKAGE', own));

    function check(node) {
      if (node?.type !== 'Literal' || typeof node.value !== 'string') return;
      const target = resolved(node.value);
      if (may.some((entry) => target === entry || target.startsWith(entry.endsWith(':') ? entry : `${entry}/`))) return;
      context.report({ node, messageId: 'outside', data: { room: row.room, may: may.join(', '), source: node.value } });
    }

    function resolved(source) {
      if (source.startsWith('.')) {
        return relative(context.cwd, resolve(dirname(context.filename), source)).split(sep).join('/');
      }
      return isBuiltin(source) && !source.startsWith('node:') ? `node:${source}` : source;
    }

    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      TSImportType: (node) => check(node.source ?? node.argument?.literal),
    };
  },
};
