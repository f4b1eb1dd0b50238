/**
 * Compares every number and every struct offset of packages/vfio-core/src/uapi with the C header linux/vfio.h, and those of
 * packages/gic-its/src/kvm and src/vgic with linux/kvm.h and arm64's asm/kvm.h, by compiling small programs: Linux 7.3's headers, of amd64 and of
 * arm64. All of vfio.h is there, and all of the GIC part of kvm.h (GIC_PART of generate-uapi.mjs), and nothing that is not in them. Needs a C
 * compiler. Exit 0, or 1 with a line for each difference; 3 without the headers.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '../packages/vfio-core/dist/index.js';
import * as gic from '../packages/gic-its/dist/index.js';
import { KVM_INCLUDES, KVM_NAMES_FILE, NAMES_FILE, generated, generatedKvm, headerFlags, headerNames, inGicPart, kvmNames } from './generate-uapi.mjs';
import { newerPackage } from './newer-packages.mjs';

const isNumber = (value) => typeof value === 'number' || typeof value === 'bigint';
const isStruct = (value) => typeof value === 'object' && value !== null && typeof value.size === 'number';
/** A field whose C name is `size` has a longer one here, where `size` is the struct's. */
const fieldName = (name) => (/^(region|map|unmap|bitmap|range|area|plane|registered)_size$/.test(name) ? 'size' : name === 'range_length' ? 'length' : name);
/** Structs of the header that have no tag of their own there, or are the data of another. */
const NAMES = { vfio_iommu_type1_dirty_bitmap_get: 'struct vfio_iommu_type1_dirty_bitmap_get' };

/** What older headers had, and profiles of their kernels have. */
const OLDER = ['VFIO_TYPE1_NESTING_IOMMU'];
/** Structs that have grown since: here they are as old kernels copy them, with the size of today. */
const GROWN = { vfio_device_info: 24, vfio_iommu_type1_info: 24 };

/** Fields of unions and of structs within a struct. */
const NESTED = [/^(u)_(irqchip|msi)_(.*)$/, /^(mmio|system_event)_(.*)$/];
try {
  newerPackage('linux-libc-dev');
} catch (error) {
  console.log(`check-uapi: ${error.message}`);
  process.exit(3);
}
const folder = mkdtempSync(join(tmpdir(), 'vsim-uapi-'));
try {
  const vfio = compareVfio();
  const names = compareNames();
  const kvm = compareKvm();
  const gicNames = compareGicNames();
  process.exitCode = vfio && names && kvm && gicNames ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function compareKvm() {
  const { structs } = kvmNames();
  const expected = new Map();
  const lines = [];
  const number = (name, value) => {
    expected.set(name, String(value));
    lines.push(`#if defined(${name})\n${print(name, name)}\n#endif`);
  };
  for (const [name, value] of Object.entries(gic)) {
    if (/^(KVM|VGIC)_/.test(name) && isNumber(value)) number(name, value);
    // A struct that the header lacks is told with the names.
    if (!name.startsWith('kvm_') || !isStruct(value) || (inGicPart(name) && !structs.has(name))) continue;
    // Since 6.8.
    const newer = name === 'kvm_userspace_memory_region2' ? '#ifdef KVM_SET_USER_MEMORY_REGION2\n' : '';
    struct(name, value, expected, lines, newer);
  }
  return compare('kvm', KVM_INCLUDES, expected, lines, headerFlags('arm64'));
}

function struct(name, layout, expected, lines, guard = '') {
  const type = NAMES[name] ?? `struct ${name}`;
  const add = (label, value, expression) => {
    expected.set(label, String(value));
    lines.push(guard === '' ? print(label, expression) : `${guard}${print(label, expression)}\n#endif`);
  };
  add(`sizeof ${name}`, layout.size, `sizeof(${type})`);
  for (const [field, place] of Object.entries(layout)) {
    if (field === 'size') continue;
    const member = NESTED.reduce((member, form) => member.replace(form, (_whole, ...parts) => parts.slice(0, form.source.split('(').length - 1).join('.')), fieldName(field));
    const width = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8 }[place[1]];
    add(`${name}.${field}`, place[0], `offsetof(${type}, ${member})`);
    // Of an array the first element is what is named.
    const element = ['args', 'features'].includes(member) ? `${member}[0]` : member;
    add(`width of ${name}.${field}`, width, `sizeof(((${type} *)0)->${element})`);
  }
}

function compare(what, includes, expected, lines, flags) {
  const source = join(folder, `${what}.c`);
  const program = join(folder, what);
  writeFileSync(source, `#include <stddef.h>\n#include <stdio.h>\n${includes}int main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`);
  execFileSync('cc', [...flags, '-o', program, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  const actual = new Map(execFileSync(program, { encoding: 'utf8' }).trim().split('\n').map((line) => line.split('\t')));
  const wrong = [...expected].filter(([name, value]) => actual.has(name) && actual.get(name) !== value);
  for (const [name, value] of wrong) console.log(`${name}: the header has ${actual.get(name)}, vsim ${value}`);
  const newer = [...expected.keys()].filter((name) => !actual.has(name));
  console.log(`check-uapi: ${actual.size} compared with linux/${what}.h, ${wrong.length} wrong, not in this header: ${newer.join(', ') || 'none'}`);
  return wrong.length === 0 && actual.size > 100;
}

function compareVfio() {
  const expected = new Map();
  const lines = [];
  for (const [name, value] of Object.entries(core)) {
    if (name.startsWith('VFIO_') && typeof value === 'number') {
      expected.set(name, String(value < 0 ? value >>> 0 : value));
      // Macros of older headers are skipped; no enumerator has gone.
      const isEnum = /_(REGION|IRQ)_INDEX$|_NUM_(REGIONS|IRQS)$|_STATE_NR$/.test(name);
      lines.push(isEnum ? print(name, name) : `#ifdef ${name}\n${print(name, name)}\n#endif`);
    }
    if (name.startsWith('vfio_') && isStruct(value)) struct(name, { ...value, size: GROWN[name] ?? value.size }, expected, lines);
  }
  for (const [state, value] of Object.entries(core.MIG_STATE)) {
    expected.set(`VFIO_DEVICE_STATE_${state}`, String(value));
    lines.push(print(`VFIO_DEVICE_STATE_${state}`, `VFIO_DEVICE_STATE_${state}`));
  }
  return compare('vfio', '#include <linux/vfio.h>\n', expected, lines, headerFlags('x86'));
}

/** All names of the header, and no others. */
function compareNames() {
  const { constants, structs } = headerNames();
  const theirs = new Set([...constants, ...structs.keys()]);
  const ours = Object.keys(core).filter((name) => /^(VFIO_|vfio_)/.test(name) && typeof core[name] !== 'function');
  return tell('linux/vfio.h', theirs, ours, [], readFileSync(NAMES_FILE, 'utf8') !== generated() ? 'vfio-names.ts' : undefined);
}

/** All names of the GIC part of kvm.h, and no others; all plain fields of its structs. */
function compareGicNames() {
  const { constants, structs } = kvmNames();
  const theirs = new Set([...constants, ...structs.keys()]);
  const ours = Object.entries(gic).filter(([name, value]) => inGicPart(name) && (isNumber(value) || isStruct(value))).map(([name]) => name);
  const fields = [...structs].flatMap(([name, plain]) => plain.filter(([field]) => gic[name] !== undefined && gic[name][field] === undefined).map(([field]) => `${name}.${field}`));
  return tell('the GIC part of linux/kvm.h', theirs, ours, fields, readFileSync(KVM_NAMES_FILE, 'utf8') !== generatedKvm() ? 'kvm-names.ts' : undefined);
}

/** @param fields of structs that we have without them @param stale a file that is not what generate-uapi.mjs makes */
function tell(header, theirs, ours, fields, stale) {
  const missing = [...[...theirs].filter((name) => !ours.includes(name)), ...fields];
  const surplus = ours.filter((name) => !theirs.has(name) && !OLDER.includes(name));
  console.log(`check-uapi: ${theirs.size} names of ${header}; missing: ${missing.join(', ') || 'none'}; not in it: ${surplus.join(', ') || 'none'}${stale === undefined ? '' : `; ${stale} is not what generate-uapi.mjs makes`}`);
  return missing.length + surplus.length === 0 && stale === undefined;
}

function print(label, expression) {
  // 1 << 31 is an int there, and a field of 32 bits without sign where it is used.
  return `printf("%s\\t%llu\\n", "${label}", sizeof(${expression}) == 4 ? (unsigned)(${expression}) : (unsigned long long)(${expression}));`;
}
