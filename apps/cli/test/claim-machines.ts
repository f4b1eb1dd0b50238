/** A machine for each row of docs/passthrough.md: the text that shows what the row says, and where the report says it. */
import { readRecording, topologyMachine, topologyText } from '@vsim/conformance';
import { fieldQuestions } from '@vsim/conformance/doctor';
import { knowledgeOf, readPaste, type DoctorOptions, type DoctorReport } from '@vsim/doctor';

const minimal = (name: string): string => readRecording(`doctor/minimal/${name}.gz`);
const question = (name: string): string => fieldQuestions().find((each) => each.name.startsWith(name))!.text;

const topologyMachineText = (name: string): string => JSON.stringify(topologyMachine(name).value);

const ACS = ['Capabilities: [140 v1] Access Control Services', 'ACSCap: SrcValid+ ReqRedir+ CmpltRedir+ UpstreamFwd+'];
const ACS_ON = [...ACS, 'ACSCtl: SrcValid+ ReqRedir+ CmpltRedir+ UpstreamFwd+'];
const ACS_OFF = [...ACS, 'ACSCtl: SrcValid- ReqRedir- CmpltRedir- UpstreamFwd-'];
const OTHER = 'Capabilities: [100 v1] Advanced Error Reporting';
const express = (type: string): string => `Capabilities: [40] Express (v2) ${type}, MSI 00`;
const below = (bus: string): string => `Bus: primary=00, secondary=${bus}, subordinate=${bus}, sec-latency=0`;
const conventional = 'Capabilities: [50] Power Management version 2';

/** One function as lspci prints it. */
function fn(heading: string, ...lines: readonly string[]): string {
  return `${heading}\n${lines.map((line) => `\t${line}\n`).join('')}\n`;
}
const port = (address: string, bus: string, acs: readonly string[] = ACS_ON, id = '8086:a338'): string => fn(`${address} PCI bridge [0604]: Intel Corporation Port [${id}]`, below(bus), express('Root Port (Slot+)'), ...acs);
const nic = (address: string, ...lines: readonly string[]): string => fn(`${address} Ethernet controller [0200]: Intel Corporation NIC [8086:1533]`, express('Endpoint'), ...lines);
const gpu = (address: string, ...lines: readonly string[]): string => fn(`${address} VGA compatible controller [0300]: NVIDIA Corporation GPU [10de:1b81]`, express('Legacy Endpoint'), ...lines);
const audio = (address: string, ...lines: readonly string[]): string => fn(`${address} Audio device [0403]: NVIDIA Corporation HDA [10de:10f0]`, express('Endpoint'), ...lines);
const root = fn('00:00.0 Host bridge [0600]: Intel Corporation Host [8086:191f]', conventional);
const card = (...lines: readonly string[]): string => root + port('00:1c.0', '01') + nic('01:00.0', ...lines);
const used = (driver: string): string => `Kernel driver in use: ${driver}`;
const amd = fn('00:00.0 Host bridge [0600]: Advanced Micro Devices, Inc. [AMD] Root Complex [1022:1480]');
const amdUnit = fn('00:00.2 IOMMU [0806]: Advanced Micro Devices, Inc. [AMD] IOMMU [1022:1481]', 'Capabilities: [40] Secure device <?>');

const reasons = ({ groups }: DoctorReport): readonly string[] => groups.map(({ reason }) => reason);
const blockers = ({ groups }: DoctorReport): readonly string[] => groups.flatMap((group) => group.blockers.map(({ what }) => what));
const differences = ({ groups }: DoctorReport): readonly string[] => groups.flatMap(({ difference }) => difference ?? []);
const nobodys = ({ ungrouped }: DoctorReport): readonly string[] => ungrouped.map(({ why }) => why);
const signs = ({ iommu }: DoctorReport): readonly string[] => iommu.signs.map(({ speaksFor, what }) => `${speaksFor ? 'for' : 'against'}: ${what}`);
const verdicts = ({ verdicts: all }: DoctorReport): readonly string[] => all.map(({ device, kind, atMost, forNow, because, otherwise = '' }) => `${device} ${kind}${atMost ? ' at most' : ''}${forNow ? ' for now' : ''}: ${because}; ${otherwise}`);
const standings = ({ groups, cannotTell }: DoctorReport): readonly string[] => [...groups.map(({ standing, devices }) => `${standing} ${devices.join(' ')}`), ...cannotTell.map(({ device, missing }) => `cannot tell ${device}: ${missing.map(({ what }) => what).join(', ')}`)];
const trials = ({ groups }: DoctorReport): readonly string[] => groups.flatMap((group) => group.trials.map(({ device, kind, result, step }) => `${device} ${kind} ${result} ${step ?? ''}`));
const members = ({ groups, cannotTell }: DoctorReport) => [...groups.flatMap((group) => group.members), ...cannotTell.map(({ about }) => about)];
const resets = (report: DoctorReport): readonly string[] => members(report).map(({ address, resetMethods, workingResets }) => `${address} ${resetMethods?.join(' ')} works: ${workingResets?.join(' ')}`);
const hot = (report: DoctorReport): readonly string[] => members(report).map(({ address, hotReset }) => `${address} ${hotReset?.affected.join(' ')} ${hotReset?.obstacle ?? ''}`);
const quality = ({ input }: DoctorReport): readonly string[] => [`${input.quality}: ${input.sentence}`];
const shapes = ({ groups }: DoctorReport): readonly string[] => groups.map(({ devices }) => devices.join(' '));
const kernels = ({ otherKernels }: DoctorReport): readonly string[] => otherKernels.map(({ versions, what }) => `${versions}: ${what}`);

/** What a row claims: where a report says it, in which words, and the machine that has it. */
export type Row = readonly [id: string, said: (report: DoctorReport) => readonly string[], words: RegExp, text: string, options?: DoctorOptions];

const oldPort = (bus: string, address = '00:1c.4'): string => fn(`${address} PCI bridge [0604]: Intel Corporation Port [8086:8d18]`, below(bus), express('Root Port (Slot+)'), OTHER);
const conventionalCard = root + fn('00:1e.0 PCI bridge [0604]: Intel Corporation 82801 PCI Bridge [8086:244e]', below('01'), conventional) + fn('01:02.0 Ethernet controller [0200]: Intel Corporation 82540EM [8086:100e]', conventional);
const vfCard = `${port('00:1c.0', '01')}${fn('01:00.0 Ethernet controller [0200]: Intel Corporation 82576 [8086:10c9]', express('Endpoint'), 'Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)', 'IOVCtl: Enable+ Migration- Interrupt- MSE+ ARIHierarchy+', 'Initial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00', 'VF offset: 128, stride: 2, Device ID: 10ca', used('ixgbe'))}${['01:10.0', '01:10.2'].map((address) => fn(`${address} Ethernet controller [0200]: Intel Corporation 82576 Virtual Function [8086:10ca]`, express('Endpoint'))).join('')}`;

const GROUPS: readonly Row[] = [
  ['join.vmd', reasons, /10000:e1:00\.0 is below the VMD 0000:00:0e\.0/, minimal('k12-vmd.txt')],
  ['join.conventional-bridge', reasons, /01:02\.0 is behind 0000:00:1e\.0, a conventional PCI bridge/, conventionalCard],
  ['join.conventional-bridge', reasons, /04:00\.0 is behind 0000:03:00\.0, a PCI Express to PCI bridge/, question('02')],
  ['join.conventional-bridge', reasons, /02:00\.0 is behind 0000:01:00\.0, a PCI to PCI Express bridge/, root + port('00:1c.0', '01') + fn('01:00.0 PCI bridge [0604]: Vendor Bridge [104c:8240]', below('02'), express('PCI/PCI-X to PCI-Express Bridge')) + nic('02:00.0')],
  ['join.no-acs-above', reasons, /01:00\.0 is below 0000:00:1c\.0; the port 0000:00:1c\.0 does not isolate/, root + port('00:1c.0', '01', [OTHER]) + nic('01:00.0')],
  ['join.multifunction', reasons, /01:00\.1 and 0000:01:00\.0 are functions of one device without ACS/, root + port('00:1c.0', '01') + gpu('01:00.0') + audio('01:00.1')],
  ['join.dma-alias', reasons, /may use one requester id/, root + port('00:1c.0', '01') + fn('01:00.0 SATA controller [0106]: Marvell [1b4b:9230]', express('Endpoint'), ...ACS_ON) + fn('01:00.1 IDE interface [0101]: Marvell [1b4b:91a4]', express('Endpoint'), ...ACS_ON)],
  ['lack.capability', reasons, /\(no ACS capability\)/, root + port('00:1c.0', '01', [OTHER]) + nic('01:00.0')],
  ['lack.bits', reasons, /\(ACSCtl: SrcValid- ReqRedir- CmpltRedir- UpstreamFwd-\)/, root + port('00:1c.0', '01', ACS_OFF) + port('00:01.0', '02') + nic('01:00.0')],
  ['lack.conventional', reasons, /\(conventional PCI, which has no ACS\)/, root + fn('00:03.0 VGA compatible controller [0300]: NVIDIA [10de:1c82]', conventional) + fn('00:03.1 Audio device [0403]: NVIDIA [10de:0fb9]', conventional)],
  ['lack.bridge', reasons, /\(a PCI Express bridge, which has no ACS\)/, root + port('00:1c.0', '01') + [0, 1].map((each) => fn(`01:00.${each} PCI bridge [0604]: Intel Corporation PXH [8086:032${each}]`, below(`0${each + 2}`), express('PCI-Express to PCI/PCI-X Bridge'))).join('')],
  ['alone.above', reasons, /^alone: 0000:00:1c\.0 above it isolates \(ACS\)$/, card()],
  ['alone.above', reasons, /^alone: 0000:02:00\.0 and all above it isolate \(ACS\)$/, root + port('00:1c.0', '01') + fn('01:00.0 PCI bridge [0604]: PLX [10b5:8747]', below('02'), express('Upstream Port')) + fn('02:00.0 PCI bridge [0604]: PLX [10b5:8747]', below('03'), express('Downstream Port (Slot+)'), ...ACS_ON) + nic('03:00.0')],
  ['alone.port', reasons, /^alone: 0000:00:1c\.0 isolates \(ACS\)$/, card()],
  ['alone.root-bus', reasons, /^alone: on a root bus, and no function beside it/, card()],
  ['alone.told', reasons, /^the running kernel says so; what the text has of registers does not show why$/, minimal('k08-shell-loop.txt')],
  ['quirk.isolated', reasons, /01:00\.1 isolates by a quirk of Linux: its maker says that it isolates without ACS/, root + port('00:1c.0', '01') + [0, 1].map((each) => fn(`01:00.${each} Ethernet controller [0200]: Intel Corporation I350 [8086:1521]`, express('Endpoint'), OTHER)).join('')],
  ['quirk.root-port', reasons, /00:1c\.4 isolates by a quirk of Linux: its maker says that the port isolates without ACS/, root + oldPort('01') + nic('01:00.0')],
  ['quirk.wide-root-port', reasons, /00:1c\.0 isolates by a quirk of Linux: the ACS registers of this port are dwords/, minimal('k28-sunrise-point-decoded.txt')],
  ['quirk.southbridge', reasons, /00:14\.0 isolates by a quirk of Linux: functions of AMD's southbridges/, amd + amdUnit + fn('00:14.0 SMBus [0c05]: AMD SBx00 [1002:4385]', conventional) + fn('00:14.3 ISA bridge [0601]: AMD LPC [1002:439d]', conventional)],
  ['quirk.integrated', reasons, /00:14\.3 isolates by a quirk of Linux: integrated endpoints of Intel/, root + fn('00:14.0 USB controller [0c03]: Intel xHCI [8086:a0ed]', conventional) + fn('00:14.3 Network controller [0280]: Intel Wi-Fi [8086:a0f0]', express('Root Complex Integrated Endpoint'))],
  ['none.iommu', nobodys, /00:00\.2 is an IOMMU itself/, minimal('k23-amd-zen.txt')],
  ['none.amd-host-bridge', nobodys, /00:00\.0 is the host bridge beside 0000:00:00\.2/, minimal('k23-amd-zen.txt')],
  ['none.graphics-off', nobodys, /graphics of GM45 off/, fn('00:00.0 Host bridge [0600]: Intel Corporation GM45 [8086:2a40]', conventional) + fn('00:02.0 VGA compatible controller [0300]: Intel Corporation GM45 [8086:2a42]', conventional)],
  ['none.vmd', nobodys, /10000:e1:00\.0 is below a VMD, for whose functions Linux has no IOMMU before 5\.6/, minimal('k12-vmd.txt'), { kernel: { major: 5, minor: 5 } }],
  ['none.igfx-off', nobodys, /^the kernel leaves the IOMMU of the graphics off$/, `${root}${fn('00:02.0 VGA compatible controller [0300]: Intel Corporation [8086:1912]', conventional)}$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro intel_iommu=on,igfx_off\n`],
  ['none.no-iommu', nobodys, /^there is no IOMMU$/, card(), { iommu: 'none' }],
  ['difference.override', differences, /pcie_acs_override=downstream is on the kernel's command line/, `${minimal('k22-acs-override.txt')}\n$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro pcie_acs_override=downstream\n`],
  ['difference.smaller', differences, /likely causes: the ACS override patch/, minimal('k22-acs-override.txt')],
  ['difference.larger', differences, /the registers keep apart .* a kernel with another rule for these ports/, root + port('00:1c.0', '01').replace('\n\n', '\n\tIOMMU group: 5\n\n') + nic('01:00.0', 'IOMMU group: 5')],
];


const log = (line: string): string => `${card()}[    0.500000] ${line}\n`;
const cmdline = (words: string): string => `${card()}$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro ${words}\n`;

const SIGNS: readonly Row[] = [
  ['sign.group', signs, /^for: 0000:01:00\.0 is in group 9$/, card('IOMMU group: 9')],
  ['sign.groups-folder', signs, /^for: \/sys\/kernel\/iommu_groups has groups$/, `${card()}$ ls /sys/kernel/iommu_groups\n0  1  2\n`],
  ['sign.groups-folder', signs, /^against: \/sys\/kernel\/iommu_groups is empty$/, `${card()}root@pve:~# ls /sys/kernel/iommu_groups\nroot@pve:~# \n`],
  ['sign.units', signs, /^for: \/sys\/class\/iommu has dmar0 dmar1$/, `${card()}$ ls /sys/class/iommu\ndmar0  dmar1\n`],
  ['sign.units', signs, /^against: \/sys\/class\/iommu is empty$/, `${card()}root@pve:~# ls /sys/class/iommu\nroot@pve:~# ls /sys/kernel/iommu_groups\nroot@pve:~# \n`],
  ['sign.log', signs, /^for: the kernel says "DMAR: IOMMU enabled"$/, log('DMAR: IOMMU enabled')],
  ['sign.log', signs, /^against: the kernel says "AMD-Vi: AMD IOMMUv2 functionality not available/, log('AMD-Vi: AMD IOMMUv2 functionality not available on this system')],
  ['sign.amd-function', signs, /^for: 0000:00:00\.2 is the function of AMD's IOMMU/, minimal('k23-amd-zen.txt')],
  ['sign.amd-function', signs, /^against: no function of class 0806: AMD's IOMMU shows itself/, minimal('k30-amd-host-without-iommu.txt')],
  ['sign.cmdline', signs, /^against: the kernel's command line has intel_iommu=off$/, cmdline('intel_iommu=off')],
  ['sign.acs-off', signs, /^against: every ACS capability is there and switched off/, minimal('k05-iommu-off-acs-off.txt')],
  ['sign.none', ({ iommu }) => [iommu.state], /^cannot-tell$/, card()],
  ['sign.none', ({ iommu }) => iommu.advice, /IORT, or the device tree/, minimal('k31-arm.txt')],
];

const factsOf = (text: string): readonly string[] =>
  knowledgeOf(readPaste(text)).flatMap(({ address, ...facts }) => Object.entries(facts).flatMap(([name, fact]) => (typeof fact === 'object' && 'standing' in fact ? [`${address} ${name}: ${fact.standing}${fact.standing === 'unknown' ? `, ${fact.lacks}` : ` by ${fact.source}`}`] : [])));
const FACT_ROWS: readonly (readonly [id: string, words: RegExp, text: string])[] = [
  ['fact.known', /^0000:01:00\.0 acs: known by decoded$/, card()],
  ['fact.told', /^0000:01:00\.0 driver: told by decoded$/, card(used('igb'))],
  ['fact.derived', /^0000:01:00\.0 multifunction: derived by rule$/, card()],
  ['fact.unknown', /^0000:01:00\.0 acs: unknown, its ACS capability$/, minimal('k01-lspci-nnk.txt')],
  ['source.bytes', /^0000:00:1c\.0 vendor: known by bytes|^0000:00:1c\.0 secondaryBus: known by bytes$/, minimal('k18-xxx-only.txt')],
  ['source.decoded', /^0000:00:1c\.0 secondaryBus: known by decoded$/, card()],
  ['source.heading', /^0000:01:00\.0 device: known by heading$/, card()],
  ['source.listing', /^0000:01:00\.0 group: told by listing$/, minimal('k08-shell-loop.txt')],
  ['source.log', /^0000:01:00\.0 group: told by log$/, log('pci 0000:01:00.0: Adding to iommu group 12')],
  ['source.tree', /^0000:00:1c\.0 secondaryBus: told by tree$/, fn('00:1c.0 PCI bridge [0604]: Intel [8086:a338]') + fn('00:1c.0/01:00.0 Ethernet controller [0200]: Intel [8086:1533]')],
  ['source.sysfs', /^0000:01:10\.0 physfn: told by sysfs$/, topologyMachineText('sriov-igb')],
  ['source.name', /^0000:01:00\.0 vendor: derived by name$/, root + port('00:1c.0', '01') + fn('01:00.0 Ethernet controller: Intel Corporation I210 Gigabit Network Connection', express('Endpoint'))],
  ['source.rule', /^0000:01:00\.0 isBridge: derived by rule$/, card()],
];
const NODEDEV = `<device>
  <name>pci_0000_01_00_0</name>
  <capability type='pci'>
    <domain>0</domain>
    <bus>1</bus>
    <slot>0</slot>
    <function>0</function>
    <product id='0x1b81'>GP104</product>
    <vendor id='0x10de'>NVIDIA Corporation</vendor>
    <iommuGroup number='1'>
      <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </iommuGroup>
  </capability>
</device>
`;
const FACTS: readonly Row[] = [
  ...FACT_ROWS.map(([id, words, text]): Row => [id, () => factsOf(text), words, text]),
  ['quality.registers', quality, /^registers: /, card()],
  ['quality.groups', quality, /^groups: /, minimal('k08-shell-loop.txt')],
  ['quality.groups', quality, /^groups: 1 function from virsh nodedev-dumpxml/, NODEDEV],
  ['quality.names', quality, /^names: /, root + fn('00:1c.0 PCI bridge [0604]: Intel Corporation Port [8086:a338]', below('01'), express('Root Port (Slot+)'), 'Capabilities: [140] Access Control Services') + nic('01:00.0')],
  ['quality.partial', quality, /^partial: /, card() + fn('00:1f.0 ISA bridge [0601]: Intel [8086:a305]')],
  ['quality.list', quality, /^list: /, minimal('k01-lspci-nnk.txt')],
  ['quality.nothing', quality, /^nothing: /, 'hello\n'],
  ['standing.told', standings, /^told 0000:01:00\.0$/, card('IOMMU group: 9')],
  ['standing.known', standings, /^known 0000:00:1c\.0$/, card()],
  ['standing.derived', standings, /^derived 0000:00:0e\.0 /, minimal('k12-vmd.txt')],
  ['standing.cannot-tell', standings, /^cannot tell 0000:01:00\.0: /, minimal('k01-lspci-nnk.txt')],
];

const untold = root + ['00:1f.0 ISA bridge [0601]: Intel [8086:0284]', '00:1f.3 Audio device [0403]: Intel [8086:02c8]'].map((heading) => fn(heading, used('vfio-pci'))).join('');
const VERDICTS: readonly Row[] = [
  ['verdict.alone', verdicts, /^0000:01:00\.0 alone: /, card()],
  ['verdict.with', verdicts, /^0000:01:00\.0 with: /, root + port('00:1c.0', '01') + gpu('01:00.0') + audio('01:00.1')],
  ['verdict.at-most', verdicts, /^0000:00:1f\.3 with at most: /, untold],
  ['verdict.at-most', verdicts, /^0000:01:00\.0 alone at most: at most bridges share its IOMMU group; /, root + fn('00:1c.0 PCI bridge [0604]: Intel Corporation Port [8086:a338]', below('01')) + nic('01:00.0')],
  ['verdict.no', verdicts, /^0000:00:1c\.0 no: it is a bridge/, card()],
  ['verdict.now', verdicts, /^0000:01:00\.0 no for now: it does not answer: its registers read as ones; power the machine off and on/, minimal('k11-fell-off-bus.txt')],
  ['verdict.cannot-tell', verdicts, /^0000:01:00\.0 cannot-tell: the text lacks /, minimal('k01-lspci-nnk.txt')],
  ['no.bridge', verdicts, /^0000:00:1c\.0 no: it is a bridge, which VFIO does not take/, card()],
  ['no.host', verdicts, /^0000:00:00\.0 no: it is a part of the host itself/, card()],
  ['no.pciback', verdicts, /^0000:00:14\.0 no: it is bound to pciback: this is a Xen host, .* with no-strict-reset where these miss a reset/, minimal('k20-pciback.txt')],
  ['no.pciback', verdicts, /^0000:00:1f\.6 no: it is bound to pciback.* with no-strict-reset, as it shows no reset/, question('10')],
  ['no.fell-off', verdicts, /^0000:01:00\.0 no for now: it does not answer: its registers read as ones/, minimal('k11-fell-off-bus.txt')],
  ['no.below-vmd', verdicts, /^10000:e1:00\.0 no: it is below the VMD 0000:00:0e\.0, whose driver makes it.*give 0000:00:0e\.0 to the VM/, minimal('k12-vmd.txt')],
  ['no.vmd-itself', verdicts, /^0000:00:0e\.0 alone: .*what is below it is gone when its driver is/, minimal('k12-vmd.txt')],
  ['no.iommu-off', verdicts, /^0000:01:00\.0 no for now: no IOMMU is on, .*with an IOMMU it could be given alone/, minimal('k05-iommu-off-acs-off.txt')],
  ['no.iommu-off', verdicts, /^0000:01:00\.0 no for now: no IOMMU is on, .*with an IOMMU it could be given with 0000:01:00\.1/, `${root}${port('00:1c.0', '01')}${gpu('01:00.0')}${audio('01:00.1')}root@pve:~# ls /sys/kernel/iommu_groups\nroot@pve:~# \n`],
  ['no.ungrouped', verdicts, /^0000:00:00\.2 no: it is in no IOMMU group: /, minimal('k23-amd-zen.txt')],
  ['no.vfio', verdicts, /^0000:01:00\.0 no for now: VFIO answers EBUSY at bind: .* has VFs/, root + vfCard],
  ['refused.one-to-one-mapping', verdicts, /^0000:03:00\.0 no: its firmware demands a 1:1 mapping of memory for it, and the kernel attaches it to nobody \(line/, question('03')],
  ['refused.rmrr-locked', verdicts, /^0000:01:00\.0 no: its firmware demands a 1:1 mapping of memory for it \(RMRR\)/, log('vfio-pci 0000:01:00.0: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.')],
  ['refused.bar-reserved', verdicts, /^0000:c3:00\.0 no for now: somebody else on the host has addresses of its BARs: \/proc\/iomem has BOOTFB, simpledrm/, question('05')],
  ['refused.stuck-in-d3', verdicts, /^0000:01:00\.0 no for now: it does not come back from D3 /, log('vfio-pci 0000:01:00.0: Refused to change power state, currently in D3')],
  ['refused.device-inaccessible', verdicts, /^0000:01:00\.0 no for now: it does not answer \(line/, log('vfio-pci 0000:01:00.0: Unable to change power state from D3cold to D0, device inaccessible')],
  ['refused.registers-read-as-ones', verdicts, /^0000:01:00\.0 no for now: it does not answer: its registers read as ones \(line/, `${card()}error: internal error: Unknown PCI header type '127' for device '0000:01:00.0'\n`],
  ['refused.not-ready-after-reset', verdicts, /^0000:01:00\.0 no for now: it did not come back from a reset/, log('vfio-pci 0000:01:00.0: not ready 65535ms after FLR; giving up')],
  ['blocker.only-bridges', blockers, /^only bridges, which VFIO does not take: EINVAL at bind$/, card()],
  ['blocker.does-not-answer', blockers, /^0000:01:00\.0 does not answer: its registers read as ones; it fell off the bus/, minimal('k11-fell-off-bus.txt')],
  ['blocker.no-interrupt-remapping', blockers, /^no interrupt remapping: EPERM at VFIO_SET_IOMMU/, card(), { interruptRemapping: false }],
  ['blocker.bound', blockers, /^0000:01:00\.0 is bound to igb: unbind it, and bind it to vfio-pci$/, card(used('igb'))],
  ['blocker.other-bound', blockers, /^0000:01:00\.1 is bound to snd_hda_intel: EPERM at VFIO_GROUP_SET_CONTAINER for the other members; unbind it, and bind it to vfio-pci or leave it without driver$/, root + port('00:1c.0', '01') + gpu('01:00.0', used('vfio-pci')) + audio('01:00.1', used('snd_hda_intel'))],
  ['blocker.bridge-driver', blockers, /^0000:00:1e\.0 is bound to shpchp: .*; unbind it from that driver$/, conventionalCard.replace('Bus: primary', 'Kernel driver in use: shpchp\n\tBus: primary')],
  ['blocker.vfs', blockers, /^0000:01:00\.0 has VFs: EBUSY at bind while they exist; write 0 to its sriov_numvfs first$/, root + vfCard],
  ['call.bind-einval', trials, /^0000:01:00\.0 alone EINVAL bind$/, root + port('00:1c.0', '01') + fn('01:00.0 Co-processor [0b40]: Intel Corporation DH895XCC [8086:0435]', express('Endpoint'))],
  ['call.bind-ebusy', trials, /^0000:01:00\.0 alone EBUSY bind$/, root + vfCard],
  ['call.set-container-eperm', trials, /^0000:01:00\.0 alone EPERM VFIO_GROUP_SET_CONTAINER$/, root + port('00:1c.0', '01') + gpu('01:00.0', used('vfio-pci')) + audio('01:00.1', used('snd_hda_intel'))],
  ['call.set-container-eperm', trials, /^0000:01:00\.0 alone EINVAL VFIO_GROUP_GET_DEVICE_FD$/, root + port('00:1c.0', '01') + gpu('01:00.0', used('vfio-pci')) + audio('01:00.1', used('snd_hda_intel')), { kernel: { major: 5, minor: 13 } }],
  ['call.set-iommu-eperm', trials, /^0000:01:00\.0 alone EPERM VFIO_SET_IOMMU$/, card(), { interruptRemapping: false }],
  ['call.ok', trials, /^0000:01:00\.0 alone ok $/, card()],
];

const power = (sign: string): readonly string[] => [`Capabilities: [60] Power Management version 3`, `Status: D0 NoSoftRst${sign} PME-Enable- DSel=0 DScale=0 PME-`];
const device = (flr: string): string => `DevCap: MaxPayload 256 bytes, PhantFunc 0 FLReset${flr}`;
const af = (flr: string): readonly string[] => ['Capabilities: [a0] PCI Advanced Features', `AFCap: TP+ FLR${flr}`];
const RESETS: readonly Row[] = [
  ['reset.device_specific', resets, /^0000:01:00\.0 device_specific flr bus works: /, root + port('00:1c.0', '01') + fn('01:00.0 Non-Volatile memory controller [0108]: Samsung [144d:a804]', express('Endpoint'), device('+'), ...power('+'))],
  ['reset.flr', resets, /^0000:01:00\.0 flr pm bus works: flr pm bus$/, minimal('k04-decoded-loses-resets.txt')],
  ['reset.af_flr', resets, /^0000:00:1a\.0 af_flr works: af_flr$/, root + fn('00:1a.0 USB controller [0c03]: Intel Corporation EHCI [8086:1c2d]', ...power('+'), ...af('+'))],
  ['reset.pm', resets, /^0000:01:00\.0 flr pm bus works/, minimal('k04-decoded-loses-resets.txt')],
  ['reset.bus', resets, /^0000:01:00\.0 bus works: bus$/, card(device('-'), ...power('+'))],
  ['reset.bus', resets, /^0000:01:00\.0 bus works: $/, root + port('00:1c.0', '01') + gpu('01:00.0', device('-'), ...power('+')) + audio('01:00.1', device('-'), ...power('+'))],
  ['reset.none', resets, /^0000:00:1f\.3 {2}works: $/, question('07')],
  ['reset.untold', resets, /^0000:01:00\.0 undefined works: undefined$/, minimal('k01-lspci-nnk.txt')],
  ['hot.alone', hot, /^0000:01:00\.0 0000:01:00\.0 $/, card()],
  ['hot.along', hot, /^0000:01:00\.0 0000:01:00\.0 0000:01:00\.1 $/, root + port('00:1c.0', '01') + gpu('01:00.0') + audio('01:00.1')],
  ['hot.root-bus', hot, /^0000:00:1f\.3 \S+ 0000:00:1f\.3 is on a root bus, which no bridge resets$/, question('07')],
  ['hot.root-bus', hot, /is a virtual function on a bus of its own, which no bridge leads to$/, `${root}${vfCard.replace('offset: 128', 'offset: 256').replaceAll('01:10.', '02:00.')}`],
  ['hot.no-bus-reset', hot, /^0000:01:00\.0 .* 0000:01:00\.0 does not come back from a bus reset, so that Linux does none$/, root + port('00:1c.0', '01') + fn('01:00.0 Network controller [0280]: Qualcomm Atheros [168c:003c]', express('Endpoint'))],
  ['hot.bridge-below', hot, /the bridge 0000:02:00\.0 would be reset, too, which no VFIO driver has$/, root + port('00:1c.0', '01') + fn('01:00.0 PCI bridge [0604]: PLX [10b5:8747]', below('02'), express('Upstream Port')) + fn('02:00.0 PCI bridge [0604]: PLX [10b5:8747]', below('03'), express('Downstream Port (Slot+)'), ...ACS_ON) + nic('03:00.0')],
];

const WHAT_IFS: readonly Row[] = [
  ['what-if.iommu-on', verdicts, /^0000:01:00\.0 alone: /, minimal('k05-iommu-off-acs-off.txt'), { whatIf: { iommuOn: true } }],
  ['what-if.acs-override', shapes, /^0000:01:00\.0$/, root + port('00:1c.0', '01', [OTHER]) + nic('01:00.0'), { whatIf: { acsOverride: ['downstream'] } }],
  ['what-if.move', shapes, /^0000:02:00\.0$/, `${root}${port('00:1c.0', '01', [OTHER])}${port('00:01.0', '02')}${nic('01:00.0')}`, { whatIf: { moves: [{ device: '0000:01:00.0', below: '0000:00:01.0' }] } }],
  ['what-if.vfs', shapes, /^0000:01:10\.2$/, topologyText('sriov-igb'), { whatIf: { vfs: [{ device: '0000:01:00.0', count: 2 }] } }],
  ['what-if.kernel', shapes, /^0000:00:1c\.0 0000:01:00\.0$/, root + oldPort('01', '00:1c.0').replace('8d18', '8d10') + nic('01:00.0'), { kernel: { major: 5, minor: 9, patch: 3 } }],
  ['kernel.5-9', kernels, /^5\.9 to 5\.9\.8: 0000:00:1c\.4 isolates by a quirk/, question('08')],
];

export const ROWS: readonly Row[] = [...GROUPS, ...SIGNS, ...FACTS, ...VERDICTS, ...RESETS, ...WHAT_IFS];
