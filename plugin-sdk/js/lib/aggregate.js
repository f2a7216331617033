// Drives an accumulator for each key and window.

import { plugin } from './define.js';
import { indexOfSlot, key, WINDOW_END, WINDOW_START } from './fields.js';
import { Reject } from './reject.js';
import { Output } from './output.js';
import { rowReader } from './rows.js';
import { formOf, migration, readAll, readStates, versionOf } from './state.js';
import { oneRule } from './transform.js';
import { Batch, keysOf } from './views.js';
import { withoutRecords } from './keyed.js';

/** A plugin that folds the records of a window into an accumulator. See `index.d.ts` for what `definition` holds. */
export function defineAggregate(definition) {
  const more = ['accumulator', 'accumulatorForm', 'add', 'addBatch', 'merge', 'finish', 'stateVersion', 'migrate', 'open'];
  return plugin('aggregate', definition, more, start);
}

function start({ definition, fields, ports }) {
  for (const it of ['accumulator', 'merge', 'finish']) {
    if (typeof definition[it] !== 'function') throw new TypeError(`\`${it}\` is missing: expected a function`);
  }
  const byRow = oneRule(definition, ['add', 'addBatch']) === 'add';
  const form = formOf(definition.accumulatorForm, 'accumulatorForm');
  const reads = [...fields];
  const window = { key: indexOfSlot(reads, key('bytes?')), start: indexOfSlot(reads, WINDOW_START), end: indexOfSlot(reads, WINDOW_END) };
  return {
    reads,
    stateVersion: versionOf(definition),
    functions: {
      add: byRow ? addRows(definition, fields, form) : addBatch(definition, fields, form),
      merge: merge(definition, form),
      finish: finish(definition, window, ports, form),
      migrate: migration(definition, form),
    },
  };
}

function addRows({ accumulator, add }, fields, form) {
  const rows = rowReader(fields);
  return (config, batch, bounds, column) => {
    const accumulators = readStates(form, column);
    rows.bind(batch);
    const at = { origin: 0 };
    let current;
    const rule = (record) => {
      // A rule may change the accumulator, or answer another one.
      current = add(record, current, config) ?? current;
    };
    for (let group = 0; group < accumulators.length; group++) {
      current = accumulators[group] ?? accumulator(config);
      rows.each(rule, at, bounds[group], bounds[group + 1]);
      accumulators[group] = current;
    }
    return form.write(accumulators);
  };
}

function addBatch(definition, fields, form) {
  const batch = new Batch(fields);
  return (config, wire, bounds, column) => {
    const accumulators = readStates(form, column).map((it) => it ?? definition.accumulator(config));
    definition.addBatch(batch.bind(wire), { count: accumulators.length, bounds, accumulators }, config);
    return form.write(accumulators);
  };
}

function merge(definition, form) {
  return (config, left, right) => {
    const others = readAll(form, right);
    const merged = readAll(form, left).map((it, at) => definition.merge(it, others[at], config) ?? it);
    return form.write(merged);
  };
}

function finish(definition, window, ports, form) {
  const out = new Output(ports);
  return (config, windows, strings) => {
    out.begin();
    const accumulators = readAll(form, strings);
    const keys = keysOf(windows.columns[window.key]);
    const bound = (index, row) => Number(windows.columns[index].values.val[row]);
    for (let row = 0; row < windows.rows; row++) {
      out.origin = row;
      const at = { key: keys.textAt(row), keyBytes: keys.bytesAt(row), start: bound(window.start, row), end: bound(window.end, row) };
      try {
        definition.finish(at, accumulators[row], out, config);
      } catch (thrown) {
        if (!(thrown instanceof Reject)) throw thrown;
        out.reject(thrown.message);
      }
    }
    return withoutRecords(out.finish(), 'finish');
  };
}
