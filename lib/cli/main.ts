#!/usr/bin/env node
import { runCli } from './cli.js';
import { patientStream } from './patient-stream.js';

const { env, stdout } = process;
const stderr = patientStream(process.stderr.fd);
process.exitCode = await runCli(process.argv.slice(2), { env, stdout, stderr });
