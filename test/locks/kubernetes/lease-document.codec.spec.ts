import { describe, it, expect } from '@jest/globals';
import {
  documentIn,
  DOCUMENT_ANNOTATION,
  encodeDocumentReplacement,
} from '../../../lib/locks/kubernetes/lease-store.js';
import { ADDRESS, decoded, wire } from './wire-lease.js';

function annotated(text: unknown): Record<string, unknown> {
  return wire(
    { strategy: 'S' },
    { labels: { team: 'x' }, annotations: { note: 'keep', [DOCUMENT_ANNOTATION]: text } },
  );
}

describe('documentIn', () => {
  it('when the annotation is a JSON object, reads it', () => {
    expect(documentIn(decoded(annotated('{"n":1}')))).toEqual({ n: 1 });
  });

  it.each([
    ['there are no annotations', wire({})],
    ['the annotations are null', wire({}, { annotations: null })],
    ['there are only others', wire({}, { annotations: { note: 'n' } })],
  ])('when %s, reads an empty document', (_, json) => {
    expect(documentIn(decoded(json))).toEqual({});
  });

  it.each(['', '{', '[]', 'null', '7', 7, null, {}])(
    'when the annotation is %j, reads none, so that it is not taken for empty',
    (text) => {
      expect(documentIn(decoded(annotated(text)))).toBeUndefined();
    },
  );
});

describe('encodeDocumentReplacement', () => {
  it('when it is written, names version and uid of the expected representation', () => {
    const expected = { ...decoded(annotated('{}')), uid: 'u-9', revision: 77n };
    expect(encodeDocumentReplacement('{}', expected, ADDRESS)['metadata']).toMatchObject({
      uid: 'u-9',
      resourceVersion: '77',
    });
  });

  it('when it is written, exchanges the document and keeps all the rest', () => {
    const stored = annotated('{"n":1}');
    expect(encodeDocumentReplacement('{"n":2}', decoded(stored), ADDRESS)).toEqual(
      annotated('{"n":2}'),
    );
    expect(stored).toEqual(annotated('{"n":1}'));
  });
});
