/** docs/reasons.md: every rule that a user can break, from the packages' own tables; and which of them no test names. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import * as core from '../../packages/vfio-core/src/index.ts';
import * as gic from '../../packages/gic-its/src/index.ts';
import * as fslmc from '../../packages/vfio-fslmc/src/index.ts';
import * as mdev from '../../packages/mdev/src/index.ts';
import * as pci from '../../packages/vfio-pci/src/index.ts';
import * as platform from '../../packages/vfio-platform/src/index.ts';

const PACKAGES = fileURLToPath(new URL('../../packages/', import.meta.url));

const constants = [core, pci, platform, fslmc, mdev, gic]
  .flatMap((exports) => Object.entries<unknown>({ ...exports }))
  .flatMap(([name, value]) => (core.isReason(value) ? [{ name, value }] : []));
const reasons = constants.map(({ value }) => value).sort((a, b) => (a.id < b.id ? -1 : 1));

function document(): string {
  const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return `# Why a call is refused

Made from the reasons in the packages (\`reason()\` of @vsim/vfio-core). Each refusal is one event of severity \`info\` with this id, and an error that
is thrown for it has it as \`error.why\`, with the numbers and names that decided in \`error.why.fields\`; the message ends with the way out. A guest's
command that is ignored has no errno.

${row(['id', 'errno', 'call', 'rule', 'kernel', 'way out'])}${row(['---', '---', '---', '---', '---', '---'])}${reasons.map((each) => row(core.reasonRow(each))).join('')}`;
}

/** The sources of the rooms of VFIO and of KVM, without tests and suites. */
function sources(): readonly string[] {
  return globSync(['{vfio-core,vfio-pci,vfio-platform,vfio-fslmc,mdev}/src/**/*.ts', 'gic-its/src/{vgic,kvm}/*.ts'], { cwd: PACKAGES })
    .filter((file) => !/\.test\.ts$|\/testing\//.test(file))
    .map((file) => `${PACKAGES}${file}`);
}

it('each reason has an id of its own', () => {
  const ids = reasons.map(({ id }) => id);
  expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
});

it('docs/reasons.md has them all, as each is exported by its package', async () => {
  const made = sources().flatMap((file) => readFileSync(file, 'utf8').match(/= reason\(\{$/gm) ?? []);
  expect(made).toHaveLength(reasons.length);
  await expect(document()).toMatchFileSnapshot('../../docs/reasons.md');
});

it('each reason is named by a test, by its id or its constant [M14]', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const files = globSync('{packages,apps}/*/{src,test}/**/*.test.ts', { cwd: root });
  const words = new Set(files.flatMap((file) => readFileSync(`${root}${file}`, 'utf8').match(/[\w/-]+/g) ?? []));
  const unnamed = constants.filter(({ name, value }) => !words.has(name) && !words.has(value.id)).map(({ value }) => value.id);
  expect(unnamed.sort()).toEqual([]);
});

/** Where an errno stands without a reason, how many times, and who tells instead. */
const BARE: Readonly<Record<string, readonly [count: number, who: string]>> = {
  'gic-its/src/kvm/capabilities.ts': [1, 'nobody: KVM_CHECK_EXTENSION answers so'],
  'gic-its/src/kvm/vcpu-file.ts': [2, 'nobody: EINTR is an answer'],
  'gic-its/src/kvm/vcpu-registers.ts': [7, 'who reads or writes a register: kvm/register'],
  'gic-its/src/vgic/ioeventfds.ts': [2, 'KVM_IOEVENTFD: kvm/ioeventfd-taken, kvm/ioeventfd-none'],
  'gic-its/src/vgic/irqfds.ts': [1, 'KVM_IRQ_LINE: kvm/irq-line-no-gic'],
  'gic-its/src/vgic/vcpu.ts': [2, 'nobody: which CPU a vCPU runs on is the program\'s choice, not a call'],
  'gic-its/src/vgic/vgic-its-commands.ts': [2, 'who tells of commands: kvm-its/command-unknown, kvm-its/lpi-taken'],
  'gic-its/src/vgic/vgic-its-mappings.ts': [3, 'the command and RESTORE_TABLES: kvm-its/lpi-unreadable'],
  'gic-its/src/vgic/vgic-its.ts': [2, 'the MSI and the command: kvm-its/off, kvm-its/lpis-off'],
  'gic-its/src/vgic/vgic-v4.ts': [1, 'nobody: a connection that is refused leaves the irqfd to software'],
  'gic-its/src/vgic/vgic.ts': [2, 'KVM_IRQ_LINE: kvm/irq-line, kvm/irq-line-no-gic'],
  'mdev/src/mdev-bus.ts': [1, 'itself: mdev/exhausted'],
  'mdev/src/samples/mbochs.ts': [2, 'the bus: mdev/exhausted'],
  'mdev/src/samples/mdpy.ts': [1, 'the bus: mdev/exhausted'],
  'mdev/src/samples/mtty-migration.ts': [1, 'the feature: migration/state'],
  'mdev/src/samples/mtty.ts': [1, 'the bus: mdev/exhausted'],
  'vfio-core/src/iommu/dma-log.ts': [2, 'the feature: dma-logging/state'],
  'vfio-core/src/iommu/iommu-group.ts': [2, 'type1 and the group: type1/attach-domain, vfio/group-not-viable'],
  'vfio-core/src/irq/event-fd.ts': [1, 'its file: eventfd/not-ready'],
  'vfio-core/src/irq/irq-bypass.ts': [2, 'nobody: a token that is taken costs the bypass, and no user is refused'],
  'vfio-core/src/migration/migration-driver.ts': [1, 'the feature: migration/state'],
  'vfio-core/src/migration/migration-feature.ts': [1, 'itself: migration/state'],
  'vfio-core/src/migration/region-v1.ts': [5, 'its region: migration/region-v1'],
  'vfio-core/src/migration/stop-copy.ts': [2, 'the feature: migration/state'],
  'vfio-core/src/model/bus.ts': [2, 'who refused the attempt; the errno of 5.13, and that of drivers_probe'],
  'vfio-core/src/process/event-fd-file.ts': [2, 'nobody: EINTR is an answer'],
  'vfio-core/src/process/syscalls.ts': [1, 'nobody: EINTR is an answer'],
  'vfio-core/src/process/mm.ts': [1, 'type1: type1/map-memory'],
  'vfio-core/src/vfio/external-user.ts': [2, 'nobody: functions for drivers'],
  'vfio-core/src/vfio/noiommu.ts': [2, 'the container: vfio/set-iommu-type, vfio/noiommu-alone'],
  'vfio-core/src/vfio/open-device.ts': [1, 'itself: the error has the device\'s name'],
  'vfio-core/src/vfio/pieces.ts': [2, 'the call: process/buffer-fault'],
  'vfio-core/src/vfio/pin-pages.ts': [18, 'nobody: functions for drivers'],
  'vfio-core/src/vfio/vfio-device.ts': [1, 'the WARN of a device that is registered twice'],
  'vfio-fslmc/src/bus/dprc-driver.ts': [1, 'itself: fsl-mc/container-set-up'],
  'vfio-fslmc/src/bus/dprc.ts': [4, 'itself: fsl-mc/mc-error; who opens /dev/dprc.N: fsl-mc/no-portal'],
  'vfio-fslmc/src/bus/firmware-check.ts': [1, 'itself: fsl-mc/no-control-registers'],
  'vfio-fslmc/src/bus/fslmc-bus.ts': [1, 'the scan: fsl-mc/object-skipped, and no call is refused'],
  'vfio-fslmc/src/bus/irq-pool.ts': [5, 'the device: vfio-fsl-mc/no-irqs'],
  'vfio-fslmc/src/bus/mc-io.ts': [1, 'nobody: a function for drivers'],
  'vfio-fslmc/src/bus/object-regions.ts': [2, 'the scan: fsl-mc/object-skipped, and no call is refused'],
  'vfio-fslmc/src/bus/resource-pool.ts': [4, 'the allocator and who opens: fsl-mc/not-allocatable, fsl-mc/no-portal'],
  'vfio-fslmc/src/vfio/vfio-fslmc-device.ts': [5, 'itself: fsl-mc/mc-error, vfio-fsl-mc/no-irqs; the call: process/buffer-fault; the WARN of the last close'],
  'vfio-pci/src/bus/enable.ts': [4, 'who wakes the device: vfio-pci/stays-asleep; else nobody looks'],
  'vfio-pci/src/bus/pciehp.ts': [2, 'itself: pci/slot-state'],
  'vfio-pci/src/bus/reset.ts': [10, 'who resets: pci/reset-failed, vfio-pci/no-reset, vfio-pci/device-locked'],
  'vfio-pci/src/bus/vga-arbiter.ts': [2, 'who asks: vfio-pci/vga-arbiter'],
  'vfio-pci/src/vfio/binding.ts': [1, 'nobody: a step before there is a device'],
  'vfio-pci/src/vfio/igd-regions.ts': [4, 'the open: vfio-pci/igd'],
  'vfio-pci/src/vfio/token-use.ts': [1, 'itself: vfio-pci/vf-token-refused'],
  'vfio-pci/src/vfio/vf-token.ts': [3, 'the device: vfio-pci/vf-option, vfio-pci/vf-token-refused'],
  'vfio-pci/src/vfio/vfio-pci-driver.ts': [1, 'nobody: sysfs never comes there'],
  'vfio-platform/src/bus/amba-bus.ts': [1, 'the bus: sysfs/not-identified'],
  'vfio-platform/src/bus/irq-line.ts': [2, 'the device: vfio-platform/irq-not-granted'],
  'vfio-platform/src/bus/runtime-pm.ts': [3, 'the open: vfio-platform/not-awake'],
  'vfio-platform/src/resets/amdxgbe.ts': [1, 'who resets: vfio-platform/reset-error'],
  'vfio-platform/src/resets/bcmflexrm.ts': [3, 'who resets: vfio-platform/reset-error'],
  'vfio-platform/src/resets/calxedaxgmac.ts': [1, 'who resets: vfio-platform/reset-error'],
  'vfio-platform/src/vfio/drivers.ts': [1, 'who resets: vfio-platform/reset-error'],
  'vfio-platform/src/vfio/platform-irq.ts': [2, 'the device: vfio-platform/irq-not-granted, vfio-platform/mask-taken'],
  'vfio-platform/src/vfio/reset-modules.ts': [1, 'nobody: rmmod, which is no call of the model'],
  'vfio-platform/src/vfio/vfio-platform-device.ts': [1, 'the process: process/not-eventfd'],
};

it('an errno without a reason stands only where somebody else tells [M14]', () => {
  const bare = sources().flatMap((file) => {
    const code = readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$| \/\/ .*$/gm, '');
    // What is compared is not answered.
    const count = code.match(/(?<![!=]== )-E[A-Z0-9]{2,}\b/g)?.length ?? 0;
    return count === 0 ? [] : [[file.slice(PACKAGES.length), count] as const];
  });
  expect(Object.fromEntries(bare)).toEqual(Object.fromEntries(Object.entries(BARE).map(([file, [count]]) => [file, count])));
});

it('docs/passthrough.md takes its rules from them: each row that names a reason has one of its errnos', () => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/passthrough.md', import.meta.url)), 'utf8');
  const rows = page.split('\n').flatMap((line) => {
    const ids = line.startsWith('|') ? [...line.matchAll(/`([a-z0-9-]+\/[a-z0-9-]+)`/g)].map(([, id]) => id) : [];
    return ids.map((id) => ({ id, line, errnos: reasons.find((each) => each.id === id)?.errnos.map(core.errnoName) ?? [] }));
  });
  expect(rows.length).toBeGreaterThan(8);
  expect(rows.filter(({ line, errnos }) => !errnos.some((errno) => line.split('|')[2]?.includes(errno)))).toEqual([]);
});
