/** The same of every text with each of its functions left out, and with each alone: ten thousand of each. */
import { readFileSync } from 'node:fs';
import { knowledge, type Part } from '@vsim/conformance/doctor';
import { expect, it } from 'vitest';
import { PAGE, knownInPage } from './doctor-knowledge.ts';
import { ask } from './doctor-said.ts';

it.each<Part>(['one left out', 'one alone'])('a text with %s is never told wrong, and as much is told of it as docs/doctor-knowledge.md says', (part) => {
  const rows = knowledge(ask, [part]);
  expect(rows.flatMap(({ score: { wrong } }) => wrong)).toEqual([]);
  const known = [...knownInPage(readFileSync(PAGE, 'utf8'))].filter(([key]) => key.startsWith(`${part}: `));
  expect(rows.map(({ options, score }) => [`${part}: ${options}`, score.known])).toEqual(known);
});
