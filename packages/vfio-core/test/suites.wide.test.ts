/** The compliance suites against the core's own kinds; and against subjects that break their rules, which they must find. */
import { describe, expect, it } from 'vitest';
import { busSuite, iommuSuite, migrationSuite, type ComplianceCase, type MigrationSubject } from '@vsim/vfio-core/testing';
import {
  EINVAL,
  getDeviceFd,
  Host,
  IommuDomain,
  MIG_STATE,
  MigrationDriver,
  ResumeFile,
  SaveFile,
  SmmuV3Iommu,
  VtdIommu,
  VFIO_DEVICE_RESET,
  VFIO_MIGRATION_STOP_COPY,
  type File,
  type MigState,
  type Process,
  type ProfileName,
  type Sleeps,
  type UserArgument,
} from '@vsim/vfio-core';
import { openGroup, sampleHost, SampleVfioDevice } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'];
const RAM = [{ base: 0x1_0000_0000, size: 0x100_0000 }];

function tests(suite: readonly ComplianceCase[]): void {
  for (const { name, run } of suite) it(name, run);
}

/** How many cases a subject fails. */
function failures(suite: readonly ComplianceCase[]): number {
  return suite.filter(({ run }) => {
    try {
      run();
      return false;
    } catch {
      return true;
    }
  }).length;
}

describe('VT-d', () => tests(iommuSuite(() => iommu((host) => new VtdIommu(host)))));
describe('SMMUv3', () => tests(iommuSuite(() => iommu((host) => new SmmuV3Iommu(host)))));

function iommu(make: (host: Host) => VtdIommu | SmmuV3Iommu) {
  const host = new Host({ ram: RAM });
  return { host, unit: make(host) };
}

it('the IOMMU suite finds a unit that allows everything', () => {
  class Open extends IommuDomain {
    override translate(frame: number): number {
      return super.translate(frame, 0) ?? 0;
    }
  }
  const suite = iommuSuite(() => {
    const subject = iommu((host) => new VtdIommu(host));
    subject.unit.createDomain = () => new Open(subject.unit);
    return subject;
  });
  expect(failures(suite)).toBe(3);
});

describe.each(PROFILES)('the sample bus on %s', (profile) => {
  tests(
    busSuite(() => {
      const { root } = sampleHost(['a'], { profile });
      root.writeFile('/sys/bus/sample/devices/a/driver_override', 'vfio-sample');
      return { process: root, bus: '/sys/bus/sample', device: 'a', driver: 'vfio-sample' };
    }),
  );
});

/** Four bytes of state; `careless` takes what is too short. */
class FourBytes extends SampleVfioDevice {
  careless = false;
  #save: SaveFile | undefined;
  #resume: ResumeFile | undefined;
  readonly #machine: MigrationDriver = new MigrationDriver(VFIO_MIGRATION_STOP_COPY, { arc: (from, to) => this.#arc(from, to) });

  override get migration(): MigrationDriver {
    return this.#machine;
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    if (request !== VFIO_DEVICE_RESET) return super.ioctl(process, request, argument);
    this.#machine.reset();
    this.#save?.disable();
    this.#resume?.disable();
    return 0;
  }

  *#arc(from: MigState, to: MigState): Sleeps<File | number> {
    if (to === MIG_STATE.STOP_COPY) return (this.#save = new SaveFile(this.memory.slice()));
    if (to === MIG_STATE.RESUMING) return (this.#resume = new ResumeFile(16));
    this.#save?.disable();
    if (from === MIG_STATE.RESUMING && this.#resume !== undefined) {
      const { bytes } = this.#resume;
      if (bytes.length !== 4 && bytes.length !== 0 && !this.careless) return -EINVAL;
      this.memory.set(bytes);
      this.#resume.disable();
    }
    return 0;
  }
}

function migrating(careless = false): MigrationSubject {
  const sample = sampleHost(['a']);
  const device = new FourBytes(sample.vfio, sample.bus.device('a')!);
  device.careless = careless;
  device.memory.set([1, 2, 3, 4]);
  sample.host.scheduler.call('register', device.register());
  const { group } = openGroup(sample, 0);
  return { process: sample.root, device: getDeviceFd(sample.root, group, 'a') };
}

describe('a device that migrates', () => tests(migrationSuite(migrating)));

it('the migration suite finds a device that takes a state cut short', () => {
  expect(failures(migrationSuite(() => migrating(true)))).toBe(1);
});
