import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

const FOLDER = '/sys/bus/pci/devices/0000:01:00.0';

describe('an attribute of sysfs', () => {
  it('is read from a line that names its file', () => {
    const { devices, unread } = readPaste(`${FOLDER}/reset_method:flr bus\n${FOLDER}/vendor:0x10de\n${FOLDER}/class:0x030000\n${FOLDER}/boot_vga:1\n`);
    expect(devices).toMatchObject([{ address: '0000:01:00.0', resetMethods: ['flr', 'bus'], vendor: 0x10de, classCode: 0x300, progIf: 0, bootVga: true }]);
    expect(unread).toEqual([]);
  });

  it('is read from what a command prints that asked for it', () => {
    expect(readPaste(`$ cat ${FOLDER}/reset_method\nflr bus\n$ cat ${FOLDER}/boot_vga\n0\n`).devices).toMatchObject([{ resetMethods: ['flr', 'bus'], bootVga: false }]);
    expect(readPaste(`cat: ${FOLDER}/reset_method: No such file or directory\n`).devices).toEqual([]);
  });

  it('is read from a link', () => {
    expect(readPaste(`lrwxrwxrwx 1 root root 0 Nov 30 12:00 ${FOLDER}/driver -> ../../../../bus/pci/drivers/vfio-pci\n`).devices).toMatchObject([{ driver: 'vfio-pci' }]);
  });
});
