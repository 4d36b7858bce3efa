import { execFileSync } from 'node:child_process';

describe('When @nestjs/observe watches an application', () => {
  it('records each run of a @LeaderOnly() job on the leader as one completed job', () => {
    const application = '.tools/test/e2e/support/observed-application.js';
    const output = execFileSync(process.execPath, [application], { encoding: 'utf8' });
    const record = { queueName: 'interval', name: 'gated', status: 'completed' };
    expect(JSON.parse(output)).toEqual({ calls: 3, records: [record, record, record] });
  });
});
