/** Groups are history: a function is asked when it is found, and what changes afterwards changes nobody's group. */
import { describe, expect, it } from 'vitest';
import { PciFunction, buildConfig, findCapability } from '../src/index.ts';
import { eduHost } from './edu-host.ts';

const PORT = '0000:00:05.0';
const BELOW = ['0000:01:00.0', '0000:02:00.0'] as const;
/** SrcValid, ReqRedir, CmpltRedir, UpstreamFwd. */
const FULL = 0x1d;
const ACS_CONTROL = 0x106;

/** Two root ports of one slot, both with ACS on, and an endpoint below each. */
function machine() {
  const { host, bus, process } = eduHost();
  const port = (address: string, secondary: number): void => {
    const config = buildConfig({ vendor: 0x1b36, device: 0x000c, class: 0x06_0400, express: true, acs: { capability: FULL, control: FULL } });
    config[0x0e] = 0x81;
    config.set([0, secondary, secondary], 0x18);
    config[findCapability(config, 0x10) + 2] = 0x42; // root port
    bus.plug(new PciFunction(host, { address, config, writeMasks: { 0x104: 0xffff_0000 } }));
  };
  port(PORT, 1);
  port('0000:00:05.1', 2);
  for (const address of BELOW) bus.plug(new PciFunction(host, { address, config: buildConfig({ vendor: 0x1d55, device: 9, express: true }) }));
  const groupOf = (address: string): number | undefined => bus.device(address)?.iommuGroup?.id;
  /** As `setpci` does. */
  const setControl = (address: string, control: number): void => bus.function(address)?.configWrite(ACS_CONTROL, 2, control);
  const again = (address: string): void => {
    process.writeFile(`/sys/bus/pci/devices/${address}/remove`, '1');
    process.writeFile('/sys/bus/pci/rescan', '1');
  };
  return { groupOf, setControl, again };
}

describe('groups of a bus', () => {
  it('stay when ACS is taken away; who is found afterwards follows the registers', () => {
    const { groupOf, setControl, again } = machine();
    const [port, other] = [groupOf(PORT), groupOf('0000:00:05.1')];
    expect(new Set([port, other, groupOf(BELOW[0]), groupOf(BELOW[1])]).size).toBe(4);
    setControl(PORT, 0);
    setControl('0000:00:05.1', 0);
    expect(new Set([groupOf(PORT), groupOf('0000:00:05.1'), groupOf(BELOW[0]), groupOf(BELOW[1])]).size).toBe(4);
    again(BELOW[0]);
    // Its port does not isolate any more; the ports themselves stay apart, as they were found.
    expect(groupOf(BELOW[0])).toBe(port);
    expect([groupOf(PORT), groupOf('0000:00:05.1')]).toEqual([port, other]);
    expect(groupOf(BELOW[1])).not.toBe(other);
  });

  it('give the number of a group that has gone to the next that comes', () => {
    const { groupOf, setControl, again } = machine();
    const first = groupOf(BELOW[0]);
    setControl(PORT, 0);
    again(BELOW[0]);
    setControl(PORT, FULL);
    expect(groupOf(BELOW[0])).not.toBe(first);
    again(BELOW[0]);
    expect(groupOf(BELOW[0])).toBe(first);
  });
});
