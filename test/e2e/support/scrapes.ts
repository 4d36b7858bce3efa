/** What a Prometheus that scrapes once a second would have stored, as series of a unit test of promtool. */
export class Scrapes {
  private readonly startedAt = Date.now() / 1_000;
  private readonly series = new Map<string, string[]>();
  private count = 0;

  /** Whole seconds since this was made. */
  get second(): number {
    return Math.floor(Date.now() / 1_000 - this.startedAt);
  }

  /**
   * Seconds without a scrape, as on a busy machine, have no samples.
   * @param pages what each target answered, by its labels; undefined: nothing
   */
  store(second: number, pages: ReadonlyMap<string, string | undefined>): void {
    for (; this.count < second; this.count += 1) {
      for (const values of this.series.values()) values.push('_');
    }
    const present = new Set<string>();
    for (const [target, page] of pages) {
      for (const line of (page ?? '').split('\n')) {
        const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
        if (name === undefined || name.endsWith('_bucket')) continue;
        const key = `${name}{${[target, labels].filter((each) => each !== '').join(',')}}`;
        present.add(key);
        const values = this.series.get(key) ?? Array.from({ length: this.count }, () => '_');
        this.series.set(key, values);
        values.push(String(this.onTestClock(name, Number(value))));
      }
    }
    for (const [key, values] of this.series) {
      if (present.has(key)) continue;
      const last = values.findLast((value) => value !== '_');
      // Prometheus marks what has gone, so that it is not seen for five minutes more.
      values.push(last === undefined || last === 'stale' ? '_' : 'stale');
    }
    this.count = second + 1;
  }

  /** The clock of a unit test begins at zero. */
  private onTestClock(name: string, value: number): number {
    return /_timestamp_seconds$|_renew_time$/.test(name) ? value - this.startedAt : value;
  }

  get inputSeries(): { readonly series: string; readonly values: string }[] {
    return [...this.series].map(([series, values]) => ({ series, values: values.join(' ') }));
  }
}
