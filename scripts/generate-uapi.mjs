/**
 * The names of Linux 7.3's headers that the model's own sources do not have, as numbers, texts and struct layouts, each with its words from
 * uapi-words.mjs: packages/vfio-core/src/uapi/vfio-names.ts has all of linux/vfio.h, packages/gic-its/src/kvm/kvm-names.ts the GIC part of
 * linux/kvm.h and arm64's asm/kvm.h. `node scripts/generate-uapi.mjs` writes them; check-uapi.mjs compares them. A C compiler gives the values.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './lib.mjs';
import { newerPackage } from './newer-packages.mjs';
import { KVM_WORDS, WORDS } from './uapi-words.mjs';

export const NAMES_FILE = join(ROOT, 'packages/vfio-core/src/uapi/vfio-names.ts');
export const KVM_NAMES_FILE = join(ROOT, 'packages/gic-its/src/kvm/kvm-names.ts');

/** Macros that are no data: the header's guard, and those that take an argument. */
const NO_DATA = /^VFIO_H$/;
const WIDTHS = { __u8: 'u8', __u16: 'u16', __u32: 'u32', __s32: 's32', __u64: 'u64', __aligned_u64: 'u64' };
/** A field `size` has another name, as `size` is the struct's. */
const SIZE_FIELDS = { vfio_iommu_spapr_register_memory: 'registered_size' };

/** What kvm.h needs and does not include, being for the kernel: linux/sizes.h is not among the headers of user space. */
export const KVM_INCLUDES = '#define SZ_64K 0x10000\n#include <linux/bits.h>\n#include <linux/kvm.h>\n';

/** The GIC part of kvm.h: names, and with a star how names begin. What it has of these the model exports, and the model has no other. */
export const GIC_PART = [
  // Devices of KVM, and the attributes of a vgic, an ITS and kvm-vfio
  ...['KVM_CREATE_DEVICE', 'KVM_CREATE_DEVICE_*', 'KVM_SET_DEVICE_ATTR', 'KVM_GET_DEVICE_ATTR', 'KVM_HAS_DEVICE_ATTR', 'KVM_DEV_TYPE_VFIO', 'KVM_DEV_TYPE_ARM_VGIC_*'],
  ...['KVM_DEV_ARM_VGIC_*', 'KVM_DEV_ARM_ITS_*', 'KVM_VGIC_*', 'VGIC_LEVEL_INFO_*', 'KVM_DEV_VFIO_*', 'kvm_create_device', 'kvm_device_attr', 'kvm_vfio_spapr_tce'],
  // How a GICv2 is made and placed without a device
  ...['KVM_CREATE_IRQCHIP', 'KVM_NR_IRQCHIPS', 'KVM_ARM_SET_DEVICE_ADDR', 'KVM_ARM_DEVICE_*', 'kvm_arm_device_addr'],
  // Interrupts from user space
  ...['KVM_IRQ_LINE', 'KVM_IRQ_LINE_STATUS', 'KVM_ARM_IRQ_*', 'kvm_irq_level', 'KVM_SIGNAL_MSI', 'KVM_MSI_*', 'kvm_msi'],
  ...['KVM_SET_GSI_ROUTING', 'KVM_IRQ_ROUTING_*', 'kvm_irq_routing*', 'KVM_IRQFD', 'KVM_IRQFD_*', 'kvm_irqfd', 'KVM_IOEVENTFD', 'KVM_IOEVENTFD_*', 'kvm_ioeventfd'],
  // Attributes of a vCPU that name a PPI
  ...['KVM_ARM_VCPU_TIMER_*', 'KVM_ARM_VCPU_PMU_V3_CTRL', 'KVM_ARM_VCPU_PMU_V3_IRQ'],
  // What KVM_CHECK_EXTENSION tells of all these
  ...['KVM_CAP_IRQCHIP', 'KVM_CAP_DEVICE_CTRL', 'KVM_CAP_VCPU_ATTRIBUTES', 'KVM_CAP_ARM_SET_DEVICE_ADDR', 'KVM_CAP_ARM_USER_IRQ', 'KVM_CAP_ARM_IRQ_LINE_LAYOUT_2'],
  ...['KVM_CAP_IRQ_INJECT_STATUS', 'KVM_CAP_SIGNAL_MSI', 'KVM_CAP_MSI_DEVID', 'KVM_CAP_IRQ_ROUTING', 'KVM_CAP_IRQFD', 'KVM_CAP_IRQFD_*', 'KVM_CAP_IOEVENTFD', 'KVM_CAP_IOEVENTFD_*'],
];

/** Whether a name is one of GIC_PART. */
export function inGicPart(name) {
  return GIC_PART.some((entry) => (entry.endsWith('*') ? name.startsWith(entry.slice(0, -1)) : name === entry));
}

/** Flags for a compiler that is to see the headers of Linux 7.3. @param architecture `x86` or `arm64` */
export function headerFlags(architecture) {
  const folder = newerPackage('linux-libc-dev');
  return ['-isystem', join(folder, 'usr/include'), '-isystem', join(folder, `usr/lib/linux/uapi/${architecture}`)];
}

/** The names of linux/vfio.h: macros without an argument, enumerators, structs with their plain fields. */
export function headerNames() {
  const text = headerText('usr/include/linux/vfio.h');
  const macros = [...text.matchAll(/^[ \t]*#[ \t]*define[ \t]+(VFIO_\w+)(?![\w(])/gm)].map(([, name]) => name);
  const enumerators = [...text.matchAll(/\benum(?: \w+)? \{([^}]*)\}/g)].flatMap(([, body]) => body.match(/\bVFIO_\w+/g) ?? []);
  return { constants: [...new Set([...macros, ...enumerators])].filter((name) => !NO_DATA.test(name)), structs: structsOf(text, /^vfio_/) };
}

/** The names of the GIC part of kvm.h, as arm64 sees it: macros without an argument, structs with their plain fields, of which padding is none. */
export function kvmNames() {
  const text = ['usr/lib/linux/uapi/arm64/asm/kvm.h', 'usr/include/linux/kvm.h'].map(headerText).join('\n');
  // Which of them there are for arm64 the preprocessor knows; their order is the headers'.
  const defined = new Set(execFileSync('cc', ['-dM', '-E', ...headerFlags('arm64'), '-x', 'c', '-'], { input: KVM_INCLUDES, encoding: 'utf8' }).match(/(?<=^#define )\w+(?=\s)/gm));
  const macros = [...text.matchAll(/^[ \t]*#[ \t]*define[ \t]+(\w+)(?![\w(])/gm)].map(([, name]) => name);
  const structs = [...structsOf(text, /^kvm_/)].filter(([name]) => inGicPart(name)).map(([name, fields]) => [name, fields.filter(([field]) => field !== 'pad')]);
  return { constants: [...new Set(macros)].filter((name) => inGicPart(name) && defined.has(name)), structs: new Map(structs) };
}

function headerText(path) {
  return readFileSync(join(newerPackage('linux-libc-dev'), path), 'utf8').replaceAll(/\/\*.*?\*\//gs, ' ');
}

function structsOf(text, which) {
  const structs = [...text.matchAll(/^struct (\w+) \{(.*?)^\}/gms)].filter(([, name]) => which.test(name));
  return new Map(structs.map(([, name, body]) => [
    name,
    [...body.matchAll(/(__\w+)\s+(\w+);/g)].flatMap(([, type, field]) => (WIDTHS[type] === undefined ? [] : [[field, WIDTHS[type]]])),
  ]));
}

/** The names that sources export. */
export function exportsOf(...files) {
  return new Set(files.flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^export const (\w+)/gm)].map(([, name]) => name)));
}

/** What vfio-names.ts has to hold. @throws Error for a name that uapi-words.mjs has no words for, and for words without a name */
export function generated() {
  const { constants, structs } = headerNames();
  return sourceOf(
    'Names of linux/vfio.h (Linux 7.3) that vfio.ts has not, since no part of the model acts on them. Made by scripts/generate-uapi.mjs.',
    { constants, structs, own: exportsOf('packages/vfio-core/src/uapi/vfio.ts'), words: WORDS, valuesOf: (names, layouts) => valuesOf('#include <linux/vfio.h>\n', 'x86', names, layouts) },
  );
}

/** What kvm-names.ts has to hold. @throws Error as generated() */
export function generatedKvm() {
  const { constants, structs } = kvmNames();
  const own = exportsOf('packages/gic-its/src/kvm/uapi.ts', 'packages/gic-its/src/vgic/uapi.ts');
  return sourceOf(
    'Names of the GIC part of linux/kvm.h and arm64\'s asm/kvm.h (Linux 7.3) that uapi.ts has not, since no part of the model acts on them. Made by scripts/generate-uapi.mjs.',
    { constants, structs, own, words: KVM_WORDS, valuesOf: (names, layouts) => valuesOf(KVM_INCLUDES, 'arm64', names, layouts) },
  );
}

function sourceOf(head, { constants, structs, own, words, valuesOf }) {
  const missing = constants.filter((name) => !own.has(name));
  const layouts = [...structs].filter(([name]) => !own.has(name));
  const values = valuesOf(missing, layouts);
  const names = [...missing, ...layouts.map(([name]) => name)];
  const untold = names.filter((name) => words[name] === undefined);
  const nobodys = Object.keys(words).filter((name) => !names.includes(name));
  if (untold.length + nobodys.length > 0) throw new Error(`uapi-words.mjs: without words: ${untold.join(', ') || 'none'}; words for no name: ${nobodys.join(', ') || 'none'}`);
  const told = (name) => `/** ${words[name]} */`;
  const fieldOf = (struct, field) => (field === 'size' ? (SIZE_FIELDS[struct] ?? 'struct_size') : field);
  return [
    `/** ${head} */\n`,
    ...missing.map((name) => `${told(name)}\nexport const ${name} = ${values.get(name)};`),
    ...layouts.map(([name, fields]) => {
      const all = fields.map(([field, width]) => `${fieldOf(name, field)}: [${values.get(`${name}.${field}`)}, '${width}']`);
      return `${told(name)}\nexport const ${name} = { ${[`size: ${values.get(name)}`, ...all].join(', ')} } as const;`;
    }),
    '',
  ].join('\n');
}

/** By compiling a program that prints them: what is an unsigned long long there is a bigint here. */
function valuesOf(includes, architecture, constants, layouts) {
  const lines = [
    ...constants.map((name) => `SHOW(${name})`),
    ...layouts.flatMap(([name, fields]) => [`NUMBER("${name}", sizeof(struct ${name}))`, ...fields.map(([field]) => `NUMBER("${name}.${field}", offsetof(struct ${name}, ${field}))`)]),
  ];
  const folder = mkdtempSync(join(tmpdir(), 'vsim-uapi-'));
  try {
    const source = join(folder, 'names.c');
    writeFileSync(
      source,
      `#include <stddef.h>\n#include <stdio.h>\n${includes}
static void text(const char *n, const char *v) { printf("%s\\t'%s'\\n", n, v); }
static void number(const char *n, long long v) { printf("%s\\t%lld\\n", n, v); }
static void wide(const char *n, unsigned long long v) { printf("%s\\t0x%llxn\\n", n, v); }
#define NUMBER(n, v) number(n, v);
#define SHOW(x) _Generic((x), char *: text, const char *: text, unsigned long long: wide, default: number)(#x, x);
int main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`,
    );
    execFileSync('cc', ['-w', ...headerFlags(architecture), '-o', join(folder, 'names'), source], { stdio: ['ignore', 'inherit', 'inherit'] });
    return new Map(execFileSync(join(folder, 'names'), { encoding: 'utf8' }).trim().split('\n').map((line) => line.split('\t')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(NAMES_FILE, generated());
  writeFileSync(KVM_NAMES_FILE, generatedKvm());
}
