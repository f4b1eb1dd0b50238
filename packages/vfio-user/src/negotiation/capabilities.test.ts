import { EINVAL } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { type Capabilities, capabilitiesText, DEFAULT_CAPABILITIES, parseCapabilities } from './capabilities.ts';

const QEMU =
  '{"capabilities": {"pgsizes": 4096, "max_msg_fds": 16, "max_dma_maps": 65535, "max_data_xfer_size": 1048576, "migration": {"max_bitmap_size": 268435456, "pgsize": 4096}, "write_multiple": true}}';

describe('the text of VERSION', () => {
  it('of QEMU 11.1.3 is read', () => {
    expect(parseCapabilities(QEMU)).toEqual({
      maxMsgFds: 16,
      maxDataXferSize: 1_048_576,
      maxDmaMaps: 65_535,
      pageSizes: 4096,
      migration: { pageSize: 4096, maxBitmapSize: 268_435_456 },
      writeMultiple: true,
    });
  });

  it.each([undefined, '{}', '{"capabilities":{}}', '{"capabilities":{"max_speed":[1,{}],"twin_socket":{"supported":true,"fd_index":0}},"other":1}'])('%s stands for the defaults', (text) => {
    expect(parseCapabilities(text)).toEqual(DEFAULT_CAPABILITIES);
  });

  it('of a side that migrates and says no more has the defaults of that', () => {
    expect(parseCapabilities('{"capabilities":{"migration":{}}}')).toMatchObject({ migration: { pageSize: 4096, maxBitmapSize: 268_435_456 } });
  });

  it.each([
    '',
    '{',
    'null',
    '1',
    '[]',
    '{"capabilities":[]}',
    '{"capabilities":"{}"}',
    '{"capabilities":{"max_msg_fds":"1"}}',
    '{"capabilities":{"max_msg_fds":-1}}',
    '{"capabilities":{"max_msg_fds":1.5}}',
    '{"capabilities":{"max_msg_fds":1e400}}',
    '{"capabilities":{"max_msg_fds":null}}',
    '{"capabilities":{"max_data_xfer_size":0}}',
    '{"capabilities":{"max_dma_maps":true}}',
    '{"capabilities":{"pgsizes":{}}}',
    '{"capabilities":{"migration":1}}',
    '{"capabilities":{"migration":{"pgsize":0}}}',
    '{"capabilities":{"migration":{"max_bitmap_size":"big"}}}',
    '{"capabilities":{"twin_socket":true}}',
    '{"capabilities":{"write_multiple":1}}',
    `{"capabilities":${'['.repeat(100_000)}`,
    '{}\u0000{}',
  ])('%.60s is refused', (text) => {
    expect(parseCapabilities(text)).toMatchObject({ errno: EINVAL });
  });

  it('comes back from what is written', () => {
    const own: Capabilities = { maxMsgFds: 3, maxDataXferSize: 5, maxDmaMaps: 7, pageSizes: 0x11000, migration: { pageSize: 9, maxBitmapSize: 11 }, writeMultiple: true };
    expect(parseCapabilities(capabilitiesText(own))).toEqual(own);
    expect(parseCapabilities(capabilitiesText(DEFAULT_CAPABILITIES))).toEqual(DEFAULT_CAPABILITIES);
  });
});
