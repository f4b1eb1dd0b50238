/** The AMBA bus: what a device is, its interrupts, its power, and what it is called. */
import { getDeviceFd, NOT_IDENTIFIED } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { IrqLine, PM_UNBALANCED } from '../src/index.ts';
import { NAME, setUp } from './set-up.ts';

const FOLDER = `/sys/bus/amba/devices/${NAME}`;

describe('the identification of an AMBA device', () => {
  it('comes from its node, else from the last 0x20 bytes of its registers, when a driver is first tried [platform 9]', () => {
    const { root, bind, device } = setUp({ peripheralId: 'registers' });
    expect([device.peripheralId, root.readFile(`${FOLDER}/id`)]).toEqual([0, '00000000\n']);
    bind();
    // A PL011 of revision 1.
    expect(root.readFile(`${FOLDER}/id`)).toBe('00141011\n');
    expect(setUp({ amba: true }).root.readFile(`${FOLDER}/id`)).toBe('00241011\n');
  });

  it('that cannot be read lets drivers_probe fail, and bind work [platform 8]', () => {
    const { root, reasons, bind, device } = setUp({ peripheralId: 'registers', resources: [{ kind: 'mem', start: 0x1_0000_0000, size: 0x1000 }] });
    device.driverOverride = 'vfio-amba';
    expect(why(reasons, () => root.writeFile('/sys/bus/amba/drivers_probe', NAME))).toBe(`EINVAL ${NOT_IDENTIFIED.id}: nobody can tell what ${NAME} is`);
    bind();
    expect([device.driverName, root.readFile(`${FOLDER}/id`)]).toEqual(['vfio-amba', '00000000\n']);
  });
});

it('GET_DEVICE_FD takes the name of the device, also on AMBA, and no options [platform 1] [platform 2]', () => {
  const { root, bind, open } = setUp({ amba: true });
  bind();
  const { group } = open();
  expect(getDeviceFd(root, group, NAME)).toBeGreaterThan(0);
  for (const name of ['vfio-amba-00241011', `${NAME} `, ` ${NAME}`, NAME.toUpperCase(), `${NAME} vf_token=00000000-0000-0000-0000-000000000000`, '']) {
    expect([name, outcomeOf(() => getDeviceFd(root, group, name))]).toEqual([name, 'ENODEV']);
  }
});

it('an AMBA device is awake from bind to unbind, and the first bind is one enabling too many [platform 20]', () => {
  const { root, bind, unbind, open, events } = setUp({ amba: true });
  const status = (): string => root.readFile(`${FOLDER}/power/runtime_status`).trim();
  const seen = [status()];
  bind();
  seen.push(status());
  const fds = open();
  for (const fd of [fds.device, fds.group, fds.container]) root.close(fd);
  seen.push(status());
  unbind();
  seen.push(status());
  bind();
  expect([...seen, status()]).toEqual(['unsupported', 'active', 'active', 'unsupported', 'active']);
  expect(events.map(({ id }) => id)).toEqual([PM_UNBALANCED.id]);
});

it('power/control keeps a platform device awake while it is bound [platform 20]', () => {
  const { root, bind, unbind } = setUp();
  const power = `/sys/bus/platform/devices/${NAME}/power`;
  const status = (): string => root.readFile(`${power}/runtime_status`).trim();
  bind();
  root.writeFile(`${power}/control`, 'on');
  expect([root.readFile(`${power}/control`), status()]).toEqual(['on\n', 'active']);
  root.writeFile(`${power}/control`, 'auto\n');
  expect(status()).toBe('suspended');
  expect(outcomeOf(() => root.writeFile(`${power}/control`, 'off'))).toBe('EINVAL');
  unbind();
  expect(status()).toBe('unsupported');
});

it('the AMBA bus finds nine interrupts at each bind, and who describes a line first decides its trigger [platform 33]', () => {
  const shared = new IrqLine(40, 'none');
  const lines = Array.from({ length: 10 }, (_, i) => new IrqLine(50 + i, 'edge-rising'));
  const first = setUp({ amba: true, irqs: [{ line: shared, trigger: 'edge-rising' }] });
  first.bind();
  const { device, host } = setUp({ amba: true, irqs: [lines[0], { line: shared, trigger: 'level-high' }, lines[1]] });
  expect(device.mapLines()).toEqual([lines[0]]);
  expect(shared.map('none', host)).toBe(true);
  const many = setUp({ amba: true, irqs: lines });
  many.bind();
  expect(many.device.lines()).toHaveLength(9);
});
