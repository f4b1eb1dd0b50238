/** `vsim explain`: the rules that an errno can come of. docs/reasons.md is the same table. */
import * as core from '@vsim/vfio-core';
import * as fslmc from '@vsim/vfio-fslmc';
import * as gic from '@vsim/gic-its';
import * as mdev from '@vsim/mdev';
import * as pci from '@vsim/vfio-pci';
import * as platform from '@vsim/vfio-platform';
import type { Command } from 'commander';
import { EXIT, UsageError } from '../io.ts';
import type { Context } from '../context.ts';

const { errnoName, isReason } = core;

const REASONS: readonly core.ReasonInfo[] = [core, pci, platform, fslmc, mdev, gic]
  .flatMap((exports) => Object.values<unknown>({ ...exports }).filter(isReason))
  .sort((a, b) => (a.id < b.id ? -1 : 1));

export function addExplain(program: Command, { io, end }: Context): void {
  program
    .command('explain')
    .summary('why a call is refused: the rules behind an errno')
    .description("The rules of the kernel that answer with an errno: what each demands, the function that holds it, and what helps. VFIO's, KVM's, and those of the buses.")
    .argument('<errno>', 'a name (EBUSY) or a number, or the id of one rule (vfio/group-not-viable)')
    .argument('[call]', 'only those of calls with this in their name: SET_CONTAINER, bind')
    .option('--json', 'a list of objects')
    .addHelpText('after', '\nExamples:\n  vsim explain EPERM SET_CONTAINER\n  vsim explain 16 bind')
    .action((errno: string, call: string | undefined, { json }: { readonly json?: true }) => {
      const found = rulesOf(errno, call);
      if (json === true) io.out(JSON.stringify(found.map(objectOf)));
      else for (const line of found.flatMap(linesOf).slice(0, -1)) io.out(line);
      end(EXIT.ok);
    });
}

/** @throws UsageError where no rule answers so */
function rulesOf(errno: string, call: string | undefined): readonly core.ReasonInfo[] {
  const name = /^-?[0-9]+$/.test(errno) ? errnoName(Number(errno)) : errno.toUpperCase();
  const all = REASONS.filter(({ id, errnos }) => id === errno || errnos.some((each) => errnoName(each) === name));
  if (all.length === 0) throw new UsageError(`no rule answers ${errno}; there are ${[...new Set(REASONS.flatMap(({ errnos }) => errnos.map(errnoName)))].sort().join(', ')}`);
  const found = all.filter((each) => call === undefined || each.call.toLowerCase().includes(call.toLowerCase()));
  if (found.length === 0) throw new UsageError(`no rule answers ${errno} at ${call ?? ''}; those that do are of ${[...new Set(all.map((each) => each.call))].sort().join(', ')}`);
  return found;
}

function linesOf({ id, errnos, call, rule, kernel, wayOut }: core.ReasonInfo): readonly string[] {
  return [`${call}: ${errnos.map(errnoName).join(' or ') || 'ignored'} (${id})`, `\tRule: ${rule}`, `\tKernel: ${kernel}`, `\tWay out: ${wayOut}`, ''];
}

function objectOf({ id, errnos, call, rule, kernel, wayOut }: core.ReasonInfo): object {
  return { id, errnos: errnos.map(errnoName), call, rule, kernel, wayOut };
}
