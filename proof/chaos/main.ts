import { readChaosOptions } from './chaos-options.js';
import { describeReport } from './chaos-report.js';
import { chaos } from './chaos.js';
import { INTERRUPTED, onInterruption } from './interruption.js';

const options = readChaosOptions(process.argv.slice(2));
const interruption = new AbortController();
onInterruption(() => interruption.abort());

process.stderr.write(`seed ${options.seed}\n`);
const report = await chaos(options, interruption.signal);
process.stdout.write(`${options.json ? JSON.stringify(report) : describeReport(report)}\n`);
process.exitCode = report.violations.length > 0 ? 1 : report.interrupted ? INTERRUPTED : 0;
