/** A door for fuzzers: every ioctl on containers, groups, PCI devices and other fds. */
import { Process, type ProfileName, type Random } from '@vsim/vfio-core';
import { pick, type Door } from '../../../testing/fuzz.ts';
import { RefusedCalls } from '../../../testing/refused-calls.ts';
import { createRingNic } from '../src/index.ts';
import { bind, CONFIG, EDU_NAME, eduHost, open, write16 } from './edu-host.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'];
const NIC = '0000:00:05.0';

function world(random: Random): RefusedCalls {
  const made = eduHost({ profile: pick(random, PROFILES) });
  const { bus, host } = made;
  bus.plug(createRingNic(host, NIC), { group: 9 });
  for (const name of [EDU_NAME, NIC]) bind(made.process, name);
  const process = new Process(host);
  const edu = open(process);
  const nic = open(process, NIC, 9);
  write16(process, edu.device, CONFIG + 4, 6);
  const functions = [EDU_NAME, NIC].map((name) => bus.function(name)!);
  return new RefusedCalls({
    process,
    fds: { containers: [edu.container, nic.container, process.open('/dev/vfio/vfio')], groups: [edu.group, nic.group], devices: [edu.device, nic.device], others: [process.eventfd(0, { semaphore: true })] },
    dma: [EDU_NAME, NIC].map((name) => () => bus.device(name)?.iommuGroup),
    names: [EDU_NAME, NIC],
    folders: [EDU_NAME, NIC].map((name) => `/sys/bus/pci/devices/${name}`),
    hardware: () => functions.map((fn) => `${fn.powerState} ${fn.config.bytes.join()}`).join(' '),
  });
}

export const REFUSALS: Door = { name: 'refusals-pci', length: 100, open: world };
