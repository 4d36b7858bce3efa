import { createHash } from 'node:crypto';

/** Text that packing makes no smaller, the same in every run. */
export function noise(length: number): string {
  let text = '';
  for (let index = 0; text.length < length; index += 1) {
    text += createHash('sha256').update(String(index)).digest('base64').slice(0, 42);
  }
  return text.slice(0, length);
}
