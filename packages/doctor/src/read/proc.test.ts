import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

describe('/proc/iomem', () => {
  it('keeps what holds what, whatever became of its indentation', () => {
    const text = '00000000-00000fff : Reserved\n2800000000-2fffffffff : 0000:c3:00.0\n  2800000000-2801fa3fff : BOOTFB\n    2800000000-2801fa3fff : simpledrm\n';
    const ranges = readPaste(text).machine.iomem;
    expect(ranges.map(({ depth, owner, line }) => [depth, owner, line])).toEqual([[0, 'Reserved', 1], [0, '0000:c3:00.0', 2], [1, 'BOOTFB', 3], [2, 'simpledrm', 4]]);
    expect([ranges[1]!.start, ranges[1]!.end]).toEqual([0x28_0000_0000, 0x2f_ffff_ffff]);
    expect(readPaste(text.replaceAll(/^ +/gm, '')).machine.iomem).toEqual(ranges);
  });

  it('of an ordinary user says that it tells nothing', () => {
    const { machine, unread } = readPaste('00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n');
    expect([machine.iomem, unread[0]?.why]).toEqual([[], '/proc/iomem shows no addresses to ordinary users']);
  });
});

describe('the kernel', () => {
  it.each([
    ['Linux version 6.8.0-49-generic (buildd@host) (gcc 13) #49-Ubuntu SMP\n', '6.8.0-49-generic'],
    ['[    0.000000] Linux version 5.15.0-91-generic (buildd@host)\n', '5.15.0-91-generic'],
    ['Linux pve 6.8.12-4-pve #1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 x86_64 GNU/Linux\n', '6.8.12-4-pve'],
    ['$ uname -r\n6.12.1-arch1-1\n', '6.12.1-arch1-1'],
    ['BOOT_IMAGE=/boot/vmlinuz-6.8.0-49-generic root=UUID=0 ro quiet\n', '6.8.0-49-generic'],
    ['initrd=\\EFI\\proxmox\\6.8.12-4-pve\\initrd.img-6.8.12-4-pve root=ZFS=rpool/ROOT\n', '6.8.12-4-pve'],
    ['pve-manager/8.2.2/9355359cd7afbae4 (running kernel: 6.8.4-2-pve)\n', '6.8.4-2-pve'],
    ['Uname: Linux 5.4.0-42-generic x86_64\n', '5.4.0-42-generic'],
    ['  Kernel: 6.8.0-49-generic arch: x86_64 bits: 64\n', '6.8.0-49-generic'],
    ['6.8.0\n', undefined],
  ])('%s', (text, kernel) => {
    expect(readPaste(text).machine.kernel).toBe(kernel);
  });

  it('has its parameters, from its file or its log, also wrapped', () => {
    const parameters = 'BOOT_IMAGE=/boot/vmlinuz-6.8.0 root=UUID=00000000-0000-0000-0000-000000000000 ro intel_iommu=on iommu=pt';
    expect(readPaste(`${parameters}\n`).machine.cmdline).toBe(parameters);
    expect(readPaste(`[    0.000000] Command line: ${parameters}\n`).machine.cmdline).toBe(parameters);
    expect(readPaste('$ cat /proc/cmdline\nquiet splash intel_iommu=on\n').machine.cmdline).toBe('quiet splash intel_iommu=on');
    expect(readPaste(`ProcKernelCmdLine: ${parameters}\n`).machine.cmdline).toBe(parameters);
    expect(readPaste(`${parameters.replace(' ro ', '\nro ')}\n`).machine.cmdline).toBe(parameters);
  });
});

describe('the CPU and the IOMMU', () => {
  it.each([
    ['vendor_id\t: GenuineIntel\n', 'intel'],
    ['Vendor ID:                       AuthenticAMD\n', 'amd'],
    ['[    0.1] smpboot: CPU0: Intel(R) Core(TM) i7-8700K (family: 0x6)\n', 'intel'],
    ['[    0.0] Booting Linux on physical CPU 0x0000000000 [0x413fd0c1]\n', 'arm'],
    ['Linux orin 5.10.120-tegra #1 SMP PREEMPT aarch64 GNU/Linux\n', 'arm'],
  ])('%s', (text, cpu) => {
    expect(readPaste(text).machine.cpu).toBe(cpu);
  });

  it('has units by name', () => {
    expect(readPaste('$ ls /sys/class/iommu\ndmar0  dmar1\n').machine.iommuUnits).toEqual(['dmar0', 'dmar1']);
    expect(readPaste('lrwxrwxrwx 1 root root 0 Nov 30 12:00 ivhd0 -> ../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0\n').machine.iommuUnits).toEqual(['ivhd0']);
  });
});
