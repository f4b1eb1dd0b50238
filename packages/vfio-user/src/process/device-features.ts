/** VFIO_DEVICE_FEATURE for a client, that has neither memory nor fds of the process: what the kernel's structs point to is in the argument. */
import {
  EINVAL,
  ENOTTY,
  get,
  set,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_BUF,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_MASK,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_PROBE,
  vfio_device_feature,
  vfio_device_feature_dma_logging_control,
  vfio_device_feature_dma_logging_range,
  vfio_device_feature_dma_logging_report,
  vfio_device_feature_mig_state,
  type Process,
} from '@vsim/vfio-core';
import { finish } from './finish.ts';

const HEADER = vfio_device_feature.size;
/** In the protocol's structs: what follows is where the kernel has a pointer. */
const RANGES = HEADER + vfio_device_feature_dma_logging_control.ranges[0];
const BITMAP = HEADER + vfio_device_feature_dma_logging_report.bitmap[0];
const NO_FD = -1;

/** Features of one device, and the stream of its state. */
export class DeviceFeatures {
  readonly #process: Process;
  readonly #device: number;
  /** The fd that carries the state, as long as there is one. */
  #stream: number | undefined;

  /** @param device the fd of the device */
  constructor(process: Process, device: number) {
    this.#process = process;
    this.#device = device;
  }

  /** VFIO_DEVICE_FEATURE, as ServedDevice has it. @returns what the device answers; -ENOTTY for features that hand fds about, -EINVAL for a short argument */
  ioctl(argument: Uint8Array): number {
    if (argument.length < HEADER) return -EINVAL;
    const flags = get(argument, vfio_device_feature.flags);
    const probe = (flags & VFIO_DEVICE_FEATURE_PROBE) !== 0;
    switch (flags & VFIO_DEVICE_FEATURE_MASK) {
      case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP:
      case VFIO_DEVICE_FEATURE_DMA_BUF:
        return -ENOTTY;
      case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
        return probe ? this.#ask(argument) : this.#state(argument);
      case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        return probe ? this.#ask(argument) : this.#start(argument);
      case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
        return probe ? this.#ask(argument) : this.#report(argument);
      default:
        return this.#ask(argument);
    }
  }

  /** Bytes of the state that is saved. @returns how many; 0 at the end; -EINVAL without a stream, or what the stream answers */
  readState(into: Uint8Array): number {
    return this.#stream === undefined ? -EINVAL : this.#process.tryRead(this.#stream, into);
  }

  /** Takes bytes of a state. @returns how many; -EINVAL without a stream, or what the stream answers */
  writeState(from: Uint8Array): number {
    return this.#stream === undefined ? -EINVAL : this.#process.tryWrite(this.#stream, from);
  }

  #ask(argument: Uint8Array): number {
    return finish(this.#process, 'ioctl', this.#process.sys.ioctl(this.#device, VFIO_DEVICE_FEATURE, argument));
  }

  /** The stream goes on until another comes: one that PRE_COPY began is that of STOP_COPY, too. */
  #state(argument: Uint8Array): number {
    if (argument.length < HEADER + vfio_device_feature_mig_state.size) return -EINVAL;
    const data = argument.subarray(HEADER);
    const result = this.#ask(argument);
    const fd = get(data, vfio_device_feature_mig_state.data_fd);
    set(data, vfio_device_feature_mig_state.data_fd, NO_FD);
    if (result < 0 || fd < 0 || this.#process.file(fd) === undefined) return result;
    if (this.#stream !== undefined) this.#process.close(this.#stream);
    this.#stream = fd;
    return result;
  }

  #start(argument: Uint8Array): number {
    const layout = vfio_device_feature_dma_logging_control;
    if (argument.length < RANGES) return -EINVAL;
    const ranges = argument.subarray(RANGES);
    if (get(argument.subarray(HEADER), layout.num_ranges) * vfio_device_feature_dma_logging_range.size > ranges.length) return -EINVAL;
    return this.#pointed(argument.subarray(0, RANGES), layout.ranges[0], ranges);
  }

  #report(argument: Uint8Array): number {
    const layout = vfio_device_feature_dma_logging_report;
    if (argument.length < BITMAP) return -EINVAL;
    const data = argument.subarray(HEADER);
    const bitmap = argument.subarray(BITMAP);
    const page = get(data, layout.page_size);
    if (page === 0n || get(data, layout.range_length) > BigInt(bitmap.length) * 8n * page) return -EINVAL;
    return this.#pointed(argument.subarray(0, BITMAP), layout.bitmap[0], bitmap);
  }

  /** Asks with a pointer behind `fixed`, at `field` of the feature's data: to memory with `bytes`, which are changed as the kernel changes it. */
  #pointed(fixed: Uint8Array, field: number, bytes: Uint8Array): number {
    const memory = this.#process.mm.mapAnonymous(Math.max(bytes.length, 1));
    if (typeof memory === 'number') return memory;
    memory.writeBytes(0, bytes);
    const request = new Uint8Array(fixed.length + 8);
    request.set(fixed);
    set(request, vfio_device_feature.argsz, request.length);
    set(request, [HEADER + field, 'u64'], memory.address);
    const result = this.#ask(request);
    bytes.set(memory.readBytes(0, bytes.length));
    fixed.subarray(HEADER).set(request.subarray(HEADER, fixed.length));
    memory.unmap();
    return result;
  }
}
