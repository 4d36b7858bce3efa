import { causeOf, codeOf, messageOf, stackOf, titleOf } from '../../lib/core/thrown-value.js';
import { hostileValues } from '../support/hostile-values.js';

describe('when foreign code throws', () => {
  test.each(Object.entries(hostileValues()))('%s is read without throwing', (_what, value) => {
    expect(typeof messageOf(value)).toBe('string');
    expect(typeof titleOf(value)).toBe('string');
    expect(['string', 'undefined']).toContain(typeof stackOf(value));
    expect(['string', 'undefined']).toContain(typeof codeOf(value));
    expect(() => causeOf(value)).not.toThrow();
  });

  test.each([
    ['an error', new TypeError('no such plan'), 'no such plan', 'TypeError: no such plan'],
    ['a text', 'no such plan', 'no such plan', 'no such plan'],
    ['an error without a message', new RangeError(), 'RangeError', 'RangeError'],
    [
      'an error that has only a code',
      Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }),
      'ECONNREFUSED',
      'AggregateError: ECONNREFUSED',
    ],
    ['an object with a message', { message: 'no such plan' }, 'no such plan', 'no such plan'],
    ['null', null, 'null', 'null'],
    ['a symbol', Symbol('plan'), 'Symbol(plan)', 'Symbol(plan)'],
    ['a number', 7, '7', '7'],
    [
      'an object without a prototype',
      Object.create(null),
      'something that cannot be read',
      'something that cannot be read',
    ],
  ])('%s is told by what it says', (_what, value, message, title) => {
    expect(messageOf(value)).toBe(message);
    expect(titleOf(value)).toBe(title);
  });

  it('reads stack, code and cause of an error', () => {
    const cause = Symbol('cause');
    const error = Object.assign(new Error('x', { cause }), {
      code: 'EIO',
      stack: 'Error: x\n at y',
    });
    expect([stackOf(error), codeOf(error), causeOf(error)]).toEqual([
      'Error: x\n at y',
      'EIO',
      cause,
    ]);
  });

  it('takes a stack that is no text for none', () => {
    expect(stackOf(Object.assign(new Error(), { stack: ['frame'] }))).toBeUndefined();
  });
});
