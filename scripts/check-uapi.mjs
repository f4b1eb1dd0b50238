/**
 * Compares every number and every struct offset of packages/vfio-core/src/uapi/vfio.ts with the C header linux/vfio.h, and those of
 * packages/gic-its/src/kvm/uapi.ts with linux/kvm.h and arm64's asm/kvm.h, by compiling small programs. Needs a C compiler, linux-libc-dev and
 * linux-libc-dev-arm64-cross. Exit 0, or 1 with a line for each difference.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '../packages/vfio-core/dist/index.js';
import * as gic from '../packages/gic-its/dist/index.js';

const isStruct = (value) => typeof value === 'object' && value !== null && typeof value.size === 'number';
/** A field whose C name is `size` has a longer one here, where `size` is the struct's. */
const fieldName = (name) => (/^(region|map|unmap|bitmap|range|area|plane)_size$/.test(name) ? 'size' : name === 'range_length' ? 'length' : name);
/** Structs of the header that have no tag of their own there, or are the data of another. */
const NAMES = { vfio_iommu_type1_dirty_bitmap_get: 'struct vfio_iommu_type1_dirty_bitmap_get' };

/** Structs of 6.2 and later, which an older header does not have. */
const NEWER = ['vfio_precopy_info', 'vfio_device_feature_mig_data_size'];

/** Where Debian has the headers of arm64. */
const ARM64 = '/usr/aarch64-linux-gnu/include';
/** Fields of unions and of structs within a struct. */
const NESTED = [/^(u)_(irqchip|msi)_(.*)$/, /^(mmio|system_event)_(.*)$/];
/** Attributes of the GIC, which are tables here. */
const ATTRIBUTES = {
  ...Object.fromEntries(Object.entries(gic.GRP).map(([name, value]) => [`KVM_DEV_ARM_VGIC_GRP_${name}`, value])),
  KVM_VGIC_V3_ADDR_TYPE_DIST: gic.ADDR_TYPE.DIST,
  KVM_VGIC_V3_ADDR_TYPE_REDIST: gic.ADDR_TYPE.REDIST,
  KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: gic.ADDR_TYPE.REDIST_REGION,
  KVM_VGIC_ITS_ADDR_TYPE: gic.ADDR_TYPE.ITS,
  KVM_DEV_ARM_VGIC_CTRL_INIT: gic.CTRL.INIT,
  KVM_DEV_ARM_ITS_SAVE_TABLES: gic.CTRL.ITS_SAVE_TABLES,
  KVM_DEV_ARM_ITS_RESTORE_TABLES: gic.CTRL.ITS_RESTORE_TABLES,
  KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES: gic.CTRL.SAVE_PENDING_TABLES,
  KVM_DEV_ARM_ITS_CTRL_RESET: gic.CTRL.ITS_RESET,
};

const folder = mkdtempSync(join(tmpdir(), 'vsim-uapi-'));
try {
  const vfio = compareVfio();
  const kvm = compareKvm();
  process.exitCode = vfio && kvm ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function compareKvm() {
  const expected = new Map();
  const lines = [];
  const number = (name, value) => {
    expected.set(name, String(value));
    lines.push(`#if defined(${name})\n${print(name, name)}\n#endif`);
  };
  for (const [name, value] of [...Object.entries(gic), ...Object.entries(ATTRIBUTES)]) {
    if (name.startsWith('KVM_') && (typeof value === 'number' || typeof value === 'bigint')) number(name, value);
    if (!name.startsWith('kvm_') || !isStruct(value)) continue;
    // Since 6.8.
    const newer = name === 'kvm_userspace_memory_region2' ? '#ifdef KVM_SET_USER_MEMORY_REGION2\n' : '';
    struct(name, value, expected, lines, newer);
  }
  return compare('kvm', `#include <linux/kvm.h>\n`, expected, lines, existsSync(ARM64) ? ['-isystem', ARM64] : undefined);
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

/** @param flags undefined: the headers are not there */
function compare(what, includes, expected, lines, flags) {
  if (flags === undefined) {
    console.log(`check-uapi: the headers for linux/${what}.h are not there`);
    return false;
  }
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
      expected.set(name, String(value));
      // Macros of a newer header than the installed one are skipped; enumerators are in all of them.
      const isEnum = /_(REGION|IRQ)_INDEX$|_NUM_(REGIONS|IRQS)$/.test(name);
      lines.push(isEnum ? print(name, name) : `#ifdef ${name}\n${print(name, name)}\n#endif`);
    }
    if (name.startsWith('vfio_') && isStruct(value) && !NEWER.includes(name)) struct(name, value, expected, lines);
  }
  for (const [state, value] of Object.entries(core.MIG_STATE)) {
    if (state.startsWith('PRE_COPY')) continue; // since 6.2
    expected.set(`VFIO_DEVICE_STATE_${state}`, String(value));
    lines.push(print(`VFIO_DEVICE_STATE_${state}`, `VFIO_DEVICE_STATE_${state}`));
  }
  return compare('vfio', '#include <linux/vfio.h>\n', expected, lines, []);
}

function print(label, expression) {
  // 1 << 31 is an int there, and a field of 32 bits without sign where it is used.
  return `printf("%s\\t%llu\\n", "${label}", sizeof(${expression}) == 4 ? (unsigned)(${expression}) : (unsigned long long)(${expression}));`;
}
