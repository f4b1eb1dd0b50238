/** DEVICE_FEATURE: the device's features, migration and the log of DMA among them. */
import {
  EINVAL,
  get,
  set,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MASK,
  VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  vfio_device_feature_dma_logging_report,
} from '@vsim/vfio-core';
import { FEATURE_LAYOUT } from '../wire/layouts.ts';
import { type FeatureMessage, type Refused, refused } from '../wire/messages.ts';
import { type Answer, deviceRefused } from './answer.ts';
import type { ServedDevice } from './served-device.ts';

/** What GET of a feature that is not known here may have, in bytes. */
const MOST = 65_536;
const NONE = new Uint8Array(0);

/** DEVICE_FEATURE. @param maxBitmapSize bytes of the largest bitmap of dirty pages */
export function answerFeature(device: Pick<ServedDevice, 'ioctl'>, asked: FeatureMessage, maxBitmapSize: number): Answer {
  const methods = asked.flags & ~VFIO_DEVICE_FEATURE_MASK;
  if ((methods & VFIO_DEVICE_FEATURE_PROBE) === 0 && methods !== VFIO_DEVICE_FEATURE_GET && methods !== VFIO_DEVICE_FEATURE_SET) {
    return refused(EINVAL, 'DEVICE_FEATURE gets, sets or probes');
  }
  let length = asked.data.length;
  if (methods === VFIO_DEVICE_FEATURE_GET) {
    const wanted = gotten(asked, maxBitmapSize);
    if (typeof wanted !== 'number') return wanted;
    length = wanted;
    // Before the device is asked, as a report empties the log.
    const argsz = FEATURE_LAYOUT.size + length;
    if (asked.argsz < argsz) return { reply: { ...asked, argsz, data: NONE } };
  }
  const argument = new Uint8Array(FEATURE_LAYOUT.size + length);
  set(argument, FEATURE_LAYOUT.argsz, argument.length);
  set(argument, FEATURE_LAYOUT.flags, asked.flags);
  argument.set(asked.data.subarray(0, length), FEATURE_LAYOUT.size);
  const code = device.ioctl(VFIO_DEVICE_FEATURE, argument);
  if (code < 0) return deviceRefused(code, `feature ${asked.flags & VFIO_DEVICE_FEATURE_MASK}`);
  return { reply: { name: 'DEVICE_FEATURE', argsz: argument.length, flags: asked.flags, data: argument.subarray(FEATURE_LAYOUT.size) } };
}

/** Bytes of data that GET of a feature answers. */
function gotten(asked: FeatureMessage, maxBitmapSize: number): number | Refused {
  switch (asked.flags & VFIO_DEVICE_FEATURE_MASK) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
      return 8;
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: {
      // The bitmap stands where the kernel's struct points to it.
      const { page_size, range_length, bitmap: [fixed] } = vfio_device_feature_dma_logging_report;
      if (asked.data.length < fixed) return refused(EINVAL, 'a report of dirty pages without its range');
      const page = get(asked.data, page_size);
      const length = get(asked.data, range_length);
      if (page === 0n || (page & (page - 1n)) !== 0n) return refused(EINVAL, `pages of ${page} bytes`);
      const bytes = 8n * ((length + 64n * page - 1n) / (64n * page));
      return bytes > maxBitmapSize ? refused(EINVAL, `a bitmap of ${bytes} bytes`) : fixed + Number(bytes);
    }
    default:
      return Math.max(asked.data.length, Math.min(asked.argsz - FEATURE_LAYOUT.size, MOST));
  }
}
