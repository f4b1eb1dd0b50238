/**
 * packages/vfio-core/src/uapi/vfio-names.ts: the names of linux/vfio.h that vfio.ts beside it does not have, as numbers, texts and struct layouts,
 * each with its words from uapi-words.mjs.
 * `node scripts/generate-uapi.mjs` writes it; check-uapi.mjs compares it. The header is Linux 7.3's, of amd64; a C compiler gives the values.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './lib.mjs';
import { newerPackage } from './newer-packages.mjs';
import { WORDS } from './uapi-words.mjs';

const OWN = join(ROOT, 'packages/vfio-core/src/uapi/vfio.ts');
export const NAMES_FILE = join(ROOT, 'packages/vfio-core/src/uapi/vfio-names.ts');

/** Macros that are no data: the header's guard, and those that take an argument. */
const NO_DATA = /^VFIO_H$/;
const WIDTHS = { __u8: 'u8', __u16: 'u16', __u32: 'u32', __s32: 's32', __u64: 'u64', __aligned_u64: 'u64' };
/** A field `size` has another name, as `size` is the struct's. */
const SIZE_FIELDS = { vfio_iommu_spapr_register_memory: 'registered_size' };

/** Flags for a compiler that is to see the headers of Linux 7.3. @param architecture `x86` or `arm64` */
export function headerFlags(architecture) {
  const folder = newerPackage('linux-libc-dev');
  return ['-isystem', join(folder, 'usr/include'), '-isystem', join(folder, `usr/lib/linux/uapi/${architecture}`)];
}

/** The names of the header: macros without an argument, enumerators, structs with their plain fields. */
export function headerNames() {
  const text = readFileSync(join(newerPackage('linux-libc-dev'), 'usr/include/linux/vfio.h'), 'utf8').replaceAll(/\/\*.*?\*\//gs, ' ');
  const macros = [...text.matchAll(/^[ \t]*#[ \t]*define[ \t]+(VFIO_\w+)(?![\w(])/gm)].map(([, name]) => name);
  const enumerators = [...text.matchAll(/\benum(?: \w+)? \{([^}]*)\}/g)].flatMap(([, body]) => body.match(/\bVFIO_\w+/g) ?? []);
  const structs = [...text.matchAll(/^struct (vfio_\w+) \{(.*?)^\}/gms)].map(([, name, body]) => [
    name,
    [...body.matchAll(/(__\w+)\s+(\w+);/g)].flatMap(([, type, field]) => (WIDTHS[type] === undefined ? [] : [[field, WIDTHS[type]]])),
  ]);
  return { constants: [...new Set([...macros, ...enumerators])].filter((name) => !NO_DATA.test(name)), structs: new Map(structs) };
}

/** The names that a source exports. */
export function exportsOf(file) {
  return new Set([...readFileSync(file, 'utf8').matchAll(/^export const (\w+)/gm)].map(([, name]) => name));
}

/** What the file has to hold. @throws Error for a name that uapi-words.mjs has no words for, and for words without a name */
export function generated() {
  const own = exportsOf(OWN);
  const { constants, structs } = headerNames();
  const missing = constants.filter((name) => !own.has(name));
  const layouts = [...structs].filter(([name]) => !own.has(name));
  const values = valuesOf(missing, layouts);
  const names = [...missing, ...layouts.map(([name]) => name)];
  const untold = names.filter((name) => WORDS[name] === undefined);
  const nobodys = Object.keys(WORDS).filter((name) => !names.includes(name));
  if (untold.length + nobodys.length > 0) throw new Error(`uapi-words.mjs: without words: ${untold.join(', ') || 'none'}; words for no name: ${nobodys.join(', ') || 'none'}`);
  const told = (name) => `/** ${WORDS[name]} */`;
  const fieldOf = (struct, field) => (field === 'size' ? (SIZE_FIELDS[struct] ?? 'struct_size') : field);
  return [
    '/** Names of linux/vfio.h (Linux 7.3) that vfio.ts has not, since no part of the model acts on them. Made by scripts/generate-uapi.mjs. */\n',
    ...missing.map((name) => `${told(name)}\nexport const ${name} = ${values.get(name)};`),
    ...layouts.map(([name, fields]) => {
      const all = fields.map(([field, width]) => `${fieldOf(name, field)}: [${values.get(`${name}.${field}`)}, '${width}']`);
      return `${told(name)}\nexport const ${name} = { ${[`size: ${values.get(name)}`, ...all].join(', ')} } as const;`;
    }),
    '',
  ].join('\n');
}

/** By compiling a program that prints them. */
function valuesOf(constants, layouts) {
  const lines = [
    ...constants.map((name) => `SHOW(${name})`),
    ...layouts.flatMap(([name, fields]) => [`NUMBER("${name}", sizeof(struct ${name}))`, ...fields.map(([field]) => `NUMBER("${name}.${field}", offsetof(struct ${name}, ${field}))`)]),
  ];
  const folder = mkdtempSync(join(tmpdir(), 'vsim-uapi-'));
  try {
    const source = join(folder, 'names.c');
    writeFileSync(
      source,
      `#include <stddef.h>\n#include <stdio.h>\n#include <linux/vfio.h>
static void text(const char *n, const char *v) { printf("%s\\t'%s'\\n", n, v); }
static void number(const char *n, long long v) { printf("%s\\t%lld\\n", n, v); }
#define NUMBER(n, v) number(n, v);
#define SHOW(x) _Generic((x), char *: text, const char *: text, default: number)(#x, x);
int main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`,
    );
    execFileSync('cc', ['-w', ...headerFlags('x86'), '-o', join(folder, 'names'), source], { stdio: ['ignore', 'inherit', 'inherit'] });
    return new Map(execFileSync(join(folder, 'names'), { encoding: 'utf8' }).trim().split('\n').map((line) => line.split('\t')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) writeFileSync(NAMES_FILE, generated());
