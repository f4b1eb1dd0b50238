import { describe, expect, it } from 'vitest';
import { ACS_OFF, CONVENTIONAL, ROOT, fn, nic, port } from '../test/texts.ts';
import { examine } from './examine.ts';
import { readPaste } from './read/read-paste.ts';

const differences = (text: string): readonly (string | undefined)[] => examine(readPaste(text)).groups.map(({ difference }) => difference);
const told = (acs: readonly string[] | undefined, above: number, below: number): string => fn('00:00.0 Host bridge [0600]: Intel [8086:191f]', CONVENTIONAL, 'IOMMU group: 0') + port('00:1c.0', '01', [...(acs ?? ['Capabilities: [100 v1] Virtual Channel']), `IOMMU group: ${above}`]) + nic('01:00.0', `IOMMU group: ${below}`);
const WITH_OVERRIDE = '$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro pcie_acs_override=downstream quiet\n';

describe('the difference of a told group', () => {
  it('is none where the registers give the same', () => {
    expect(differences(told(undefined, 1, 1))).toEqual([undefined, undefined]);
  });

  it('names those that the registers put into it, and the patch as a likely cause', () => {
    expect(differences(told(ACS_OFF, 1, 2))[1]).toMatch(/^the registers put 0000:01:00\.0 into it, too; likely causes: the ACS override patch/);
  });

  it('names the patch as the cause where the command line has it', () => {
    expect(differences(told(ACS_OFF, 1, 2) + WITH_OVERRIDE)[1]).toMatch(/; pcie_acs_override=downstream is on the kernel's command line/);
  });

  it('names the parts that the registers keep apart', () => {
    const on = ['Capabilities: [140 v1] Access Control Services', 'ACSCap: SrcValid+ ReqRedir+ CmpltRedir+ UpstreamFwd+', 'ACSCtl: SrcValid+ ReqRedir+ CmpltRedir+ UpstreamFwd+'];
    expect(differences(told(on, 1, 1))[1]).toMatch(/^the registers keep apart \{0000:00:1c\.0\} \{0000:01:00\.0\}; likely causes: a kernel with another rule/);
  });

  it('is none where the text cannot tell what the registers give', () => {
    expect(differences(ROOT + fn('00:1c.0 PCI bridge [0604]: Intel [8086:a338]', 'IOMMU group: 1') + fn('01:00.0 Ethernet controller [0200]: Intel [8086:1533]', 'IOMMU group: 2'))).toEqual([undefined, undefined, undefined]);
  });
});
