import { readChaosOptions } from './chaos-options.js';
import { describeReport } from './chaos-report.js';
import { chaos } from './chaos.js';

const INTERRUPTED = 130;

const options = readChaosOptions(process.argv.slice(2));
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second time: the lifelines of processes and files see to it that nothing is left.
    if (interruption.signal.aborted) process.exit(INTERRUPTED);
    process.stderr.write('ending the run; once more to end it at once\n');
    interruption.abort();
  });
}

process.stderr.write(`seed ${options.seed}\n`);
const report = await chaos(options, interruption.signal);
process.stdout.write(`${options.json ? JSON.stringify(report) : describeReport(report)}\n`);
process.exitCode = report.violations.length > 0 ? 1 : report.interrupted ? INTERRUPTED : 0;
