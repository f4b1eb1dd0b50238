/** docs/guides/errors.md: every known error, for people who search for its words. */
import { expect, it } from 'vitest';
import { DEVICE_ERRORS } from '../src/errors/device-errors.ts';
import { DMA_ERRORS } from '../src/errors/dma-errors.ts';
import { GROUP_ERRORS } from '../src/errors/group-errors.ts';
import { IOMMU_ERRORS } from '../src/errors/iommu-errors.ts';
import { KNOWN_ERRORS } from '../src/errors/index.ts';
import type { ErrorCause, KnownError } from '../src/errors/index.ts';
import { RESET_ERRORS } from '../src/errors/reset-errors.ts';
import { TOOL_ERRORS } from '../src/errors/tool-errors.ts';

const SECTIONS: readonly (readonly [title: string, errors: readonly KnownError[]])[] = [
  ['Groups, drivers and files', GROUP_ERRORS],
  ['The IOMMU', IOMMU_ERRORS],
  ['Memory', DMA_ERRORS],
  ['Resets and power', RESET_ERRORS],
  ['The device: BARs, ROM, interrupts, graphics', DEVICE_ERRORS],
  ['libvirt and Proxmox VE', TOOL_ERRORS],
];

/** What to paste, so that the doctor can look. */
const CAUSES: Readonly<Record<ErrorCause, string>> = {
  groups: 'the IOMMU groups',
  drivers: '"Kernel driver in use" of the group\'s members',
  resets: 'which resets there are',
  capabilities: 'lspci -vvnn of root',
  regions: 'its regions',
  iommu: 'whether /sys/kernel/iommu_groups has folders',
  cmdline: '/proc/cmdline',
  log: 'the kernel\'s log around it',
  iomem: '/proc/iomem of root',
  bootVga: 'whether the machine started with this graphics (boot_vga)',
  firmware: 'settings of the firmware',
  limits: 'limits of the process',
  guest: 'what is set up for the guest',
};

/** What Markdown would take for its own. */
const escaped = (words: string): string => words.replace(/[<*]|(?<!\w)_/g, (sign) => `\\${sign}`);

function entry({ id, examples, sources, call, errno, harmless, means, remedies, looksAt }: KnownError): string {
  return [
    `### ${id}`,
    '',
    '```text',
    ...examples.map((example) => example.trim()),
    '```',
    '',
    `${harmless === true ? '**Harmless.** ' : ''}${escaped(means)}`,
    '',
    ...remedies.map((remedy) => `- ${escaped(remedy)}`),
    '',
    ...(call === undefined ? [] : [`Call: ${escaped(call)}${errno === undefined ? '' : `: ${errno}`}.`]),
    `Printed by ${sources.map(({ by, where, versions }) => escaped(`${by}, ${where}${versions === undefined ? '' : ` (${versions})`}`)).join('; ')}.`,
    ...(looksAt.length === 0 ? [] : [`What decides it: ${looksAt.map((cause) => escaped(CAUSES[cause])).join('; ')}.`]),
    '',
  ].join('\n');
}

it('docs/guides/errors.md has every known error', async () => {
  expect(SECTIONS.flatMap(([, errors]) => errors)).toEqual(KNOWN_ERRORS);
  const page = `---
title: Error messages of passthrough
---

# Error messages of passthrough, and what they mean

What the kernel, QEMU, libvirt and Proxmox VE print when a device cannot be given to a VM: what has happened, what to do, and which call to VFIO stands
behind it. Search this page for a few words of the message. {@link @vsim/doctor!findErrors | findErrors()} finds them in a text; \`npm test -- --project doctor -u\`
writes the page from its table.

${SECTIONS.map(([title, errors]) => `## ${title}\n\n${errors.map(entry).join('\n')}`).join('\n')}`;
  await expect(page).toMatchFileSnapshot('../../../docs/guides/errors.md');
});
