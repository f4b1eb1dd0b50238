import { Driver, constant, hex, type Bus, type Host, type Sleeps } from '@vsim/vfio-core';
import { ID_KNOWN, ID_UNKNOWN, NUMVFS_DRIVER } from './bus-reasons.ts';
import { classOf } from './class-of.ts';
import { badValue } from './parse.ts';
import type { PciDevice } from './pci-device.ts';

/** Stands for any vendor, device, subvendor or subdevice. */
export const PCI_ANY_ID = 0xffff_ffff;

/** What a driver knows a device by. Kernel: struct pci_device_id. */
export interface PciDeviceId {
  /** 16 bits, or PCI_ANY_ID. */
  readonly vendor: number;
  /** 16 bits, or PCI_ANY_ID. */
  readonly device: number;
  /** Subsystem vendor: 16 bits, or PCI_ANY_ID. */
  readonly subvendor: number;
  /** Subsystem device: 16 bits, or PCI_ANY_ID. */
  readonly subdevice: number;
  /** Base class, subclass and interface: 24 bits, of which those in `classMask` count. */
  readonly class: number;
  /** 24 bits; 0: any class. */
  readonly classMask: number;
  /** Counts only for devices whose driver_override names the driver (5.15). @default false */
  readonly overrideOnly?: boolean | undefined;
}

/**
 * An id of vendor and device, or of a class, with anything for the rest.
 *
 * @param vendor 16 bits, or PCI_ANY_ID
 * @param device 16 bits, or PCI_ANY_ID
 * @param classCode base class, subclass and interface, 24 bits
 * @param classMask which of these 24 bits count; 0, none
 */
export function pciId(vendor: number, device: number, classCode = 0, classMask = 0): PciDeviceId {
  return { vendor, device, subvendor: PCI_ANY_ID, subdevice: PCI_ANY_ID, class: classCode, classMask };
}

interface Identity {
  readonly vendor: number;
  readonly device: number;
  readonly subvendor: number;
  readonly subdevice: number;
  readonly class: number;
}

/** How a device stands: its link works, stands still after a fatal error, or it is gone. Kernel: pci_channel_state_t. */
export type ChannelState = 'normal' | 'frozen' | 'gone';

/** What a driver says of an error of its device. Kernel: pci_ers_result_t. */
export type RecoveryVote = 'can-recover' | 'need-reset' | 'disconnect' | 'recovered';

/**
 * A driver of the PCI bus: the ids that it knows, and those that user space adds. Kernel: struct pci_driver, struct pci_dynid.
 *
 * The id language of sysfs `new_id` and `remove_id`: hexadecimal fields, separated by blanks: vendor, device, subvendor, subdevice, class,
 * class mask, driver data; surplus text is ignored.
 */
export abstract class PciDriver extends Driver<PciDevice> {
  /** Ids that the driver was built with. */
  readonly ids: readonly PciDeviceId[] = [];
  readonly #dynamic: PciDeviceId[] = [];

  /**
   * sysfs `sriov_numvfs`, with the device lock held; 0 takes the VFs away. A driver that can have VFs overrides this.
   *
   * @param _count in [0, totalVfs]
   * @returns the count, or a negative errno: -ENOENT here
   */
  sriovConfigure(device: PciDevice, _count: number): Sleeps<number> {
    return constant(device.host.refusals.refuse(NUMVFS_DRIVER, { device: device.name, driver: this.name }));
  }

  /**
   * An uncorrectable error at or above the device, with the device lock held. Undefined: the driver has no such callback, as all below.
   * Kernel: struct pci_error_handlers.
   */
  errorDetected(_device: PciDevice, _state: ChannelState): RecoveryVote | undefined {
    return undefined;
  }

  /** Its registers can be reached again, and were not reset. */
  mmioEnabled(_device: PciDevice): RecoveryVote | undefined {
    return undefined;
  }

  /** It was reset. */
  slotReset(_device: PciDevice): RecoveryVote | undefined {
    return undefined;
  }

  /** All is well again. */
  resume(_device: PciDevice): void {
    // Most drivers have nothing to do.
  }

  /** The device is about to be reset. Kernel: pci_error_handlers.reset_prepare. */
  resetPrepare(_device: PciDevice): void {
    // Most drivers have nothing to do.
  }

  /** The device was reset, or could not be, and has its configuration back. Kernel: pci_error_handlers.reset_done. */
  resetDone(_device: PciDevice): void {
    // Most drivers have nothing to do.
  }

  /** driver_override has been looked at; a device that names this driver is taken whatever its ids. */
  override match(device: PciDevice): boolean {
    if (device.driverOverride === this.name) return true;
    const [subvendor, subdevice] = device.subsystem;
    const identity: Identity = {
      vendor: device.vendor,
      device: device.deviceId,
      subvendor,
      subdevice,
      class: classOf(device),
    };
    return this.#matches(this.#dynamic, identity) || this.#matches(this.ids, identity);
  }

  /** pci_add_dynid() before the driver looks at the bus. */
  protected addId(id: PciDeviceId): void {
    this.#dynamic.push(id);
  }

  /** The attributes `new_id` and `remove_id`; the bus calls it. @internal */
  createAttributes(bus: Bus<PciDevice>): void {
    const folder = `${bus.sysfs}/drivers/${this.name}`;
    const newId = (bytes: Uint8Array): Sleeps<number> => this.#newId(bus, bytes);
    const removeId = (bytes: Uint8Array): Sleeps<number> => this.#removeId(bus.host, bytes);
    bus.host.files.add(`${folder}/new_id`, { kind: 'attribute', mode: 0o200, store: newId });
    bus.host.files.add(`${folder}/remove_id`, { kind: 'attribute', mode: 0o200, store: removeId });
  }

  /** Adds an id, and binds the driverless devices that it matches. */
  *#newId(bus: Bus<PciDevice>, bytes: Uint8Array): Sleeps<number> {
    const fields = scan(bytes);
    const id = idOf(fields);
    if (id === undefined) return badValue(bus.host, 'new_id', bytes, ID_FIELDS);
    // Whoever gives driver data, too, is taken to know: only shorter lines are checked.
    if (bus.host.profile.newIdUnique && fields.length < 7 && this.#matches([...this.#dynamic, ...this.ids], id)) {
      return bus.host.refusals.refuse(ID_KNOWN, { driver: this.name, id: idText(id) });
    }
    this.#dynamic.push(id);
    yield* bus.attachAll(this);
    return bytes.length;
  }

  /** Forgets the first id that fits; bound devices stay bound. */
  *#removeId(host: Host, bytes: Uint8Array): Sleeps<number> {
    const id = idOf(scan(bytes));
    if (id === undefined) return badValue(host, 'remove_id', bytes, ID_FIELDS);
    const at = this.#dynamic.findIndex(
      (held) =>
        held.vendor === id.vendor &&
        held.device === id.device &&
        (id.subvendor === PCI_ANY_ID || held.subvendor === id.subvendor) &&
        (id.subdevice === PCI_ANY_ID || held.subdevice === id.subdevice) &&
        ((held.class ^ id.class) & id.classMask) === 0,
    );
    if (at < 0) return host.refusals.refuse(ID_UNKNOWN, { driver: this.name, id: idText(id) });
    this.#dynamic.splice(at, 1);
    return bytes.length;
  }

  #matches(ids: readonly PciDeviceId[], identity: Identity): boolean {
    const fits = (wanted: number, is: number): boolean => wanted === PCI_ANY_ID || wanted === is;
    return ids.some(
      (id) =>
        id.overrideOnly !== true &&
        fits(id.vendor, identity.vendor) &&
        fits(id.device, identity.device) &&
        fits(id.subvendor, identity.subvendor) &&
        fits(id.subdevice, identity.subdevice) &&
        ((id.class ^ identity.class) & id.classMask) === 0,
    );
  }
}

const ID_FIELDS = 'hexadecimal fields: vendor, device, subvendor, subdevice, class, class mask, data';

function idText({ vendor, device }: PciDeviceId): string {
  return `${hex(vendor, 4)}:${hex(device, 4)}`;
}

/** The leading hexadecimal numbers of a line, as sscanf("%x %x ...") takes them: at most seven. */
function scan(bytes: Uint8Array): readonly number[] {
  const out: number[] = [];
  let rest = new TextDecoder().decode(bytes);
  while (out.length < 7) {
    const match = /^\s*(0x)?([0-9a-f]+)/i.exec(rest);
    if (match === null) break;
    out.push(Number(BigInt.asUintN(32, BigInt(`0x${match[2]!}`))));
    rest = rest.slice(match[0].length);
  }
  return out;
}

function idOf(fields: readonly number[]): PciDeviceId | undefined {
  const [vendor, device, subvendor = PCI_ANY_ID, subdevice = PCI_ANY_ID, classCode = 0, classMask = 0] = fields;
  if (vendor === undefined || device === undefined) return undefined;
  return { vendor, device, subvendor, subdevice, class: classCode, classMask };
}
