import { describe, expect, it } from '@jest/globals';
import { PAGE } from '../../../lib/dashboard/page/page.generated.js';

describe('when the page is built', () => {
  it('is one document with one script and one style, whose hashes are given', () => {
    expect(PAGE.html.match(/<script/g)).toHaveLength(1);
    expect(PAGE.html.match(/<style/g)).toHaveLength(1);
    expect(PAGE.html).not.toMatch(/<(?:link|img|iframe|object|embed|base)\b/);
    expect([PAGE.scriptHashes.length, PAGE.styleHashes.length]).toEqual([1, 1]);
  });

  it('names no address but the namespaces of markup and that of a licence', () => {
    const addresses = PAGE.html.match(/\bhttps?:\/\/[\w.]+/g) ?? [];
    expect([...new Set(addresses)]).toEqual(['http://www.w3.org']);
  });

  it('has no style that a strict policy forbids, and evaluates no text', () => {
    expect(PAGE.html).not.toMatch(/<[a-z][^<>]*\sstyle=/);
    expect(PAGE.html).not.toMatch(/\beval\(|new Function\(|url\((?!#|"#|'#)/);
  });

  it('keeps the notice that the licence of Preact demands', () => {
    expect(PAGE.html).toContain('Copyright (c) 2015-present Jason Miller');
    expect(PAGE.html).toContain('The above copyright notice and this permission notice');
  });

  it('fits into its budget', () => {
    expect(Buffer.byteLength(PAGE.html)).toBeLessThan(65_000);
  });
});
