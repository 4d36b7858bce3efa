export interface StreamMessage {
  readonly event: string;
  readonly data: string;
}

/** Takes text as it comes and gives the messages that are whole: the format of Server-Sent Events without ids and times. */
export class StreamParser {
  private rest = '';

  push(text: string): StreamMessage[] {
    const blocks = (this.rest + text).split(/\r?\n\r?\n/);
    this.rest = blocks.pop()!;
    return blocks.flatMap(messageOf);
  }
}

function messageOf(block: string): StreamMessage[] {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^(event|data): ?(.*)$/.exec(line) ?? [];
    if (field === 'event') event = value!;
    if (field === 'data') data.push(value!);
  }
  return data.length === 0 ? [] : [{ event, data: data.join('\n') }];
}
