/**
 * A machine's facts as `lspci -Dnnvvvxxxx` of root would print them: headings, the lines and the bytes that grouping looks at, and no others. What facts do not have
 * (names, revisions, regions) is not printed. Written from lspci's output, and without the code that reads it.
 */
import { PciTopology, hasWideAcs, type PciFacts } from '@vsim/vfio-pci';
import { classNameWithCode } from './class-names.ts';
import { configBytes } from './config-bytes.ts';

/** What else is printed. */
export interface RenderOptions {
  /** Names of devices by address, vendor and device in one; `Vendor Device` otherwise. */
  readonly names?: ReadonlyMap<string, string> | undefined;
  /** Group numbers by address; none are printed without. */
  readonly groups?: ReadonlyMap<string, number> | undefined;
  /** Conventional functions that have capabilities all the same: of these everybody sees that there are some. */
  readonly capable?: ReadonlySet<string> | undefined;
  /** Drivers by address. */
  readonly drivers?: ReadonlyMap<string, string> | undefined;
  /** Whether rows of bytes are printed. @default true */
  readonly bytes?: boolean | undefined;
}

/** Device/Port Types, by number. */
export const EXPRESS_WORDS: ReadonlyMap<number, string> = new Map([
  [0, 'Endpoint'],
  [1, 'Legacy Endpoint'],
  [4, 'Root Port (Slot+)'],
  [5, 'Upstream Port'],
  [6, 'Downstream Port (Slot+)'],
  [7, 'PCI-Express to PCI/PCI-X Bridge'],
  [8, 'PCI/PCI-X to PCI-Express Bridge'],
  [9, 'Root Complex Integrated Endpoint'],
  [10, 'Root Complex Event Collector'],
]);

/** ACS bits in lspci's order, from bit 0. */
export const ACS_WORDS: readonly string[] = ['SrcValid', 'TransBlk', 'ReqRedir', 'CmpltRedir', 'UpstreamFwd', 'EgressCtrl', 'DirectTrans'];

/** Vendors by the name that lspci prints. Source: pci.ids. */
export const VENDORS: ReadonlyMap<number, string> = new Map([
  [0x1002, 'Advanced Micro Devices, Inc. [AMD/ATI]'],
  [0x1022, 'Advanced Micro Devices, Inc. [AMD]'],
  [0x104c, 'Texas Instruments'],
  [0x10b5, 'PLX Technology, Inc.'],
  [0x10de, 'NVIDIA Corporation'],
  [0x10ec, 'Realtek Semiconductor Co., Ltd.'],
  [0x11ab, 'Marvell Technology Group Ltd.'],
  [0x1344, 'Micron Technology Inc'],
  [0x144d, 'Samsung Electronics Co Ltd'],
  [0x14e4, 'Broadcom Inc. and subsidiaries'],
  [0x15b3, 'Mellanox Technologies'],
  [0x15b7, 'Sandisk Corp'],
  [0x168c, 'Qualcomm Atheros'],
  [0x177d, 'Cavium, Inc.'],
  [0x1912, 'Renesas Technology Corp.'],
  [0x1b21, 'ASMedia Technology Inc.'],
  [0x1b36, 'Red Hat, Inc.'],
  [0x1b4b, 'Marvell Technology Group Ltd.'],
  [0x1af4, 'Red Hat, Inc.'],
  [0x8086, 'Intel Corporation'],
]);

const BYTES: readonly string[] = Array.from({ length: 256 }, (_, byte) => hex(byte, 2));

/** The text of a machine, its devices in the order of addresses. */
export function renderMachine(machine: readonly PciFacts[], options: RenderOptions = {}): string {
  const buses = new BusNumbers(machine);
  const topology = new PciTopology(machine);
  const virtual = new Set(topology.nodes.filter(({ physicalFunction }) => physicalFunction !== undefined).map(({ facts }) => facts.address));
  return [...machine].sort((a, b) => (a.address < b.address ? -1 : 1)).map((facts) => `${[heading(facts, options), ...decoded(facts, buses, options), ...driverLine(facts, options), ...(options.bytes === false ? [] : rowsOf(facts, buses, virtual, options))].join('\n')}\n\n`).join('');
}

function heading({ address, class: code, vendor, device }: PciFacts, { names }: RenderOptions): string {
  const vendorName = VENDORS.get(vendor);
  const name = names?.get(address) ?? `${vendorName === undefined ? '' : `${vendorName} `}Device`;
  const progIf = code & 0xff;
  const tail = code >>> 8 === 0x0604 ? ` (prog-if ${hex(progIf, 2)} [${progIf === 1 ? 'Subtractive' : 'Normal'} decode])` : progIf === 0 ? '' : ` (prog-if ${hex(progIf, 2)})`;
  return `${address} ${classNameWithCode(code >>> 8)}: ${name} [${hex(vendor, 4)}:${hex(device, 4)}]${tail}`;
}

function decoded(facts: PciFacts, buses: BusNumbers, { groups, capable }: RenderOptions): readonly string[] {
  const { address, expressType, sriov, acs, isBridge } = facts;
  const group = groups?.get(address);
  const conventional = expressType === undefined;
  const listed = !conventional || capable?.has(address) === true;
  const out = [
    ...(facts.subsystemVendor === 0 ? [] : [`\tSubsystem: Device [${hex(facts.subsystemVendor, 4)}:${hex(facts.subsystem, 4)}]`]),
    '\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-',
    `\tStatus: Cap${listed ? '+' : '-'} 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-`,
    '\tLatency: 0',
    ...(group === undefined ? [] : [`\tIOMMU group: ${group}`]),
  ];
  if (isBridge) out.push(`\tBus: ${buses.line(facts)}, sec-latency=0`);
  if (conventional) return listed ? [...out, '\tCapabilities: [40] Power Management version 3'] : out;
  out.push(`\tCapabilities: [40] Express (v2) ${EXPRESS_WORDS.get(expressType) ?? `Unknown type ${expressType}`}, MSI 00`);
  if (acs !== undefined) {
    // lspci shows the second word as control. Of registers that are dwords it is the upper half of the capability, which has no bits.
    const [capability, control] = acs.wide !== undefined ? [acs.wide.capability & 0xffff, acs.wide.capability >>> 16] : [acs.capability, hasWideAcs(facts) ? 0 : acs.control];
    out.push('\tCapabilities: [100 v1] Access Control Services', `\t\tACSCap:\t${acsFlags(capability)}`, `\t\tACSCtl:\t${acsFlags(control)}`);
  }
  if (sriov !== undefined) {
    out.push(
      '\tCapabilities: [140 v1] Single Root I/O Virtualization (SR-IOV)',
      '\t\tIOVCap:\tMigration- 10BitTagReq- Interrupt Message Number: 000',
      '\t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy- 10BitTagReq-',
      '\t\tIOVSta:\tMigration-',
      `\t\tInitial VFs: ${sriov.count}, Total VFs: ${sriov.count}, Number of VFs: ${sriov.count}, Function Dependency Link: 00`,
      `\t\tVF offset: ${sriov.offset}, stride: ${sriov.stride}, Device ID: ${hex(sriov.device, 4)}`,
    );
  }
  return out;
}

function driverLine({ address }: PciFacts, { drivers }: RenderOptions): readonly string[] {
  const driver = drivers?.get(address);
  return driver === undefined ? [] : [`\tKernel driver in use: ${driver}`];
}

function acsFlags(bits: number): string {
  return ACS_WORDS.map((name, bit) => `${name}${((bits >> bit) & 1) === 1 ? '+' : '-'}`).join(' ');
}

function rowsOf(facts: PciFacts, buses: BusNumbers, virtual: ReadonlySet<string>, { capable }: RenderOptions): readonly string[] {
  // A VF's ids are those of its PF's capability: its own registers read as ones.
  const ids = virtual.has(facts.address) ? { vendor: 0xffff, device: 0xffff } : {};
  const bytes = configBytes({ ...facts, ...ids }, buses.of(facts), capable?.has(facts.address));
  return Array.from({ length: bytes.length / 16 }, (_, row) => `${hex(row * 16, 2)}: ${Array.from(bytes.subarray(row * 16, row * 16 + 16), (byte) => BYTES[byte]).join(' ')}`);
}

/** The bus numbers of bridges: what is below, and the last of them. */
class BusNumbers {
  readonly #bridges: readonly { readonly domain: string; readonly bus: number; readonly secondary: number }[];

  constructor(machine: readonly PciFacts[]) {
    this.#bridges = machine.flatMap(({ address, secondaryBus }) => (secondaryBus === undefined ? [] : [{ ...placeOf(address), secondary: secondaryBus }]));
  }

  of({ address, secondaryBus = 0 }: PciFacts): readonly [primary: number, secondary: number, subordinate: number] {
    const { domain, bus } = placeOf(address);
    return [secondaryBus === 0 ? 0 : bus, secondaryBus, secondaryBus === 0 ? 0 : this.#last(domain, secondaryBus, new Set())];
  }

  line(facts: PciFacts): string {
    const [primary, secondary, subordinate] = this.of(facts).map((bus) => hex(bus, 2));
    return `primary=${primary!}, secondary=${secondary!}, subordinate=${subordinate!}`;
  }

  #last(domain: string, bus: number, seen: Set<number>): number {
    seen.add(bus);
    let last = bus;
    for (const bridge of this.#bridges) {
      if (bridge.domain === domain && bridge.bus === bus && !seen.has(bridge.secondary)) last = Math.max(last, this.#last(domain, bridge.secondary, seen));
    }
    return last;
  }
}

function placeOf(address: string): { readonly domain: string; readonly bus: number } {
  const [domain, bus] = address.split(':');
  return { domain: domain!, bus: Number.parseInt(bus!, 16) };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
