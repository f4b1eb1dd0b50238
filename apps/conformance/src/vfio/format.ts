/** Recordings of the VFIO user API of a real kernel, replayed call by call. recordings/vfio/README.md tells their format. */
import type { ProfileName } from '@vsim/vfio-core';
import type { Format, ReplayOptions } from '../format.ts';
import { MalformedRecording, type Fields } from '../json.ts';
import type { CaseReport } from '../report.ts';
import { Conversation } from './conversation.ts';
import { boardOf } from './fslmc-board.ts';
import { FslMcMachine } from './fslmc-machine.ts';
import { profileOfKernel } from './kernels.ts';
import { machineOf, type Machine } from './machine.ts';
import { ScenarioReplay } from './scenario.ts';

export const vfioFormat: Format = {
  name: 'vfio',
  recognises: (first: Fields): boolean => first.has('scenario'),
  profileOf,
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
        const profile = options.profile ?? profileOf(line);
        if (line.has('content') && kept === undefined) {
          const lines = options.conversation?.();
          conversation = lines === undefined ? undefined : new Conversation(lines);
          const board = boardOf(hosts(undefined), line.path);
          const made = { content: line.string('content'), mcLog: options.mcLog, watch: options.watch, board: line.string('group') === 'noiommu' ? { ...board, iommu: 'none' as const } : board };
          kept = machineOf(new FslMcMachine(made, hosts('contents.json'), hosts('commands.json'), profile, conversation));
        }
        kept?.fslmc?.begin(line);
        replay = skip ? undefined : new ScenarioReplay(name, line, hosts(line.has('host') ? line.string('host') : undefined), profile, { kept, conversation, watch: options.watch });
      } else if (replay !== undefined) {
        replay.step(line);
      } else if (!skip) {
        line.fail('scenario', 'a header before the first step');
      }
    }
    if (replay === undefined) return;
    if (replay.ended && conversation?.tellsTheEnd === true) kept?.fslmc?.shutDown();
    yield replay.finish();
  },
};

function profileOf(header: Fields): ProfileName {
  return profileOfKernel(header.string('kernel')) ?? header.fail('kernel', 'a kernel 5.10, 5.13, 6.1, 6.12 or 7.3');
}
