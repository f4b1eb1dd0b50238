import type { ServedDevice } from '../server/served-device.ts';

/** A device some of whose answers are others. @param own in place of the device's */
export function wrapped(device: ServedDevice, own: Partial<ServedDevice>): ServedDevice {
  return {
    ioctl: (request, argument) => device.ioctl(request, argument),
    read: (region, offset, into) => device.read(region, offset, into),
    write: (region, offset, from) => device.write(region, offset, from),
    setIrqs: (argument, eventfds) => device.setIrqs(argument, eventfds),
    mapDma: (memory) => device.mapDma(memory),
    unmapDma: (iova, size) => device.unmapDma(iova, size),
    regionMemory: (region) => device.regionMemory(region),
    readState: (into) => device.readState(into),
    writeState: (from) => device.writeState(from),
    disconnect: () => { device.disconnect(); },
    ...own,
  };
}
