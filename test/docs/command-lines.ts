import { parseArgs } from 'node:util';
import { COMMANDS } from '../../lib/cli/commands.js';

/** The options that every command takes. */
const COMMON = { json: { type: 'boolean' }, help: { type: 'boolean' } } as const;

/** What is wrong with the calls of the program in a text: a command or an option that it does not have. */
export function wrongCallsIn(text: string): string[] {
  const calls = text
    .replaceAll('\\\n', ' ')
    .matchAll(/(?:npx |\.bin\/)nestjs-leader-election[ \t]+([a-z][^\n`|;&]*)/g);
  return [...calls].flatMap(([, call]) => {
    const fault = faultOf(
      call!
        .replace(/\s#.*$/, '')
        .trim()
        .split(/\s+/),
    );
    return fault === undefined ? [] : [`${call}: ${fault}`];
  });
}

function faultOf([name, ...args]: readonly string[]): string | undefined {
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) return 'there is no such command';
  const end = args.indexOf('--');
  const known = Object.entries(command.options).map(([option, { type }]) => [option, { type }]);
  try {
    parseArgs({
      args: end < 0 ? args : args.slice(0, end),
      options: { ...(Object.fromEntries(known) as typeof COMMON), ...COMMON },
      allowPositionals: true,
    });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
