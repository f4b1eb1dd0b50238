import { PCI_SECONDARY_BUS } from '../pci/registers.ts';
import type { PciDevice } from './pci-device.ts';

/** The devices of a PCI bus by where they are: a function's place never changes, a bridge's bus below is what its registers say when it is asked. */
export class DevicePlaces {
  readonly #bridges = new Map<number, Set<PciDevice>>();
  readonly #buses = new Map<number, Set<PciDevice>>();
  readonly #isThere: (device: PciDevice) => boolean;

  /** @param isThere whether the kernel knows a device: others are passed over */
  constructor(isThere: (device: PciDevice) => boolean) {
    this.#isThere = isThere;
  }

  add(device: PciDevice): void {
    const { domain, bus } = device.function.address;
    put(this.#buses, keyOf(domain, bus), device);
    if (device.isBridge) put(this.#bridges, domain, device);
  }

  delete(device: PciDevice): void {
    const { domain, bus } = device.function.address;
    this.#buses.get(keyOf(domain, bus))?.delete(device);
    this.#bridges.get(domain)?.delete(device);
  }

  /** The bridge that leads to a bus, the first of several; undefined on a root bus. @param domain PCI domain, up to 32 bits @param bus 0 to 255 */
  bridgeTo(domain: number, bus: number): PciDevice | undefined {
    if (bus === 0) return undefined;
    for (const bridge of this.#bridges.get(domain) ?? []) {
      if (bridge.function.config.bytes[PCI_SECONDARY_BUS] === bus && this.#isThere(bridge)) return bridge;
    }
    return undefined;
  }

  /** The devices on a bus, in the order of their numbers. @param domain PCI domain, up to 32 bits @param bus 0 to 255 */
  onBus(domain: number, bus: number): readonly PciDevice[] {
    const there = this.#buses.get(keyOf(domain, bus)) ?? [];
    return [...there].filter(this.#isThere).sort((a, b) => a.function.address.devfn - b.function.address.devfn);
  }

  /** All devices below a bridge, depth first: where registers lead in a circle each once, and not the bridge. */
  below(bridge: PciDevice): readonly PciDevice[] {
    const out = new Set<PciDevice>([bridge]);
    this.#collectBelow(bridge, out);
    out.delete(bridge);
    return [...out];
  }

  #collectBelow(bridge: PciDevice, out: Set<PciDevice>): void {
    const secondary = bridge.function.config.bytes[PCI_SECONDARY_BUS]!;
    if (secondary === 0) return;
    for (const device of this.onBus(bridge.function.address.domain, secondary)) {
      if (out.has(device)) continue;
      out.add(device);
      if (device.isBridge) this.#collectBelow(device, out);
    }
  }
}

function put(map: Map<number, Set<PciDevice>>, key: number, device: PciDevice): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, new Set([device]));
  else there.add(device);
}

function keyOf(domain: number, bus: number): number {
  return domain * 256 + bus;
}
