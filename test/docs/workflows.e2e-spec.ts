import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { findBinary } from '../../proof/control-plane/binaries.js';

describe('when a workflow is pushed', () => {
  it('has no fault that actionlint finds', async () => {
    const actionlint = await findBinary('actionlint');
    const files = readdirSync('.github/workflows').map((file) => `.github/workflows/${file}`);
    const { stdout } = await promisify(execFile)(actionlint, ['-no-color', ...files]).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe('');
  });
});
