/** Ten questions that people asked, with what they pasted: `vsim groups` answers each as its thread ended. recordings/doctor/questions has the answers as they are printed. */
import { fieldQuestions, type FieldAnswer, type FieldQuestion } from '@vsim/conformance/doctor';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { called } from './called.ts';

const folder = mkdtempSync(join(tmpdir(), 'vsim-questions-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the first line is like where a thread ended so. A question of kernels is about no device. */
const FIRST: Readonly<Record<Exclude<FieldAnswer, 'kernel'>, RegExp>> = {
  yes: /^\S+ can be given to a VM(?:, alone| by Xen)/,
  'after-binding': /^\S+ can be given to a VM, (?:at most )?with /,
  'not-now': /^\S+ cannot be given to a VM now: /,
  no: /^\S+ cannot be given to a VM(?:: | without )/,
};

function printed({ name, device, text }: FieldQuestion): readonly string[] {
  writeFileSync(join(folder, name), text);
  const { code, out } = called(['groups', name, ...(device === undefined ? [] : ['--device', device])], { cwd: folder });
  expect(code).toBe(0);
  return out;
}

describe('a question that somebody asked', () => {
  const questions = fieldQuestions();

  it.each(questions.map((each) => [each.name, each] as const))('%s: is answered in these words', async (name, question) => {
    await expect(`${printed(question).join('\n')}\n`).toMatchFileSnapshot(`../../conformance/recordings/doctor/questions/${name}.answer.txt`);
  });

  it.each(questions.flatMap((each) => (each.answer === 'kernel' ? [] : [[each.name, each.answer, each] as const])))('%s: the first line says %s', (_, answer, question) => {
    expect(printed(question)[0]).toMatch(FIRST[answer]);
  });

  it.each(questions.filter(({ answer }) => answer === 'kernel').map((each) => [each.name, each] as const))('%s: the kernel is named that makes other groups', (_, question) => {
    expect(printed(question).filter((line) => line.startsWith('Another kernel (Linux '))).toHaveLength(1);
  });

  it.each(questions.flatMap((each) => each.says.map((words) => [each.name, words, each] as const)))('%s: speaks of %s', (_, words, question) => {
    const short = words.replace(/^0000:/, '');
    expect(printed(question).filter((line) => line.includes(short))).not.toEqual([]);
  });
});
