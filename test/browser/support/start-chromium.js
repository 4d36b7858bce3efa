import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Starts one browser for all files. CHROMIUM names another than the one on the PATH. */
export default async function startChromium() {
  const executablePath = process.env['CHROMIUM'] ?? NAMES.flatMap(onPath).find(isProgram);
  if (executablePath === undefined || !isProgram(executablePath)) {
    const missing = executablePath ?? 'No Chromium is on the PATH';
    // In one line: Jest would put a stack below it.
    console.error(`${missing}: install it with "apt-get install chromium", or set CHROMIUM.`);
    process.exit(1);
  }
  const server = await chromium.launchServer({
    executablePath,
    // Root, as in a container of CI, has no sandbox of user namespaces.
    chromiumSandbox: process.getuid?.() !== 0,
  });
  globalThis.chromiumServer = server;
  process.env['CHROMIUM_ENDPOINT'] = server.wsEndpoint();
}

function onPath(name) {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
