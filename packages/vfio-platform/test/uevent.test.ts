/** `uevent` of platform and AMBA devices: what dev_uevent() and the buses' operations put together. */
import { expect, it } from 'vitest';
import { NAME, setUp } from './set-up.ts';

const TREE = 'OF_NAME=uart\nOF_FULLNAME=/uart@9000000\nOF_COMPATIBLE_0=vsim,uart\nOF_COMPATIBLE_1=arm,pl011\nOF_COMPATIBLE_N=2\n';

it('tells node, driver and alias of a platform device', () => {
  const { root, bind } = setUp();
  const path = `/sys/bus/platform/devices/${NAME}/uevent`;
  const own = `${TREE}MODALIAS=of:NuartT(null)Cvsim,uartCarm,pl011\n`;
  expect([root.readFile(path), root.writeFile(path, 'add')]).toEqual([own, 3]);
  bind();
  expect(root.readFile(path)).toBe(`DRIVER=vfio-platform\n${own}`);
});

it('tells the peripheral id of an AMBA device', () => {
  const { root } = setUp({ amba: true });
  expect(root.readFile(`/sys/bus/amba/devices/${NAME}/uevent`)).toBe(`${TREE}AMBA_ID=00241011\nMODALIAS=amba:d00241011\n`);
});

it.each([[{ acpi: { hid: 'ARMH0011' } }, 'MODALIAS=acpi:ARMH0011:\n'], [{}, `MODALIAS=platform:${NAME}\n`]])('tells the alias of a device without a node: %o', (firmware, text) => {
  const { root } = setUp({ firmware });
  expect(root.readFile(`/sys/bus/platform/devices/${NAME}/uevent`)).toBe(text);
});
