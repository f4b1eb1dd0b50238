/** Each example prints what its output.txt says. scripts/check-examples.mjs runs them from the packed packages, on every runtime that can be had. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const HERE = import.meta.dirname;
const HOOKS = new URL('../scripts/workspace-packages.mjs', import.meta.url).href;
const EXAMPLES = readdirSync(HERE).filter((name) => existsSync(join(HERE, name, 'package.json')));

it('there are twelve', () => {
  expect(EXAMPLES).toEqual(['device-tree', 'dpaa2-container', 'gic-remote', 'host-in-five-minutes', 'kernels', 'level-interrupt', 'mdev-parent', 'not-modelled', 'nvme-driver', 'own-pci-device', 'served-device', 'vmm-migrates']);
});

it.each(EXAMPLES)('%s prints its output', (name) => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--conditions=@vsim/source', '--import', HOOKS, join(HERE, name, 'main.ts')], { encoding: 'utf8' });
  expect({ stdout, stderr }).toEqual({ stdout: readFileSync(join(HERE, name, 'output.txt'), 'utf8'), stderr: '' });
});

it.each(EXAMPLES)('the README of %s shows its output', (name) => {
  const shown = /^```text\n(.*?)^```$/ms.exec(readFileSync(join(HERE, name, 'README.md'), 'utf8'));
  expect(shown?.[1]).toBe(readFileSync(join(HERE, name, 'output.txt'), 'utf8'));
});
