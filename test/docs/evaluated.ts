import { Registry } from 'prom-client';
import ts from 'typescript';
import { fileLock, leaseLock } from '../../lib/index.js';

/** What examples leave to their readers, as far as its value counts. */
const KNOWN: Readonly<Record<string, unknown>> = {
  process: { env: { POD_NAME: 'plan-1', POD_IP: '10.1.2.3' } },
  register: new Registry(),
  fileLock,
  leaseLock,
};

/** Stands for any class or function of the reader's, or of another package. */
class ReadersOwn {
  canActivate(): boolean {
    return true;
  }

  getTracer(): undefined {
    return undefined;
  }
}

/** The value of an expression of the docs, in which every name has some value. */
export function evaluated(expression: string): unknown {
  const { outputText } = ts.transpileModule(`return ${expression}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2022 },
  });
  const scope = new Proxy(KNOWN, {
    has: (_, name) => typeof name === 'string',
    get: (known, name: string) =>
      known[name] ?? (globalThis as Record<string, unknown>)[name] ?? callable(),
  });
  // Only `with` lets an expression ask for names that are not declared.
  // eslint-disable-next-line typescript/no-implied-eval -- the examples of our own docstrings
  return (new Function('scope', `with (scope) { ${outputText} }`) as (scope: object) => unknown)(
    scope,
  );
}

/** Can be called, be made an instance of, and be passed. */
function callable(): unknown {
  const stand = function (): ReadersOwn {
    return new ReadersOwn();
  };
  stand.prototype = ReadersOwn.prototype;
  return stand;
}
