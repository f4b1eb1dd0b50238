/**
 * Compares every number and every struct offset of packages/vfio-core/src/uapi/vfio.ts with the C header linux/vfio.h,
 * by compiling a small program. Needs a C compiler and linux-libc-dev. Exit 0, or 1 with a line for each difference.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '../packages/vfio-core/dist/index.js';

const isStruct = (value) => typeof value === 'object' && value !== null && typeof value.size === 'number';
/** A field whose C name is `size` has a longer one here, where `size` is the struct's. */
const fieldName = (name) => (/^(region|map|unmap|bitmap|range|area|plane)_size$/.test(name) ? 'size' : name === 'range_length' ? 'length' : name);
/** Structs of the header that have no tag of their own there, or are the data of another. */
const NAMES = { vfio_iommu_type1_dirty_bitmap_get: 'struct vfio_iommu_type1_dirty_bitmap_get' };

/** Structs of 6.2 and later, which an older header does not have. */
const NEWER = ['vfio_precopy_info', 'vfio_device_feature_mig_data_size'];

const expected = new Map();
const lines = [];
for (const [name, value] of Object.entries(core)) {
  if (name.startsWith('VFIO_') && typeof value === 'number') {
    expected.set(name, value);
    // Macros of a newer header than the installed one are skipped; enumerators are in all of them.
    const isEnum = /_(REGION|IRQ)_INDEX$|_NUM_(REGIONS|IRQS)$/.test(name);
    lines.push(isEnum ? print(name, name) : `#ifdef ${name}\n${print(name, name)}\n#endif`);
  }
  if (name.startsWith('vfio_') && isStruct(value) && !NEWER.includes(name)) {
    const type = NAMES[name] ?? `struct ${name}`;
    expected.set(`sizeof ${name}`, value.size);
    lines.push(print(`sizeof ${name}`, `sizeof(${type})`));
    for (const [field, layout] of Object.entries(value)) {
      if (field === 'size') continue;
      const width = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8 }[layout[1]];
      const member = `${type}, ${fieldName(field)}`;
      expected.set(`${name}.${field}`, layout[0]);
      lines.push(print(`${name}.${field}`, `offsetof(${member})`));
      expected.set(`width of ${name}.${field}`, width);
      lines.push(print(`width of ${name}.${field}`, `sizeof(((${type} *)0)->${fieldName(field)})`));
    }
  }
}
for (const [state, value] of Object.entries(core.MIG_STATE)) {
  if (state.startsWith('PRE_COPY')) continue; // since 6.2
  expected.set(`VFIO_DEVICE_STATE_${state}`, value);
  lines.push(print(`VFIO_DEVICE_STATE_${state}`, `VFIO_DEVICE_STATE_${state}`));
}

function print(label, expression) {
  // 1 << 31 is an int there, and a field of 32 bits without sign where it is used.
  return `printf("%s\\t%llu\\n", "${label}", sizeof(${expression}) == 4 ? (unsigned)(${expression}) : (unsigned long long)(${expression}));`;
}

const folder = mkdtempSync(join(tmpdir(), 'vsim-uapi-'));
try {
  const source = join(folder, 'check.c');
  const program = join(folder, 'check');
  writeFileSync(source, `#include <stddef.h>\n#include <stdio.h>\n#include <linux/vfio.h>\nint main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`);
  execFileSync('cc', ['-o', program, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  const actual = new Map(execFileSync(program, { encoding: 'utf8' }).trim().split('\n').map((line) => line.split('\t')));
  let wrong = 0;
  for (const [name, value] of expected) {
    if (!actual.has(name) || Number(actual.get(name)) === value) continue;
    wrong += 1;
    console.log(`${name}: the header has ${actual.get(name)}, vsim ${value}`);
  }
  const newer = [...expected.keys()].filter((name) => !actual.has(name));
  console.log(`check-uapi: ${actual.size} compared with linux/vfio.h, ${wrong} wrong, not in this header: ${newer.join(', ') || 'none'}`);
  process.exitCode = wrong === 0 && actual.size > 100 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
