import {
  EINVAL,
  getDeviceFd,
  getDeviceInfo,
  getIrqInfo,
  getMigrationFlags,
  getRegionInfo,
  setIrqs,
  setIrqTriggers,
  StreamError,
  SyscallError,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  type EventFdContext,
  type Process,
} from '@vsim/vfio-core';
import { KVM_MSI_VALID_DEVID, type KvmVm } from '@vsim/gic-its';

/** Bytes of a vector on its way. */
const VECTOR_BYTES = 20;
/** Guest physical addresses end here: any other is no doorbell. */
const ADDRESSES = 2 ** 52;

const PCI_COMMAND = 4;
const PCI_COMMAND_MEMORY_MASTER = 6;

/** An entry of the guest's MSI-X table. */
export interface MsixEntry {
  /** Message address in guest physical bytes, below 2^52: the ITS's GITS_TRANSLATER. */
  address: number;
  /** Message data, 32 bits: the EventID. */
  data: number;
  /** Bit 0 of Vector Control (PCIe 7.7.2). */
  masked: boolean;
}

/** Where a vector leads, as KVM is told. */
export interface MsixRoute {
  /** Its number among the VM's global system interrupts. */
  readonly gsi: number;
  /** Doorbell in guest physical bytes. */
  readonly address: number;
  /** The EventID, 32 bits. */
  readonly data: number;
  /** DeviceID in the guest, given with KVM_MSI_VALID_DEVID. */
  readonly device: number;
}

interface Vector extends MsixEntry {
  readonly fd: number;
  readonly eventfd: EventFdContext;
  readonly gsi: number;
  /** Undefined while the guest has it masked. */
  route: MsixRoute | undefined;
  /** Pending while masked, and already taken out of the eventfd. */
  pending: boolean;
}

/** What the report says of a device. */
export interface DeviceSummary {
  /** PCI address on the host. */
  readonly name: string;
  /** Regions that VFIO_DEVICE_GET_INFO counts. */
  readonly regions: number;
  /** Interrupts of each index: INTx, MSI, MSI-X, ERR, REQ. */
  readonly irqs: readonly number[];
}

/** What the device needs of the VM that it is in. */
export interface DeviceHost {
  /** The VMM's process, which has the device's fds. */
  readonly process: Process;
  /** The VM, which has irqfds and routes. */
  readonly kvm: KvmVm;
  /** A GSI that nobody has. */
  nextGsi(): number;
  /** Tells KVM all routes anew. */
  updateRouting(): void;
}

/**
 * A VFIO device in a VM: its fd, and its MSI-X table as the guest sees it. What QEMU's hw/vfio/pci.c does.
 *
 * Each vector has an eventfd, given to VFIO as trigger and, while the guest has the vector unmasked, to KVM as irqfd. A masked
 * vector's eventfd stays with the VMM: a count in it is the vector's bit in the PBA.
 */
export class AssignedDevice {
  /** PCI address on the host. */
  readonly name: string;
  /** The device's fd in the VMM's process. */
  readonly fd: number;
  /** DeviceID in the guest: the requester id that its PCI host bridge gives it. */
  readonly guestDevice: number;
  /** What VFIO told of it as it was opened. */
  readonly summary: DeviceSummary;
  readonly #host: DeviceHost;
  readonly #vectors: Vector[] = [];

  /**
   * Opens the device, and sets memory and bus master enable in its command register.
   *
   * @param groupFd an open group, in a container with an IOMMU
   * @param name its PCI address on the host
   * @param guestDevice DeviceID in the guest, 32 bits
   * @throws SyscallError with the errno of the request that VFIO refused
   */
  constructor(host: DeviceHost, groupFd: number, name: string, guestDevice: number) {
    const { process } = host;
    this.#host = host;
    this.name = name;
    this.guestDevice = guestDevice;
    this.fd = getDeviceFd(process, groupFd, name);
    const { numRegions, numIrqs } = getDeviceInfo(process, this.fd);
    this.summary = { name, regions: numRegions, irqs: Array.from({ length: numIrqs }, (_, index) => irqCount(process, this.fd, index)) };
    const config = getRegionInfo(process, this.fd, VFIO_PCI_CONFIG_REGION_INDEX).offset;
    process.pwrite(this.fd, new Uint8Array([PCI_COMMAND_MEMORY_MASTER, 0]), Number(config) + PCI_COMMAND);
  }

  /** VFIO_MIGRATION_* flags; undefined: the device cannot migrate, and blocks the VM. */
  get migrationFlags(): bigint | undefined {
    try {
      return getMigrationFlags(this.#host.process, this.fd);
    } catch (error) {
      if (error instanceof SyscallError && error.code === 'ENOTTY') return undefined;
      throw error;
    }
  }

  /**
   * The guest enables MSI-X: every vector gets its eventfd, and comes masked.
   *
   * @param count vectors, from 0 to what the device has
   * @throws SyscallError with VFIO's errno; nothing is enabled then
   */
  enableMsix(count: number): void {
    const { process } = this.#host;
    const fds: number[] = [];
    try {
      const vectors = Array.from({ length: count }, (): Vector => {
        const fd = process.eventfd();
        fds.push(fd);
        const eventfd = process.eventFdContext(fd);
        if (typeof eventfd === 'number') throw new SyscallError('ioctl', eventfd, `eventfd ${fd}`);
        return { fd, eventfd, gsi: this.#host.nextGsi(), route: undefined, address: 0, data: 0, masked: true, pending: false };
      });
      if (count > 0) setIrqTriggers(process, this.fd, VFIO_PCI_MSIX_IRQ_INDEX, 0, fds);
      this.#vectors.push(...vectors);
    } catch (error) {
      for (const fd of fds) process.close(fd);
      throw error;
    }
  }

  /**
   * The guest writes an entry of the table. What was pending while it was masked is delivered when it is unmasked.
   *
   * @param n a vector in [0, vectors)
   * @throws RangeError for a vector that is not enabled
   */
  writeVector(n: number, entry: MsixEntry): void {
    const { kvm } = this.#host;
    const vector = this.#vector(n);
    if (!vector.masked) kvm.deassignIrqfd(vector.eventfd, vector.gsi);
    // Asked before the irqfd gets the eventfd: a count left in it would be delivered a second time.
    const pending = this.isPending(n);
    Object.assign(vector, entry);
    vector.route = entry.masked ? undefined : { gsi: vector.gsi, address: entry.address, data: entry.data, device: this.guestDevice };
    if (entry.masked) return;
    this.#host.updateRouting();
    if (pending) {
      vector.pending = false;
      kvm.signalMsi(entry.address, entry.data, KVM_MSI_VALID_DEVID, this.guestDevice);
    }
    kvm.irqfd(vector.eventfd, vector.gsi);
  }

  /**
   * The guest sets or clears the mask bit of an entry.
   *
   * @param n a vector in [0, vectors)
   * @throws RangeError for a vector that is not enabled
   */
  maskVector(n: number, masked: boolean): void {
    const { address, data } = this.#vector(n);
    this.writeVector(n, { address, data, masked });
  }

  /** Whether the guest has vector `n`, in [0, vectors), masked. */
  isMasked(n: number): boolean {
    return this.#vector(n).masked;
  }

  /** The vector's bit in the PBA. @param n a vector in [0, vectors) */
  isPending(n: number): boolean {
    const vector = this.#vector(n);
    if (vector.masked && this.#host.process.readEventfd(vector.fd) > 0n) vector.pending = true;
    return vector.pending;
  }

  /** Vectors that are enabled; 0 while MSI-X is off. */
  get vectors(): number {
    return this.#vectors.length;
  }

  /** Adds the routes of the vectors that the guest has unmasked. */
  addRoutes(to: MsixRoute[]): void {
    for (const { route } of this.#vectors) if (route !== undefined) to.push(route);
  }

  /** The table and the PBA, as they migrate: VECTOR_BYTES for each vector. */
  saveMsix(): Uint8Array {
    const view = new DataView(new ArrayBuffer(VECTOR_BYTES * this.#vectors.length));
    this.#vectors.forEach(({ address, data, masked }, n) => {
      view.setBigUint64(VECTOR_BYTES * n, BigInt(address), true);
      view.setUint32(VECTOR_BYTES * n + 8, data, true);
      view.setUint32(VECTOR_BYTES * n + 12, masked ? 1 : 0, true);
      view.setUint32(VECTOR_BYTES * n + 16, this.isPending(n) ? 1 : 0, true);
    });
    return new Uint8Array(view.buffer);
  }

  /**
   * Looks at a saved table before anything is restored from it.
   *
   * @throws StreamError unless the bytes are vectors that this device has, at addresses that there are
   */
  checkMsix(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = bytes.length / VECTOR_BYTES;
    const most = this.summary.irqs[VFIO_PCI_MSIX_IRQ_INDEX] ?? 0;
    if (!Number.isInteger(count) || count > most) throw new StreamError(`msix ${this.name}: ${bytes.length} bytes are not the state of at most ${most} vectors`);
    for (let n = 0; n < count; n += 1) {
      if (view.getBigUint64(VECTOR_BYTES * n, true) >= ADDRESSES) throw new StreamError(`msix ${this.name}: vector ${n} has no address`);
    }
  }

  /** The destination's part: MSI-X is enabled with the saved table, and forwarding set up again. */
  restoreMsix(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.enableMsix(bytes.length / VECTOR_BYTES);
    for (let n = 0; n < this.#vectors.length; n += 1) {
      this.#vector(n).pending = view.getUint32(VECTOR_BYTES * n + 16, true) !== 0;
      const address = Number(view.getBigUint64(VECTOR_BYTES * n, true));
      this.writeVector(n, { address, data: view.getUint32(VECTOR_BYTES * n + 8, true), masked: view.getUint32(VECTOR_BYTES * n + 12, true) !== 0 });
    }
  }

  /** The VM gives the device back: interrupts off, eventfds and the device closed. */
  close(): void {
    const { process, kvm } = this.#host;
    for (const { masked, eventfd, gsi } of this.#vectors) if (!masked) kvm.deassignIrqfd(eventfd, gsi);
    if (this.#vectors.length > 0) setIrqs(process, this.fd, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
    for (const { fd } of this.#vectors.splice(0)) process.close(fd);
    process.close(this.fd);
  }

  #vector(n: number): Vector {
    const vector = this.#vectors[n];
    if (vector === undefined) throw new RangeError(`"n" expected a vector below ${this.#vectors.length}, got ${n}`);
    return vector;
  }
}

/** The interrupts of an index; 0 for one that the device does not have (ERR of a conventional device). */
function irqCount(process: Process, fd: number, index: number): number {
  let result = 0;
  const { count } = getIrqInfo({ ioctl: (...call) => (result = process.tryIoctl(...call)) }, fd, index);
  if (result < 0 && result !== -EINVAL) throw new SyscallError('ioctl', result, `fd ${fd}`);
  return result < 0 ? 0 : count;
}
