/** What the doctor states holds in each machine between those that it looks at: isolation is monotone. */
import { DEGRADATIONS, fieldMachines, randomOf } from '@vsim/conformance/doctor';
import { iommuOf, knowledgeOf, readPaste } from '@vsim/doctor';
import { computeIommuGroups, type PciFacts } from '@vsim/vfio-pci';
import { expect, it } from 'vitest';
import { SEED } from '../../../testing/random.ts';
import { groupRules } from '../../../packages/doctor/src/facts/group-rules.ts';
import { knownOf } from './doctor-said.ts';

/** A machine whose facts are each those of the one that isolates most, or of one that does not, with the buses of the latter. */
function between(most: readonly PciFacts[], least: readonly PciFacts[], random: () => number): readonly PciFacts[] {
  const byAddress = new Map(most.map((facts) => [facts.address, facts]));
  const first = (): boolean => random() < 0.5;
  return least.map((facts) => {
    const other = byAddress.get(facts.address);
    if (other === undefined) return facts;
    return {
      ...facts,
      expressType: first() ? other.expressType : facts.expressType,
      acs: first() ? other.acs : facts.acs,
      device: first() ? other.device : facts.device,
    };
  });
}

it('no group that is stated is another in a machine between the bounds', () => {
  const random = randomOf(SEED);
  const wrong: string[] = [];
  let machines = 0;
  for (const { name, text } of fieldMachines()) {
    for (const degradation of DEGRADATIONS) {
      const shown = degradation.of(text);
      if (shown === undefined) continue;
      const paste = readPaste(shown);
      const { sure, completions } = knownOf(shown);
      const rules = groupRules(iommuOf(paste, knowledgeOf(paste)).maker ?? 'vt-d', paste.machine, undefined);
      const [most, ...rest] = completions;
      const facts = between(most!.facts, rest[Math.floor(random() * rest.length)]!.facts, random);
      machines += 1;
      const groups = computeIommuGroups(facts, { amdIommu: rules.amdIommu, without: new Set(rules.uncovered(facts).keys()) });
      const groupOf = new Map(groups.flatMap(({ devices }) => devices.map((device) => [device, devices] as const)));
      const addresses = new Set(paste.devices.map(({ address }) => address));
      for (const { devices, standing } of sure) {
        const there = groupOf.get(devices[0]!)?.filter((device) => addresses.has(device)).join(' ');
        if (standing !== 'told' && there !== devices.join(' ')) wrong.push(`${name} ${degradation.name}: ${devices.join(' ')}; between: ${there ?? 'none'} (seed ${SEED})`);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(machines).toBe(387);
});
