/** docs/kvm-selftests.md, row by row through the bytes of /dev/kvm: what KVM's selftests vgic_init and vgic_irq ask for [M2] [M3] [M6] [M7] [M11]. */
import { readFileSync } from 'node:fs';
import { errnoName, set, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import {
  ADDR_TYPE,
  CTRL,
  GRP,
  KVM_CAP_IRQFD,
  KVM_CAP_IRQ_ROUTING,
  KVM_CHECK_EXTENSION,
  KVM_CREATE_DEVICE_TEST,
  KVM_DEV_TYPE_ARM_VGIC_ITS,
  KVM_DEV_TYPE_ARM_VGIC_V2,
  KVM_DEV_TYPE_ARM_VGIC_V3,
  KVM_IRQFD,
  KVM_IRQ_LINE,
  KVM_SET_GSI_ROUTING,
  kvm_irq_level,
  kvm_irq_routing,
  kvm_irq_routing_entry,
  kvm_irqfd,
} from '../src/index.ts';
import { Vmm } from './kvm-fds.ts';

const TOP = 2 ** 40;
const TYPES: Readonly<Record<string, number>> = { V2: KVM_DEV_TYPE_ARM_VGIC_V2, V3: KVM_DEV_TYPE_ARM_VGIC_V3, ITS: KVM_DEV_TYPE_ARM_VGIC_ITS };
const CAPS: Readonly<Record<string, number>> = { IRQFD: KVM_CAP_IRQFD, IRQ_ROUTING: KVM_CAP_IRQ_ROUTING };

interface Row {
  readonly n: string;
  readonly call: string;
  readonly argument: string;
  readonly result: string;
  readonly versions: string;
}

interface Section {
  readonly title: string;
  readonly made: string;
  readonly rows: readonly Row[];
}

function table(): readonly Section[] {
  const text = readFileSync(new URL('../../../docs/kvm-selftests.md', import.meta.url), 'utf8');
  return text
    .split('\n## ')
    .slice(1)
    .map((part) => {
      const lines = part.split('\n');
      const rows = lines
        .filter((line) => /^\| \d/.test(line))
        .map((line) => {
          const [n = '', call = '', argument = '', result = '', , versions = ''] = line.slice(2, -2).split(' | ');
          return { n, call, argument, result, versions };
        });
      return { title: lines[0]!, made: /^Made before: (.*)\.$/m.exec(part)?.[1] ?? '', rows };
    });
}

/** `COUNT@BASE/INDEX`, with flags behind it, as the attribute has it. */
function region(text: string): bigint {
  const [, count = '0', base = '0', index = '0', flags = '0'] = /^(\d+)@([^/]+)\/(\d+)(?: (\d+))?$/.exec(text) ?? [];
  return (BigInt(count) << 52n) | BigInt(address(base)) | (BigInt(flags) << 12n) | BigInt(index);
}

function address(text: string): number {
  const [, top, less] = /^(TOP)(?:-(.*))?$/.exec(text) ?? [];
  return top === undefined ? Number(text) : TOP - Number(less ?? 0);
}

class Selftest {
  readonly #vmm: Vmm;
  readonly #vm: number;
  readonly #vcpus = new Map<number, number>();
  readonly #devices = new Map<string, number>();

  constructor(profile: ProfileName, made: string) {
    this.#vmm = new Vmm({ profile });
    this.#vm = this.#vmm.vm();
    for (const part of made.split(', ')) {
      const [kind, ...arguments_] = part.split(' ');
      for (const argument of arguments_) expect(this.call(kind === 'vcpus' ? 'vcpu' : 'device', argument)).toBe('0');
    }
  }

  /** One row: its result as the table has it. */
  call(call: string, argument: string): string {
    const vmm = this.#vmm;
    const words = argument.split(' ');
    switch (call) {
      case 'vcpu':
        return this.#made(this.#vcpus, Number(argument), vmm.vcpu(this.#vm, Number(argument)));
      case 'test':
        return said(vmm.device(this.#vm, TYPES[argument] ?? Number(argument), KVM_CREATE_DEVICE_TEST));
      case 'device':
        return this.#made(this.#devices, argument, vmm.device(this.#vm, TYPES[argument] ?? Number(argument)));
      case 'run':
        return this.#run(this.#vcpus.get(Number(argument))!);
      case 'cap':
        return String(vmm.ioctl(this.#vm, KVM_CHECK_EXTENSION, CAPS[argument]));
      case 'line': {
        const line = new Uint8Array(kvm_irq_level.size);
        set(line, kvm_irq_level.irq, ((words[0] === 'PPI' ? 2 : 1) << 24) | Number(words[1]));
        set(line, kvm_irq_level.level, 1);
        return said(vmm.ioctl(this.#vm, KVM_IRQ_LINE, line));
      }
      case 'route': {
        const bytes = new Uint8Array(kvm_irq_routing.size + kvm_irq_routing_entry.size);
        set(bytes, kvm_irq_routing.nr, 1);
        const entry = bytes.subarray(kvm_irq_routing.size);
        set(entry, kvm_irq_routing_entry.gsi, Number(argument) % 4096);
        set(entry, kvm_irq_routing_entry.type, 1);
        set(entry, kvm_irq_routing_entry.u_irqchip_pin, Number(argument));
        return said(vmm.ioctl(this.#vm, KVM_SET_GSI_ROUTING, bytes));
      }
      case 'irqfd': {
        const bytes = new Uint8Array(kvm_irqfd.size);
        const eventfd = vmm.process.eventfd();
        set(bytes, kvm_irqfd.fd, eventfd);
        set(bytes, kvm_irqfd.gsi, Number(argument));
        const result = vmm.ioctl(this.#vm, KVM_IRQFD, bytes);
        // Whatever it leads to, the signal is no error of whoever signals.
        vmm.process.writeEventfd(eventfd, 1n);
        return said(result);
      }
      default:
        return this.#attribute(call, words);
    }
  }

  #made<K>(into: Map<K, number>, key: K, fd: number): string {
    if (fd >= 0) into.set(key, fd);
    return said(Math.min(fd, 0));
  }

  /** The guest's first access is an exit: what matters is that it was reached. */
  #run(vcpu: number): string {
    this.#vmm.kvm.code.set(0n, function* (cpu) {
      yield* cpu.write32(0x7000_0000, 1);
    });
    return said(this.#vmm.run(vcpu));
  }

  #attribute(call: string, words: readonly string[]): string {
    const vmm = this.#vmm;
    const its = words[0] === 'ITS';
    const fd = this.#devices.get(its ? 'ITS' : 'V3')!;
    const { group, attr, value, asked, width } = named(words);
    if (call === 'has') return said(vmm.has(fd, group, attr));
    if (call === 'set') return said(vmm.set(fd, group, attr, value));
    const got = vmm.get(fd, group, attr, asked, width);
    if (typeof got === 'number') return said(got);
    if (call === 'again') return said(vmm.set(fd, group, attr, got));
    return words[1] === 'REGION' ? `${got >> 52n}@0x${(got & 0xf_ffff_ffff_0000n).toString(16)}/${got & 0xfffn}` : `0x${got.toString(16)}`;
  }
}

interface Named {
  readonly group: number;
  readonly attr: number | bigint;
  readonly value: number | bigint | undefined;
  readonly asked: bigint;
  readonly width: 4 | 8;
}

function named([kind, first = '', ...rest]: readonly string[]): Named {
  const plain = { asked: 0n, width: 4, value: rest.length === 0 ? 0 : Number(rest.at(-1)) } as const;
  const wide = { ...plain, width: 8 } as const;
  switch (kind) {
    case 'ITS':
      return { ...wide, group: GRP.ADDR, attr: ADDR_TYPE.ITS, value: address(first) };
    case 'CTRL':
      return { ...plain, group: GRP.CTRL, attr: CTRL.INIT, value: undefined };
    case 'NR_IRQS':
      return { ...plain, group: GRP.NR_IRQS, attr: 0, value: Number(first) };
    case 'DISTREG':
      return { ...plain, group: GRP.DIST_REGS, attr: Number(first) };
    case 'REDIST':
    case 'REDISTREG': {
      const vcpu = BigInt(first);
      return { ...plain, group: GRP.REDIST_REGS, attr: (vcpu << 32n) | BigInt(rest[0] ?? 0) };
    }
    case 'SYSREG':
      return { ...wide, group: GRP.CPU_SYSREGS, attr: Number(first) };
    case 'LEVEL':
      return { ...plain, group: GRP.LEVEL_INFO, attr: Number(first) };
    case undefined:
    default:
  }
  if (first === 'REGION') {
    const text = rest.join(' ');
    return { ...wide, group: GRP.ADDR, attr: ADDR_TYPE.REDIST_REGION, value: text === 'nowhere' ? undefined : region(text), asked: BigInt(/^\d+$/.test(text) ? text : 0) };
  }
  const attr = first === 'DIST' ? ADDR_TYPE.DIST : first === 'REDIST' ? ADDR_TYPE.REDIST : Number(first);
  return { ...wide, group: GRP.ADDR, attr: BigInt.asUintN(64, BigInt(attr)), value: address(rest[0] ?? '0') };
}

function said(result: number): string {
  return result < 0 ? errnoName(-result) : '0';
}

describe.each<[string, ProfileName]>([['6.1', 'linux-6.1'], ['6.12', 'linux-6.12'], ['6.12', 'linux-6.12.117'], ['7.3', 'linux-7.3']])('%s: %s', (version, profile) => {
  it.each(table().map((section) => [section.title, section] as const))('%s', (_title, { made, rows }) => {
    const selftest = new Selftest(profile, made);
    const wanted = rows.filter(({ versions }) => versions === 'all' || versions.split(', ').includes(version));
    expect(wanted.length).toBeGreaterThan(0);
    expect(wanted.map(({ n, call, argument }) => [n, selftest.call(call, argument)])).toEqual(wanted.map(({ n, result }) => [n, result]));
  });
});

it('the table has what the selftests have', () => {
  const sections = table();
  expect(sections.map(({ title }) => title)).toHaveLength(16);
  expect(sections.reduce((sum, { rows }) => sum + rows.length, 0)).toBe(228);
});
