import { constant, type Attribute, type Sleeps } from '@vsim/vfio-core';
import { PCI_SRIOV_CTRL, PCI_SRIOV_CTRL_MSE, PCI_SRIOV_CTRL_VFE, PCI_SRIOV_NUM_VF } from '../pci/registers.ts';
import type { SriovCapability } from '../pci/sriov.ts';
import { NUMVFS_DRIVER, NUMVFS_HARDWARE, NUMVFS_RANGE, NUMVFS_SET } from './bus-reasons.ts';
import { badValue, parseBoolean, parseUnsigned } from './parse.ts';
import type { PciDevice } from './pci-device.ts';
import { PciDriver } from './pci-driver.ts';

/** sysfs takes 16 bits. */
const U16 = 0xffff;

/**
 * SR-IOV as the PCI core runs it: virtual functions that appear and go by sysfs. Kernel: drivers/pci/iov.c.
 *
 * Not modelled: VF migration, MSI-X vectors moved between VFs (`sriov_vf_total_msix` is 0), waits for the hardware.
 *
 * The virtual functions of one PF: struct pci_sriov.
 */
export class Sriov {
  /** Whether drivers are asked when a VF appears: sysfs `sriov_drivers_autoprobe`. */
  driversAutoprobe = true;
  readonly #pf: PciDevice;
  readonly #hardware: SriovCapability;
  #functions: (PciDevice | undefined)[] = [];
  #count = 0;

  /** Made with its PciDevice. @internal */
  constructor(pf: PciDevice, hardware: SriovCapability) {
    this.#pf = pf;
    this.#hardware = hardware;
  }

  /** TotalVFs of the capability: sysfs `sriov_totalvfs`. */
  get totalVfs(): number {
    return this.#hardware.totalVfs;
  }

  /** How many VFs are enabled; while they are taken away, how many there were. */
  get count(): number {
    return this.#count;
  }

  /** The VFs that are on the bus, by number. */
  get functions(): readonly PciDevice[] {
    return this.#functions.filter((vf) => vf !== undefined);
  }

  /**
   * pci_enable_sriov(), with the device lock held.
   *
   * @param count from 1 to totalVfs
   * @returns 0, -EBUSY while there are VFs, -ENOTTY for hardware that makes none
   */
  *enable(count: number): Sleeps<number> {
    const { bus, function: fn } = this.#pf;
    const { refusals } = this.#pf.host;
    if (this.#count > 0) return refusals.refuse(NUMVFS_SET, { device: this.#pf.name, wanted: count, count: this.#count });
    const hardware = Array.from({ length: count }, (_, index) => fn.makeVirtualFunction(index));
    if (hardware.includes(undefined)) return refusals.refuse(NUMVFS_HARDWARE, { device: this.#pf.name, wanted: count });
    fn.configWrite(this.#hardware.at + PCI_SRIOV_NUM_VF, 2, count);
    fn.configWrite(this.#hardware.at + PCI_SRIOV_CTRL, 2, this.#hardware.control | PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
    this.#count = count;
    this.#functions = hardware.map((vf) => (vf === undefined ? undefined : bus.plugVirtual(this.#pf, vf)));
    for (let index = 0; index < count; index += 1) {
      const vf = this.#functions[index];
      if (vf === undefined) continue;
      this.#link(index, vf);
      yield* bus.probe(vf);
    }
    return 0;
  }

  /** A VF that is there when the host starts, enabled by whoever ran before. @throws RangeError for a function that is none of this PF's */
  adopt(vf: PciDevice): void {
    const { requester } = this.#pf.function.address;
    const place = (index: number): boolean => this.#hardware.requester(requester, index) === vf.function.address.requester;
    const index = Array.from({ length: this.totalVfs }, (_, i) => i).findIndex(place);
    if (index < 0) throw new RangeError(`"vf" expected a virtual function of ${this.#pf.name}, got ${vf.name}`);
    this.#functions[index] = vf;
    this.#count = Math.max(this.#count, index + 1);
    this.#link(index, vf);
  }

  /**
   * What a driver's sriov_configure comes to when it has nothing to prepare.
   *
   * @param count in [0, totalVfs]; 0 takes the VFs away
   * @returns the count; -EBUSY while there are VFs, -ENOTTY for hardware that makes none
   */
  *configure(count: number): Sleeps<number> {
    if (count > 0) {
      const error = yield* this.enable(count);
      return error < 0 ? error : count;
    }
    yield* this.disable();
    return 0;
  }

  /** pci_disable_sriov(): takes the VFs away, which may sleep. */
  *disable(): Sleeps<void> {
    if (this.#count === 0) return;
    const { bus, function: fn, host, sysfs } = this.#pf;
    for (let index = 0; index < this.#count; index += 1) {
      const vf = this.#functions[index];
      if (vf === undefined) continue;
      host.files.remove(`${sysfs}/virtfn${index}`);
      host.files.remove(`${vf.sysfs}/physfn`);
      yield* bus.unplugVirtual(vf);
      this.#functions[index] = undefined;
    }
    const control = this.#hardware.control & ~(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
    fn.configWrite(this.#hardware.at + PCI_SRIOV_CTRL, 2, control);
    fn.configWrite(this.#hardware.at + PCI_SRIOV_NUM_VF, 2, 0);
    this.#functions = [];
    this.#count = 0;
  }

  /** After a reset of the PF: VFs come back. Kernel: pci_restore_iov_state(). */
  restore(): void {
    if (this.#count === 0 || (this.#hardware.control & PCI_SRIOV_CTRL_VFE) !== 0) return;
    const { function: fn } = this.#pf;
    fn.configWrite(this.#hardware.at + PCI_SRIOV_NUM_VF, 2, this.#count);
    fn.configWrite(this.#hardware.at + PCI_SRIOV_CTRL, 2, this.#hardware.control | PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
  }

  /** The files `sriov_*` in the PF's folder. @internal */
  createAttributes(): void {
    const { host, sysfs } = this.#pf;
    const number = (name: string, show: () => string): void => host.files.constant(`${sysfs}/${name}`, () => `${show()}\n`);
    number('sriov_totalvfs', () => `${this.totalVfs}`);
    number('sriov_offset', () => `${this.#hardware.offset}`);
    number('sriov_stride', () => `${this.#hardware.stride}`);
    number('sriov_vf_device', () => this.#hardware.vfDevice.toString(16));
    if (host.profile.vfTotalMsixAttribute) number('sriov_vf_total_msix', () => '0');
    host.files.add(`${sysfs}/sriov_drivers_autoprobe`, {
      kind: 'attribute',
      mode: 0o644,
      show: () => constant(this.driversAutoprobe ? '1\n' : '0\n'),
      store: (bytes) => this.#storeAutoprobe(bytes),
    });
    host.files.add(`${sysfs}/sriov_numvfs`, this.#numVfs());
  }

  *#storeAutoprobe(bytes: Uint8Array): Sleeps<number> {
    const on = parseBoolean(bytes);
    if (on === undefined) return badValue(this.#pf.host, 'sriov_drivers_autoprobe', bytes, 'Y or N');
    this.driversAutoprobe = on;
    return bytes.length;
  }

  #numVfs(): Attribute {
    return { kind: 'attribute', mode: 0o644, show: () => this.#showCount(), store: (bytes) => this.#storeCount(bytes) };
  }

  *#showCount(): Sleeps<string> {
    yield* this.#pf.lock.lock();
    const text = `${this.#count}\n`;
    this.#pf.lock.unlock();
    return text;
  }

  *#storeCount(bytes: Uint8Array): Sleeps<number> {
    const wanted = parseUnsigned(bytes);
    const { host, name } = this.#pf;
    if (wanted === undefined) return badValue(host, 'sriov_numvfs', bytes, 'a number');
    if (wanted > Math.min(this.totalVfs, U16)) return host.refusals.refuse(NUMVFS_RANGE, { device: name, wanted, total: this.totalVfs });
    yield* this.#pf.lock.lock();
    const error = wanted === this.#count ? 0 : yield* this.#configure(wanted);
    this.#pf.lock.unlock();
    return error < 0 ? error : bytes.length;
  }

  *#configure(wanted: number): Sleeps<number> {
    const { bus, driverName, host, name } = this.#pf;
    const driver = driverName === undefined ? undefined : bus.driver(driverName);
    if (!(driver instanceof PciDriver)) return host.refusals.refuse(NUMVFS_DRIVER, { device: name, driver: driverName });
    if (wanted > 0 && this.#count > 0) return host.refusals.refuse(NUMVFS_SET, { device: name, wanted, count: this.#count });
    return yield* driver.sriovConfigure(this.#pf, wanted);
  }

  #link(index: number, vf: PciDevice): void {
    const { files } = this.#pf.host;
    files.link(`${this.#pf.sysfs}/virtfn${index}`, vf.sysfs);
    files.link(`${vf.sysfs}/physfn`, this.#pf.sysfs);
  }
}
