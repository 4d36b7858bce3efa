import { describe, expect, it } from '@jest/globals';
import { judge, pairwise, product, whyImpossible } from './combinations.js';

const AXES = { node: ['20', '22', '24', '26'], nest: ['11', '12'], module: ['import', 'require'] };

describe('when a few combinations stand for all', () => {
  const all = product(AXES);
  const few = pairwise(all);

  it('has every pair of values in one of them', () => {
    const pairs = (of: typeof all) =>
      new Set(
        of.flatMap(({ node, nest, module }) => [
          `${node} ${nest}`,
          `${node} ${module}`,
          `${nest} ${module}`,
        ]),
      );
    expect(all).toHaveLength(16);
    expect(pairs(few)).toEqual(pairs(all));
    expect(few.length).toBeLessThanOrEqual(9);
  });

  it('chooses the same ones again', () => {
    expect(pairwise(product(AXES))).toEqual(few);
  });
});

describe('when a combination is listed as not possible', () => {
  const rule = { when: { nest: ['12'], module: ['require'] }, why: 'it is ESM', saying: /ESM/ };

  it('is found by the values that the rule names, and by no others', () => {
    const found = product(AXES).filter((each) => whyImpossible(each, [rule]));
    expect(found.map(({ node }) => node)).toEqual(AXES.node);
    expect(found.every(({ nest, module }) => nest === '12' && module === 'require')).toBe(true);
  });

  it('says why where it fails as the rule says', () => {
    expect(judge(new Error('ERR: ESM'), rule)).toEqual({
      verdict: 'not possible',
      said: 'it is ESM',
    });
  });

  it('fails the run if it works, or fails in another way', () => {
    expect(judge(undefined, rule).verdict).toBe('fails');
    expect(judge(new Error('no disk'), rule).verdict).toBe('fails');
  });

  it('is the only kind that may fail', () => {
    expect(judge(undefined, undefined).verdict).toBe('works');
    expect(judge(new Error('ERR: ESM'), undefined)).toEqual({ verdict: 'fails', said: 'ERR: ESM' });
  });
});
