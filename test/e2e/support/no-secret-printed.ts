import { afterAll, afterEach, expect } from '@jest/globals';
import { takePrintedSecrets } from '../../../proof/control-plane/printed-secrets.js';

/** Of every end-to-end test: no process that it started has printed a token or a key. */
const expectNone = () => expect(takePrintedSecrets()).toEqual([]);

afterEach(expectNone);
afterAll(expectNone);
