/** Recordings of the VFIO user API of a real kernel, replayed call by call. recordings/vfio/README.md tells their format. */
import type { ProfileName } from '@vsim/vfio-core';
import type { Format, ReplayOptions } from '../format.ts';
import { MalformedRecording, type Fields } from '../json.ts';
import type { CaseReport } from '../report.ts';
import { Conversation } from './conversation.ts';
import { FslMcMachine } from './fslmc-machine.ts';
import { machineOf, type Machine } from './machine.ts';
import { ScenarioReplay } from './scenario.ts';

const KERNELS: readonly (readonly [prefix: string, profile: ProfileName])[] = [
  ['5.10.', 'linux-5.10'],
  ['5.13.', 'linux-5.13'],
  ['6.1.', 'linux-6.1'],
  ['6.12.', 'linux-6.12'],
  ['7.3.', 'linux-7.3'],
];

export const vfioFormat: Format = {
  name: 'vfio',
  recognises: (first: Fields): boolean => first.has('scenario'),
  profileOf: profileOfKernel,
  *run(lines: readonly Fields[], options: ReplayOptions): Iterable<CaseReport> {
    const { hosts } = options;
    if (hosts === undefined) throw new MalformedRecording(lines[0]?.path ?? '', undefined, 'no host.json: it is looked for beside the file');
    let replay: ScenarioReplay | undefined;
    let skip = false;
    /** A Management Complex and its bus carry over from scenario to scenario. */
    let kept: Machine | undefined;
    let conversation: Conversation | undefined;
    for (const line of lines) {
      if (line.has('scenario')) {
        if (replay !== undefined) yield replay.finish();
        const name = line.string('scenario');
        skip = options.casePrefix !== undefined && !name.startsWith(options.casePrefix);
        const profile = options.profile ?? profileOfKernel(line);
        if (line.has('content') && kept === undefined) {
          const lines = options.conversation?.();
          conversation = lines === undefined ? undefined : new Conversation(lines);
          kept = machineOf(new FslMcMachine(line, hosts('contents.json'), hosts('commands.json'), hosts(undefined), profile, conversation));
        }
        kept?.fslmc?.begin(line);
        replay = skip ? undefined : new ScenarioReplay(name, line, hosts(line.has('host') ? line.string('host') : undefined), profile, kept, conversation);
      } else if (replay !== undefined) {
        replay.step(line);
      } else if (!skip) {
        line.fail('scenario', 'a header before the first step');
      }
    }
    if (replay !== undefined) yield replay.finish();
  },
};

function profileOfKernel(header: Fields): ProfileName {
  const kernel = header.string('kernel');
  return KERNELS.find(([prefix]) => kernel.startsWith(prefix))?.[1] ?? header.fail('kernel', 'a kernel 5.10, 5.13, 6.1, 6.12 or 7.3');
}
