/** A machine that fits what was pasted, as the model takes it. */
import { PCI_CFG_SPACE_EXP_SIZE, PCI_CFG_SPACE_SIZE, configOfFacts, hexBytes, type PciFacts, type PciTopology, type RecordedDevice } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './facts/device-knowledge.ts';
import { valueOr } from './facts/fact.ts';

/** One function of the machine. */
export interface MachineDevice {
  /** What its configuration space says of ids, class, topology and isolation; what the text does not tell stands as it would isolate. */
  readonly facts: PciFacts;
  /** The driver that it is bound to; undefined for none, or where the text does not say. */
  readonly driver: string | undefined;
  /** For the model; its `iommu_group` is not looked at. */
  readonly recorded: RecordedDevice;
}

/** The functions of a text as one machine. @param topology their facts, complete */
export function machineOf(machine: readonly DeviceKnowledge[], topology: PciTopology): readonly MachineDevice[] {
  return machine.map((knowledge) => {
    const { facts, physicalFunction } = topology.node(knowledge.address)!;
    return deviceOf(knowledge, facts, physicalFunction?.facts.address);
  });
}

function deviceOf(knowledge: DeviceKnowledge, facts: PciFacts, physfn: string | undefined): MachineDevice {
  const { pasted } = knowledge;
  const driver = valueOr(knowledge.driver, undefined);
  return {
    facts,
    driver,
    recorded: {
      config: hexOf(configFor(knowledge, facts)),
      resource: pasted.resource ?? [],
      irq: 0,
      physfn,
      driver,
      vendor: facts.vendor,
      device: facts.device,
    },
  };
}

/** Its own bytes, filled up with zeros where nobody could read on; else those that say what is known. */
function configFor({ pasted: { config }, answers, resets }: DeviceKnowledge, facts: PciFacts): Uint8Array {
  if (config === undefined || !valueOr(answers, true)) return configOfFacts(facts, { flr: resets.flr === true, afFlr: resets.afFlr === true, pm: resets.softReset === true });
  const out = new Uint8Array(config.length === PCI_CFG_SPACE_EXP_SIZE ? PCI_CFG_SPACE_EXP_SIZE : PCI_CFG_SPACE_SIZE);
  out.set(config);
  return out;
}

/** The configuration space of a device: 256 or 4096 bytes, zero where nobody could read it. */
export function configOf({ facts, recorded }: MachineDevice): Uint8Array {
  return hexBytes(recorded.config, `config of ${facts.address}`);
}

const DIGITS: Uint8Array = new TextEncoder().encode('0123456789abcdef');

function hexOf(bytes: Uint8Array): string {
  // A text that is made of pieces is put together when it is read, which takes longer than all the rest.
  const digits = new Uint8Array(2 * bytes.length);
  for (const [index, byte] of bytes.entries()) {
    digits[2 * index] = DIGITS[byte >>> 4]!;
    digits[2 * index + 1] = DIGITS[byte & 0xf]!;
  }
  return new TextDecoder().decode(digits);
}
