/** Functions as lspci prints them, for small machines. */

export const ACS_ON: readonly string[] = ['Capabilities: [140 v1] Access Control Services', 'ACSCap: SrcValid+ ReqRedir+ CmpltRedir+ UpstreamFwd+', 'ACSCtl: SrcValid+ ReqRedir+ CmpltRedir+ UpstreamFwd+'];
export const ACS_OFF: readonly string[] = [...ACS_ON.slice(0, 2), 'ACSCtl: SrcValid- ReqRedir- CmpltRedir- UpstreamFwd-'];
/** A capability of the extended space, so that what is not there is known not to be. */
export const OTHER = 'Capabilities: [100 v1] Advanced Error Reporting';
export const CONVENTIONAL = 'Capabilities: [50] Power Management version 2';

export function express(type: string): string {
  return `Capabilities: [40] Express (v2) ${type}, MSI 00`;
}

export function fn(heading: string, ...lines: readonly string[]): string {
  return `${heading}\n${lines.map((line) => `\t${line}\n`).join('')}\n`;
}

export const ROOT: string = fn('00:00.0 Host bridge [0600]: Intel Corporation Host [8086:191f]', CONVENTIONAL);

export function port(address: string, bus: string, acs: readonly string[] = ACS_ON, id = '8086:a338'): string {
  return fn(`${address} PCI bridge [0604]: Intel Corporation Port [${id}]`, `Bus: primary=00, secondary=${bus}, subordinate=${bus}, sec-latency=0`, express('Root Port (Slot+)'), ...acs);
}

export function nic(address: string, ...lines: readonly string[]): string {
  return fn(`${address} Ethernet controller [0200]: Intel Corporation NIC [8086:1533]`, express('Endpoint'), ...lines);
}

export function nvme(address: string, ...lines: readonly string[]): string {
  return fn(`${address} Non-Volatile memory controller [0108]: Samsung NVMe [144d:a808]`, express('Endpoint'), ...lines);
}

/** A graphics card with its sound, as two functions without ACS. */
export function card(bus: string, gpuDriver?: string, audioDriver?: string): string {
  const used = (driver: string | undefined): readonly string[] => (driver === undefined ? [] : [`Kernel driver in use: ${driver}`]);
  return fn(`${bus}:00.0 VGA compatible controller [0300]: NVIDIA Corporation GPU [10de:1b81]`, express('Legacy Endpoint'), ...used(gpuDriver)) + fn(`${bus}:00.1 Audio device [0403]: NVIDIA Corporation HDA [10de:10f0]`, express('Endpoint'), ...used(audioDriver));
}
