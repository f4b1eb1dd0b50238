import { describe, expect, it } from 'vitest';
import { pageWith } from './page-with.ts';
import { questionJson, questionOf, type Question } from './question.ts';

describe('a question as JSON', () => {
  it.each<[string, Question]>([
    ['a text with a device and what is taken for true', { text: '00:00.0 "x"\n\t\u{1f600}</script>', name: 'a.txt', device: 'gpu', whatIf: { iommu: 'amd' } }],
    ['the files of a tree', { files: [['a/config', Uint8Array.of(0, 128, 255)], ['a/driver', { link: '../vfio-pci' }], ['b/', new Uint8Array(0)]] }],
  ])('is read back: %s', (_, question) => {
    expect(questionOf(questionJson(question))).toEqual(question);
  });

  it('has many bytes, too', () => {
    const bytes = Uint8Array.from({ length: 100_001 }, (_, index) => index & 0xff);
    expect(questionOf(questionJson({ files: [['x', bytes]] })).files).toEqual([['x', bytes]]);
  });

  it.each(['', '1', 'null', '[]', '"text"', '{"files":[["a","!"]]}'])('refuses %j', (json) => {
    expect(() => questionOf(json)).toThrow(SyntaxError);
  });

  it('leaves out what is no part of a question', () => {
    const odd = { text: 5, name: [], files: [1, ['a'], [2, 'AA=='], ['b', { link: 3 }], ['c', 'AA==']], whatIf: { iommu: 1, kernel: '6.1' }, more: true };
    expect(questionOf(JSON.stringify(odd))).toEqual({ files: [['c', Uint8Array.of(0)]], whatIf: { kernel: '6.1' } });
  });
});

describe('pageWith', () => {
  const PAGE = '<p>a</p><script type="application/json" id="paste"></script><p>b</p>';

  it('puts the question where the page has its place, and no tag begins in it', () => {
    const html = pageWith(PAGE, { text: '</script><script>alert(1)</script> $& $1' });
    expect(html.startsWith('<p>a</p><script type="application/json" id="paste">')).toBe(true);
    expect(html.endsWith('</script><p>b</p>')).toBe(true);
    const data = html.slice(html.indexOf('"paste">') + 8, html.lastIndexOf('</script>'));
    expect(data).not.toContain('<');
    expect(questionOf(data).text).toBe('</script><script>alert(1)</script> $& $1');
  });

  it('refuses a text that is no page of the doctor', () => {
    expect(() => pageWith('<p>a</p>', {})).toThrow(RangeError);
  });
});
