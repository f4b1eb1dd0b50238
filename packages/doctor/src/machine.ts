/** The machine that is examined, from what people paste. */
import { hexBytes, idText, machineOfLspci, parseLspci, parsePciMachine, pciFacts, type PciFacts, type PciMachineDescription, type RecordedDevice } from '@vsim/vfio-pci';

/** One function of the machine, as much of it as is known. */
export interface MachineDevice {
  /** What its configuration space says of ids, class, topology and isolation. */
  readonly facts: PciFacts;
  /** The driver that it is bound to; undefined for none, or where the text does not say. */
  readonly driver: string | undefined;
  /** What the machine itself says of its group; undefined where it says nothing. */
  readonly iommuGroup: number | undefined;
  /** What lspci calls it; of a host.json class and ids alone. */
  readonly description: string;
  /** For the model; its `iommu_group` is not looked at. */
  readonly recorded: RecordedDevice;
}

const CONFIG_BYTES = 256;
const EXTENDED_CONFIG_BYTES = 4096;

/**
 * The machine in a text: what `lspci -Dnnvvxxxx` or `lspci -xxxx` prints, or a host.json.
 *
 * @throws LspciSyntaxError with line and column, or MachineSyntaxError for a text that begins with `{`
 */
export function machineOfText(text: string): readonly MachineDevice[] {
  if (text.trimStart().startsWith('{')) return machineOf(parsePciMachine(text));
  const devices = parseLspci(text);
  const { devices: recorded } = machineOfLspci(devices);
  return devices.map(({ address, facts, driver, iommuGroup, description }) => ({ facts, driver, iommuGroup, description, recorded: recorded[address]! }));
}

/** The machine of a description, in the order of addresses. @throws TypeError for a configuration space that is no hex text */
export function machineOf({ devices }: PciMachineDescription): readonly MachineDevice[] {
  return Object.keys(devices).sort().map((address) => deviceOf(address, devices[address]!));
}

function deviceOf(address: string, recorded: RecordedDevice): MachineDevice {
  const config = hexBytes(recorded.config, `config of ${address}`);
  const told = pciFacts(address, config);
  const facts = { ...told, vendor: recorded.vendor ?? told.vendor, device: recorded.device ?? told.device };
  const { driver, iommu_group: group } = recorded;
  return {
    facts,
    driver,
    iommuGroup: typeof group === 'string' && /^[0-9]{1,9}$/.test(group) ? Number(group) : undefined,
    description: `[${(facts.class >>> 8).toString(16).padStart(4, '0')}]: [${idText(facts.vendor, facts.device)}]`,
    // Who is not root reads the first 64 bytes: the model has a whole space.
    recorded: { ...recorded, config: recorded.config.padEnd(2 * (config.length > CONFIG_BYTES ? EXTENDED_CONFIG_BYTES : CONFIG_BYTES), '0') },
  };
}

/** The configuration space of a device: 256 or 4096 bytes, zero where nobody could read it. */
export function configOf({ facts, recorded }: MachineDevice): Uint8Array {
  return hexBytes(recorded.config, `config of ${facts.address}`);
}
