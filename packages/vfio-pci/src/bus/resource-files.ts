/**
 * /proc/iomem and /proc/ioports: the BARs of the bus, and which of them a driver has claimed.
 *
 * Not modelled: what is neither a BAR nor a claim (RAM, windows of bridges, the devices of the board).
 */
import { rangeEnd } from '@vsim/vfio-core';
import type { PciBus } from './pci-bus.ts';

/** Puts the two files into the tree. */
export function createResourceFiles(bus: PciBus): void {
  bus.host.files.constant('/proc/iomem', () => resources(bus, false));
  bus.host.files.constant('/proc/ioports', () => resources(bus, true));
}

function resources(bus: PciBus, io: boolean): string {
  const bars = bus.devices.flatMap((device) =>
    device.function.bars
      .filter((bar) => (bar.kind === 'io') === io && bar.address !== 0 && !bar.shadow)
      .map((bar) => ({ start: bar.address, end: rangeEnd(bar.address, bar.size) - 1, name: device.name, claim: device.barClaims.get(bar.index) })),
  );
  const hex = (address: number): string => address.toString(16).padStart(io ? 4 : 8, '0');
  return bars
    .sort((a, b) => a.start - b.start)
    .map(({ start, end, name, claim }) => {
      const range = `${hex(start)}-${hex(end)}`;
      return `${range} : ${name}\n${claim === undefined ? '' : `  ${range} : ${claim}\n`}`;
    })
    .join('');
}
