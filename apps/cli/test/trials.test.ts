/** What VFIO answers to each device of the recorded machines: the model, driven the same way, answers the same. */
import { topologyMachine, topologyNames, type Fields } from '@vsim/conformance';
import { machineOfPaste, readPaste, TrialBench, type IommuKind, type MachineDevice, type Paste, type TrialStep } from '@vsim/doctor';
import { errnoName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';

/** How many devices were given to VFIO there. */
const TRIALS: Readonly<Record<string, number>> = {
  'arm-smmuv3': 6,
  conventional: 6,
  'desktop-intel': 5,
  'gpu-audio': 9,
  i440fx: 1,
  'mf-endpoints': 6,
  'mix-off': 2,
  'mix-on': 5,
  rciep: 6,
  rootports: 5,
  'sriov-igb': 4,
  'switch-acsless': 7,
};

function pasteOf(name: string): Paste {
  return readPaste(JSON.stringify(topologyMachine(name).value));
}

function machineOf(name: string): readonly MachineDevice[] {
  return machineOfPaste(pasteOf(name));
}

/** The groups as the kernel had them. */
function groupsOf(name: string): readonly (readonly string[])[] {
  const { devices } = pasteOf(name);
  const numberOf = ({ groups }: Paste['devices'][number]): number => groups[0]?.number ?? -1;
  const last = Math.max(-1, ...devices.map(numberOf));
  return Array.from({ length: last + 1 }, (_, number) => devices.filter((device) => numberOf(device) === number).map(({ address }) => address));
}

function iommuOf(host: Fields): IommuKind {
  const units = host.object('iommu').keys;
  return units.length === 0 ? 'none' : units.some((name) => name.startsWith('smmu')) ? 'smmuv3' : 'vt-d';
}

/** `call: errno or ok`; GET_STATUS and GET_INFO with their flags. */
function lineOf({ call, result, flags }: TrialStep): string {
  return `${call}: ${result < 0 ? errnoName(result) : 'ok'}${flags === undefined || result < 0 ? '' : ` ${flags}`}`;
}

const SYSFS: readonly (readonly [end: string, call: string])[] = [
  ['/driver_override', 'driver_override'],
  ['/unbind', 'unbind'],
  ['/bind', 'bind'],
];

/** The calls as the arm64 recording names them. */
const ARM_CALLS: Readonly<Record<string, string>> = {
  unbind: 'unbind',
  bind: 'bind',
  VFIO_GROUP_GET_STATUS: 'status',
  VFIO_GROUP_SET_CONTAINER: 'set_container',
  VFIO_SET_IOMMU: 'set_iommu',
  VFIO_GROUP_GET_DEVICE_FD: 'get_device_fd',
};

/** The recorded steps in the same form; undefined for one that is no call of ours. */
function recordedLine(step: Fields): string | undefined {
  if (!step.has('call')) return undefined;
  const answer = step.raw('ret') === -1 ? step.string('errno') : 'ok';
  switch (step.string('call')) {
    case 'sysfs_write':
      return `${SYSFS.find(([end]) => step.string('path').endsWith(end))![1]}: ${answer}`;
    case 'open':
      return `open ${step.string('path')}: ${answer}`;
    case 'ioctl': {
      const request = step.string('req');
      if (request === 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO') return undefined;
      const out = step.has('out') ? step.bytes('out') : step.has('in') ? step.bytes('in') : new Uint8Array();
      const flags = ['VFIO_GROUP_GET_STATUS', 'VFIO_DEVICE_GET_INFO'].includes(request) && answer === 'ok' ? ` ${out[4]!}` : '';
      return `${request}: ${answer}${flags}`;
    }
    default:
      return step.fail('call', 'a call that a trial has');
  }
}

describe('TrialBench', () => {
  it('puts the machine back after a trial, and builds it anew where a driver took VFs along', () => {
    const rebuilt = (name: string): readonly string[] => {
      const machine = machineOf(name);
      const bench = new TrialBench(machine, { iommu: 'vt-d', groups: groupsOf(name) });
      const out: string[] = [];
      for (const address of groupsOf(name).flat().sort()) {
        const made = bench.hostOf(address);
        bench.run(address, [address]);
        if (bench.hostOf(address) !== made) out.push(address);
      }
      return out;
    };
    expect(rebuilt('rootports')).toEqual([]);
    expect(rebuilt('sriov-igb')).toEqual(['0000:01:00.0', '0000:02:00.0', '0000:05:00.0']); // igb's PFs
  });

  it('knows every recorded machine', () => {
    expect(topologyNames()).toEqual(Object.keys(TRIALS).sort());
  });

  it.each(Object.entries(TRIALS).filter(([name]) => name !== 'arm-smmuv3'))('%s: the recorded answers, call by call', (name, count) => {
    const host = topologyMachine(name);
    const machine = machineOf(name);
    const bench = new TrialBench(machine, { iommu: iommuOf(host), groups: groupsOf(name) });
    const trials = host.objects('vfio');
    expect(trials).toHaveLength(count);
    for (const trial of trials) {
      const device = trial.string('device');
      const steps = trial.objects('steps');
      const members = steps.filter((step) => step.has('what') && step.string('what') === 'driver before').map((step) => step.string('device'));
      const made = bench.run(device, members);
      // That board is imitated: what resets it has is not what the functions below have.
      const shown = (line: string | undefined): string | undefined => (name === 'desktop-intel' ? line?.replace(/(GET_INFO: ok) \d$/, '$1') : line);
      const expected = steps.map(recordedLine).filter((line) => line !== undefined);
      expect(made.steps.map(lineOf).map(shown), `${device} ${trial.string('kind')}`).toEqual(expected.map(shown));
      const failed = made.failed === undefined ? 'ok' : `${errnoName(made.failed.result)} at ${made.failed.call}`;
      expect(failed).toBe(trial.string('result').replace(/sysfs_write .*\//, ''));
    }
  });

  it('arm-smmuv3: the recorded answers', () => {
    const host = topologyMachine('arm-smmuv3');
    const machine = machineOf('arm-smmuv3');
    const trials = host.objects('vfio');
    expect(trials).toHaveLength(TRIALS['arm-smmuv3']!);
    for (const trial of trials) {
      const device = trial.string('device');
      const steps = trial.objects('steps').filter((step) => step.has('ret') || step.has('flags'));
      // There a device gets its group when a driver is bound: this one had none, and is alone.
      const groups = [...groupsOf('arm-smmuv3'), ['0000:00:06.0']];
      const made = new TrialBench(machine, { iommu: iommuOf(host), groups }).run(device, [device]);
      const lines = made.steps.filter(({ call }) => call in ARM_CALLS || call.startsWith('open /dev/vfio/')).filter(({ call }) => call !== 'open /dev/vfio/vfio');
      const shown = lines.map(({ call, result, flags }) => `${ARM_CALLS[call] ?? 'open_group'}: ${call === 'VFIO_GROUP_GET_STATUS' && result === 0 ? flags! : result < 0 ? errnoName(result) : 'ok'}`);
      const expected = steps.map((step) => `${step.string('what')}: ${step.has('flags') ? step.number('flags') : step.raw('ret') === -1 ? step.string('errno') : 'ok'}`);
      // There the state was asked once, before SET_CONTAINER, and a trial ended when its group could not be opened.
      const once = shown.filter((line, i) => !line.startsWith('status') || !shown.slice(0, i).some((before) => before.startsWith('status')));
      expect(once.slice(0, expected.length), device).toEqual(expected);
    }
  });
});
