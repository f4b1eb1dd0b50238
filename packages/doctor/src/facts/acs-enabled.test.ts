import { describe, expect, it } from 'vitest';
import { ACS_OFF, ACS_ON, CONVENTIONAL, express, fn, nic, port } from '../../test/texts.ts';
import { readPaste } from '../read/read-paste.ts';
import { acsAwaitsIommu, enablesAcs, withAcsEnabled } from './acs-enabled.ts';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { knowledgeOf } from './know.ts';

const known = (text: string): readonly DeviceKnowledge[] => knowledgeOf(readPaste(text));
const awaits = (text: string): boolean => acsAwaitsIommu(known(text), 'vt-d');
const NAMED = fn('00:1c.0 PCI bridge [0604]: Intel Corporation Port [8086:a338]', express('Root Port (Slot+)'), 'Capabilities: [140] Access Control Services');

describe('enablesAcs', () => {
  it.each([['vt-d', true], ['amd', true], ['smmuv3', false], [undefined, false]] as const)('%s: %s', (maker, enables) => {
    expect(enablesAcs(maker)).toBe(enables);
  });
});

describe('acsAwaitsIommu', () => {
  it('is so where every capability is switched off', () => {
    expect(awaits(port('00:1c.0', '01', ACS_OFF) + port('00:1d.0', '02', ACS_OFF))).toBe(true);
  });

  it('is not so where one is switched on', () => {
    expect(awaits(port('00:1c.0', '01', ACS_OFF) + port('00:1d.0', '02', ACS_ON))).toBe(false);
  });

  it('is not so where a group is told', () => {
    expect(awaits(port('00:1c.0', '01', ACS_OFF) + nic('01:00.0', 'IOMMU group: 3'))).toBe(false);
  });

  it('is not so where there is no capability', () => {
    expect(awaits(fn('00:1f.0 ISA bridge [0601]: Intel [8086:0284]', CONVENTIONAL))).toBe(false);
  });

  it('does not ask ports whose registers are dwords', () => {
    expect(awaits(port('00:1c.0', '01', ACS_OFF, '8086:a114'))).toBe(false);
  });

  it('is not so on Arm', () => {
    expect(acsAwaitsIommu(known(port('00:1c.0', '01', ACS_OFF)), 'smmuv3')).toBe(false);
  });
});

describe('withAcsEnabled', () => {
  const acsOf = (text: string, maker: 'vt-d' | 'smmuv3' = 'vt-d') => withAcsEnabled(known(text), maker)[0]!.acs;

  it('takes a capability that is named for switched on', () => {
    expect(acsOf(NAMED)).toMatchObject({ standing: 'derived', source: 'rule', value: { control: 0x1d } });
  });

  it('leaves one that is named unknown on Arm', () => {
    expect(acsOf(NAMED, 'smmuv3').standing).toBe('unknown');
  });

  it('switches on what the capability has, where all are off', () => {
    expect(acsOf(port('00:1c.0', '01', [ACS_OFF[0]!, 'ACSCap: SrcValid+ ReqRedir+ CmpltRedir- UpstreamFwd-', 'ACSCtl: SrcValid- ReqRedir- CmpltRedir- UpstreamFwd-']))).toMatchObject({ value: { capability: 5, control: 5 } });
  });

  it('leaves one that is off among others that are on', () => {
    expect(acsOf(port('00:1c.0', '01', ACS_OFF) + port('00:1d.0', '02'))).toMatchObject({ standing: 'known', value: { control: 0 } });
  });
});
