// Runs a plugin that folds windows.

import { batchOf, batchOfKeys, bytesColumn, bytesOf, record, toRecord } from './record.js';
import { Run } from './run.js';
import { admit, opened } from './transform.js';

/** A plugin of `defineAggregate`, opened with a configuration. */
export class AggregateTest {
  #plugin;

  constructor(plugin, config = {}) {
    this.#plugin = opened(plugin, 'aggregate', config);
  }

  /**
   * Folds the records into one window of `key`, from `start` to before `end` (ms), and finishes it. They are also folded in two halves and
   * merged, wherever they can be cut; throws when that gives another result than adding them one after another.
   */
  run(key, [start, end], records) {
    const rows = Array.from(records, (it) => {
      const plain = toRecord(it);
      return record(plain.value, { ...plain, key });
    });
    const run = new Run();
    const fitting = admit(rows, this.#plugin.spec.reads, run).map((it) => it.record);
    const whole = this.#finish(key, start, end, this.#add(fitting, run), run);
    for (let cut = 1; cut < fitting.length; cut++) {
      const aside = new Run();
      const halves = [this.#add(fitting.slice(0, cut), aside), this.#add(fitting.slice(cut), aside)];
      const merged = aside.during(() => this.#plugin.aggregate.merge(...halves));
      const other = this.#finish(key, start, end, merged, aside);
      if (String(other) !== String(whole)) {
        throw new Error(`records ${cut}.. merged after those before give another result:\n${other}\nexpected\n${whole}`);
      }
    }
    run.emitted.push(...whole.emitted);
    run.rejects.push(...whole.rejects);
    return run;
  }

  /** A new accumulator with these records. */
  #add(records, run) {
    const batch = batchOf(records, this.#plugin.spec.reads, -(2n ** 63n));
    return run.during(() => this.#plugin.aggregate.add(batch, Uint32Array.of(0, records.length), bytesColumn([null])));
  }

  #finish(key, start, end, accumulators, run) {
    const { reads, ports } = this.#plugin.spec;
    const filled = { key: bytesOf(key), 'window-start': BigInt(start), 'window-end': BigInt(end) };
    const windows = batchOfKeys(1, reads, BigInt(end), ({ tag }) => filled[tag]);
    const finished = new Run();
    finished.add(ports, run.during(() => this.#plugin.aggregate.finish(windows, accumulators)), [0], () => null);
    return finished;
  }
}
