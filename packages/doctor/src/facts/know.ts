/** From what was pasted of the functions of a machine to what is known of each. */
import {
  DecodedLines,
  PCI_ACS_SV,
  PCI_ACS_UF,
  PCI_CFG_SPACE_EXP_SIZE,
  PCI_CFG_SPACE_SIZE,
  PCI_EXP_TYPE_ROOT_PORT,
  REQUIRED_ACS,
  idsOfName,
  pciFacts,
  read32,
  resetFactsOfConfig,
  resetFactsOfText,
  type AcsFacts,
  type PciFacts,
  type ResetFacts,
  type SriovFacts,
} from '@vsim/vfio-pci';
import type { Paste, PastedDevice } from '../read/paste.ts';
import { CLASS_CODES } from './class-codes.ts';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { derived, isMissed, known, told, unknown, valueOr, type Fact } from './fact.ts';
import { isVirtualFunctionName } from './names.ts';

const INTEL = 0x8086;
const PCI_STATUS = 0x06;
const CAP_LIST = 0x10;
const CLASS_PCI_BRIDGE = 0x0604;
const BRIDGES: ReadonlySet<number> = new Set([CLASS_PCI_BRIDGE, 0x0607, 0x0609]);
const PORTS: readonly number[] = [4, 5, 6];
/** A capability of which only the name is shown: all of it is on, or nothing. */
const NAMED_ACS: readonly AcsFacts[] = [{ capability: REQUIRED_ACS, control: REQUIRED_ACS }, { capability: REQUIRED_ACS, control: 0 }];
/** An id that no rule goes by. */
const NO_RULE: readonly number[] = [0];

/** Sure of nothing that the text does not have: each function of a paste, fact by fact. */
export function knowledgeOf({ devices }: Paste): readonly DeviceKnowledge[] {
  const texts = devices.map((pasted) => ({ pasted, lines: new DecodedLines(pasted.decoded) }));
  const machine: MachineText = {
    // Without MMCONFIG nobody sees the extended space; with it nearly every machine has a capability there.
    extendedShown: texts.some(({ pasted, lines }) => pasted.config?.length === PCI_CFG_SPACE_EXP_SIZE || lines.showsExtended),
    slots: slotsOf(devices),
    children: childrenOf(devices),
  };
  return texts.map(({ pasted, lines }) => new Reading(pasted, lines, machine).knowledge);
}

interface MachineText {
  readonly extendedShown: boolean;
  /** How many functions each slot has. */
  readonly slots: ReadonlyMap<string, number>;
  /** The bus below a bridge, by what is told to be below it. */
  readonly children: ReadonlyMap<string, number>;
}

class Reading {
  readonly #pasted: PastedDevice;
  readonly #lines: DecodedLines;
  readonly #machine: MachineText;
  /** What its bytes say; undefined: there are none, or they are ones. */
  readonly #facts: PciFacts | undefined;
  readonly #config: Uint8Array | undefined;

  constructor(pasted: PastedDevice, lines: DecodedLines, machine: MachineText) {
    this.#pasted = pasted;
    this.#lines = lines;
    this.#machine = machine;
    // The ids of a virtual function read as ones; the rest of its header does not.
    this.#config = pasted.config === undefined || hasFallenOff(pasted.config) ? undefined : pasted.config;
    this.#facts = this.#config === undefined ? undefined : pciFacts(pasted.address, this.#config);
  }

  get knowledge(): DeviceKnowledge {
    const { address, driver, groups, physfn } = this.#pasted;
    const [vendor, device] = this.#ids();
    const last = groups.at(-1);
    return {
      address,
      pasted: this.#pasted,
      vendor,
      device,
      classCode: this.#classCode(),
      answers: this.#answers(),
      isBridge: this.#isBridge(),
      expressType: this.#expressType(),
      acs: this.#acs(),
      secondaryBus: this.#secondaryBus(),
      sriov: this.#sriov(),
      physfn: physfn === undefined ? (this.#isNamedVirtual ? unknown('its physical function') : derived(undefined, 'rule')) : told(physfn, 'sysfs'),
      multifunction: this.#multifunction(),
      driver: driver === undefined ? unknown('its driver') : told(driver ?? undefined, 'decoded'),
      group: last === undefined ? unknown('its group in the running kernel') : told(last.number, last.form === 'kernel-log' ? 'log' : last.form === 'sysfs' ? 'sysfs' : 'listing'),
      resets: this.#resets(),
    };
  }

  #ids(): readonly [vendor: Fact<number>, device: Fact<number>] {
    const { vendor, device, name } = this.#pasted;
    if (vendor !== undefined && device !== undefined) return [known(vendor, 'heading'), known(device, 'heading')];
    const facts = this.#facts;
    if (facts !== undefined && facts.vendor !== 0xffff) return [known(facts.vendor, 'bytes'), known(facts.device, 'bytes')];
    if (name === undefined) return [unknown('its vendor id'), unknown('its device id')];
    const ids = idsOfName(name);
    const [first] = ids;
    // No rule goes by the ids of a vendor or a device that no list of names has for one of its ids.
    if (first === undefined) return [unknown('its vendor id', NO_RULE), unknown('its device id', NO_RULE)];
    const own = ids.flatMap(({ vendor: maker, device: id }) => (maker === first.vendor && id !== undefined ? [id] : []));
    const [only] = own;
    if (only !== undefined && own.length === 1) return [derived(first.vendor, 'name'), derived(only, 'name')];
    return [derived(first.vendor, 'name'), unknown('its device id', only === undefined ? NO_RULE : own)];
  }

  #classCode(): Fact<number> {
    const { classCode, className } = this.#pasted;
    if (classCode !== undefined) return known(classCode, 'heading');
    if (this.#facts !== undefined) return known(this.#facts.class >>> 8, 'bytes');
    const code = className === undefined ? undefined : CLASS_CODES.get(className);
    return code === undefined ? unknown('its class') : known(code, 'heading');
  }

  #answers(): Fact<boolean> {
    if (this.#config !== undefined) return known(true, 'bytes');
    if (this.#pasted.config !== undefined) return known(false, 'bytes');
    if (this.#lines.fellOff || this.#pasted.revision === 0xff) return known(false, 'decoded');
    return this.#pasted.decoded.length > 0 ? known(true, 'decoded') : unknown('whether it answers');
  }

  #isBridge(): Fact<boolean> {
    if (this.#facts !== undefined) return known(this.#facts.isBridge, 'bytes');
    if (this.#lines.secondaryBus !== undefined) return known(true, 'decoded');
    const code = this.#classCode();
    return code.standing === 'unknown' ? unknown('whether it is a bridge') : derived(BRIDGES.has(code.value), 'rule');
  }

  #expressType(): Fact<number | undefined> {
    const config = this.#config;
    if (config !== undefined && this.#facts !== undefined) {
      if ((config[PCI_STATUS]! & CAP_LIST) === 0) return known(undefined, 'bytes');
      if (this.#facts.expressType !== undefined || config.length >= PCI_CFG_SPACE_SIZE) return known(this.#facts.expressType, 'bytes');
    }
    if (this.#lines.showsCapabilities && this.#answers().standing !== 'unknown' && valueOr(this.#answers(), false)) {
      const type = this.#lines.expressType;
      if (type !== undefined || !this.#lines.namesExpress) return known(type, 'decoded');
    }
    // No other bridge gets the kernel's port driver.
    if (this.#pasted.driver === 'pcieport') return unknown('its PCI Express capability', PORTS);
    return unknown('its capabilities');
  }

  #acs(): Fact<AcsFacts | undefined> {
    const express = this.#expressType();
    const config = this.#config;
    if (config?.length === PCI_CFG_SPACE_EXP_SIZE) return known(this.#facts?.acs, 'bytes');
    const bits = this.#lines.acs;
    if (bits !== undefined) return this.#mayBeWide(bits) ? unknown('the whole of its ACS registers, which may be dwords (Sunrise Point)') : known(bits, 'decoded');
    if (this.#lines.namesAcs) return unknown('the bits of its ACS capability', NAMED_ACS);
    if (express.standing !== 'unknown' && express.value === undefined) return known(undefined, 'decoded');
    if (this.#lines.showsCapabilities && this.#machine.extendedShown) return known(undefined, 'decoded');
    return unknown('its ACS capability');
  }

  /** A port of Sunrise Point has dwords, of which lspci shows the lower half of one and the upper half of the other: control reads as zeros. */
  #mayBeWide({ capability, control }: AcsFacts): boolean {
    const [vendor, device] = this.#ids();
    const noForwarding = (capability & PCI_ACS_UF) === 0 && (capability & PCI_ACS_SV) !== 0;
    return noForwarding && control === 0 && valueOr(vendor, 0) === INTEL && isMissed(device) && valueOr(this.#expressType(), undefined) === PCI_EXP_TYPE_ROOT_PORT;
  }

  #secondaryBus(): Fact<number | undefined> {
    const facts = this.#facts;
    if (facts !== undefined) return known(facts.secondaryBus, 'bytes');
    const decoded = this.#lines.secondaryBus;
    if (decoded !== undefined) return known(decoded ?? undefined, 'decoded');
    const told_ = this.#pasted.secondaryBus ?? this.#machine.children.get(this.#pasted.address);
    if (told_ !== undefined) return told(told_, 'tree');
    const bridge = this.#isBridge();
    return bridge.standing !== 'unknown' && !bridge.value ? derived(undefined, 'rule') : unknown('the bus below it');
  }

  #sriov(): Fact<SriovFacts | undefined> {
    const express = this.#expressType();
    if (this.#config?.length === PCI_CFG_SPACE_EXP_SIZE) return known(this.#facts?.sriov, 'bytes');
    const decoded = this.#lines.sriov;
    if (decoded !== undefined) return known(decoded ?? undefined, 'decoded');
    if (express.standing !== 'unknown' && express.value === undefined) return known(undefined, 'decoded');
    if (this.#lines.namesSriov) return unknown('its enabled VFs');
    if (this.#lines.showsCapabilities && this.#machine.extendedShown) return known(undefined, 'decoded');
    return unknown('its SR-IOV capability');
  }

  #multifunction(): Fact<boolean> {
    if (this.#config !== undefined) return known(this.#facts?.multifunctionBit === true, 'bytes');
    const { address } = this.#pasted;
    return derived((this.#machine.slots.get(slotOf(address)) ?? 0) > 1 || !address.endsWith('.0'), 'rule');
  }

  /** Bytes of 64 do not reach the capabilities; lines may tell of these all the same. */
  #resets(): ResetFacts {
    const text = resetFactsOfText(this.#pasted.decoded, this.#pasted.revision);
    if (this.#config === undefined) return text;
    const { flr, afFlr, softReset, revision } = resetFactsOfConfig(this.#config);
    return { flr: flr ?? text.flr, afFlr: afFlr ?? text.afFlr, softReset: softReset ?? text.softReset, revision: revision ?? text.revision };
  }

  /** By its name, or as its ids read as ones while the rest does not. */
  get #isNamedVirtual(): boolean {
    return (this.#pasted.name !== undefined && isVirtualFunctionName(this.#pasted.name)) || this.#facts?.vendor === 0xffff;
  }
}

/** A function that does not answer reads as ones; the ids of a virtual function do, too. */
function hasFallenOff(config: Uint8Array): boolean {
  return read32(config, 0) === 0xffff_ffff && read32(config, 4) === 0xffff_ffff && config[0x0e] === 0xff;
}

function slotOf(address: string): string {
  return address.slice(0, address.lastIndexOf('.'));
}

function slotsOf(devices: readonly PastedDevice[]): ReadonlyMap<string, number> {
  const out = new Map<string, number>();
  for (const { address } of devices) out.set(slotOf(address), (out.get(slotOf(address)) ?? 0) + 1);
  return out;
}

function childrenOf(devices: readonly PastedDevice[]): ReadonlyMap<string, number> {
  const out = new Map<string, number>();
  for (const { address, parent } of devices) {
    if (typeof parent === 'string') out.set(parent, Number.parseInt(address.slice(-7, -5), 16));
  }
  return out;
}
