// Runs a plugin with state for each key, over states and timers as the host keeps them.

import { formOf, readAll } from '../lib/state.js';
import { batchOf, batchOfKeys, bytesColumn, bytesOf, record, toRecord } from './record.js';
import { Run } from './run.js';
import { admit, opened } from './transform.js';

const decoder = new TextDecoder();
const nameOf = (key) => decoder.decode(key ?? new Uint8Array(0));

/** A plugin of `defineKeyed`, opened with a configuration, and what is kept for it from one run to the next. */
export class KeyedTest {
  #plugin;
  #form;
  #keyField;
  #watermark = -(2n ** 63n);
  /** By key as text: the bytes of its state. */
  #states = new Map();
  /** By key and id: `{ key, id, at }`. */
  #timers = new Map();

  /** `key` is the field that records are keyed by, unless a record has a key. */
  constructor(plugin, config = {}, { key } = {}) {
    this.#plugin = opened(plugin, 'keyed', config);
    this.#form = formOf(plugin.state, 'state');
    this.#keyField = key;
  }

  /** Hands the records over as one batch, grouped by key. Throws when the plugin fails the call. */
  run(records) {
    const rows = Array.from(records, (it) => this.#keyed(toRecord(it)));
    const run = new Run();
    const { reads } = this.#plugin.spec;
    const groups = grouped(admit(rows, reads, run));
    const keys = [...groups.keys()].sort();
    const members = keys.flatMap((it) => groups.get(it));
    const bounds = new Uint32Array(keys.length + 1);
    keys.forEach((it, at) => (bounds[at + 1] = bounds[at] + groups.get(it).length));
    const batch = batchOf(members.map((it) => it.record), reads, this.#watermark);
    const answer = run.during(() => this.#plugin.keyed.process(batch, { bounds, states: this.#column(keys) }));
    this.#apply(run, answer, keys, members.map((it) => it.row), (row) => rows[row].value);
    return run;
  }

  /** Moves the watermark to `watermark`, ms, and fires the timers that it passes in the order of their times. An origin counts the timers. */
  advance(watermark) {
    const run = new Run();
    this.#watermark = BigInt(watermark);
    for (let fired = 0; ; fired++) {
      const due = [...this.#timers.values()].filter((it) => it.at <= watermark).sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1))[0];
      if (!due) return run;
      this.#timers.delete(`${due.id} ${due.key}`);
      const batch = batchOfKeys(1, this.#plugin.spec.reads, this.#watermark, ({ tag }) => ({ key: bytesOf(due.key), time: BigInt(due.at) })[tag]);
      const groups = { bounds: Uint32Array.of(0, 1), states: this.#column([due.key]) };
      const answer = run.during(() => this.#plugin.keyed.onTimers(batch, Uint32Array.of(due.id), groups));
      this.#apply(run, answer, [due.key], [fired], () => null);
    }
  }

  /** The state of a key as the rule has it; undefined where there is none. */
  state(key) {
    const data = this.#states.get(key);
    return data && readAll(this.#form, { offsets: Uint32Array.of(0, data.length), data })[0];
  }

  /** The state of a key as it is stored. */
  stateBytes(key) {
    return this.#states.get(key);
  }

  /** The keys that have a state. */
  keys() {
    return [...this.#states.keys()].sort();
  }

  /** The timers set, as `{ key, id, at }`, by key and id. */
  timers() {
    return [...this.#timers.values()].sort((a, b) => (a.key === b.key ? a.id - b.id : a.key < b.key ? -1 : 1));
  }

  #keyed(it) {
    const found = this.#keyField === undefined || it.key !== null ? undefined : it.value?.[this.#keyField];
    if (found === undefined || found === null) return it;
    return record(it.value, { ...it, key: typeof found === 'string' ? found : JSON.stringify(found) });
  }

  #column(keys) {
    return bytesColumn(keys.map((it) => this.#states.get(it) ?? null));
  }

  #apply(run, { output, states, timers }, keys, origins, valueOf) {
    const { offsets, data } = states.values.val;
    if (offsets.length !== keys.length + 1) throw new Error(`${offsets.length - 1} states for ${keys.length} keys`);
    keys.forEach((key, at) => {
      if (states.nulls[at] === 1) this.#states.delete(key);
      else this.#states.set(key, data.slice(offsets[at], offsets[at + 1]));
    });
    for (const { group, id, at } of timers) {
      const place = `${id} ${keys[group]}`;
      if (at === undefined) this.#timers.delete(place);
      else this.#timers.set(place, { key: keys[group], id, at: Number(at) });
    }
    run.add(this.#plugin.spec.ports, output, origins, valueOf);
  }
}

function grouped(members) {
  const groups = new Map();
  for (const it of members) {
    const key = nameOf(it.record.key);
    groups.set(key, [...(groups.get(key) ?? []), it]);
  }
  return groups;
}
