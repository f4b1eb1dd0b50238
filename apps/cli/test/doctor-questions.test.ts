/** Real questions: which known errors their texts have, and that texts without an error have none. */
import { fieldMachines, fieldQuestions } from '@vsim/conformance/doctor';
import { findErrors } from '@vsim/doctor';
import { describe, expect, it } from 'vitest';

const idsIn = (text: string): readonly string[] => findErrors(text).map(({ error }) => error.id);

describe('a question that somebody asked', () => {
  it.each(fieldQuestions().map(({ name, text, errors }) => [name, text, errors] as const))('%s: its messages are known', (_, text, errors) => {
    expect(idsIn(text)).toEqual(errors);
  });
});

describe('what lspci prints of a machine', () => {
  it.each(fieldMachines().map(({ name, text }) => [name, text] as const))('%s: has no error', (_, text) => {
    expect(idsIn(text)).toEqual([]);
  });
});
