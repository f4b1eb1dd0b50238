import { describe, expect, it } from 'vitest';
import { MOST_LETTERS, TooLargeForLink, fragmentOf, questionOfFragment } from './fragment.ts';

/** Letters that hardly pack. */
function noise(length: number): string {
  let state = 1;
  return Array.from({ length }, () => String.fromCharCode(32 + ((state = (state * 48_271) % 0x7fff_ffff) % 95))).join('');
}

describe('the fragment of a link', () => {
  it('carries the text, the device and what is taken for true', async () => {
    const question = { text: '00:02.0 VGA\n\tIOMMU group: 1\n'.repeat(200), device: '00:02.0', whatIf: { kernel: '6.12' } };
    const fragment = await fragmentOf(question);
    expect(fragment).toMatch(/^#q=[A-Za-z0-9_-]+$/);
    expect(fragment.length).toBeLessThan(question.text.length / 10);
    expect(await questionOfFragment(fragment)).toEqual(question);
  });

  it('is refused for a text that is too large, with the sizes', async () => {
    const large = fragmentOf({ text: noise(MOST_LETTERS) });
    await expect(large).rejects.toThrow(TooLargeForLink);
    await expect(large).rejects.toThrow(/too large for a link: 1\d\d \d\d\d letters .* takes 100 000/);
  });

  it.each(['', '#', '#other'])('has no question in %j', async (fragment) => {
    expect(await questionOfFragment(fragment)).toBeUndefined();
  });

  it.each(['#q=', '#q=AAAA', '#q=%', '#q=é'])('is not whole: %j', async (fragment) => {
    await expect(questionOfFragment(fragment)).rejects.toThrow(SyntaxError);
  });

  it('is not whole when its end was cut off', async () => {
    const fragment = await fragmentOf({ text: noise(500) });
    await expect(questionOfFragment(fragment.slice(0, -40))).rejects.toThrow(SyntaxError);
  });
});
