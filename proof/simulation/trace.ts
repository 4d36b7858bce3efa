/** Looked up once: under jest every look-up of a global is slow. */
const { imul } = Math;

/** What happened, as text for people and as a hash that tells whether two runs are the same. */
export class Trace {
  readonly lines: string[] = [];
  private hash = 0x811c9dc5;

  constructor(private readonly keepsLines: boolean) {}

  add(at: number, who: string, what: string): void {
    const line = `${at.toFixed(3).padStart(11)} ${who.padEnd(6)} ${what}`;
    for (let index = 0; index < line.length; index++) {
      this.hash = imul(this.hash ^ line.charCodeAt(index), 0x01000193);
    }
    if (this.keepsLines) this.lines.push(line);
  }

  get digest(): string {
    return (this.hash >>> 0).toString(16).padStart(8, '0');
  }
}
