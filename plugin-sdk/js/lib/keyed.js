// Drives a rule with a state for each key over the groups of a batch.

import { plugin, throughRejects } from './define.js';
import { indexOfSlot, key, time } from './fields.js';
import { BatchOutput, Output } from './output.js';
import { rowReader } from './rows.js';
import { formOf, migration, readStates, versionOf, writeStates } from './state.js';
import { oneRule } from './transform.js';
import { Batch, keysOf, watermarkOf } from './views.js';

/** A plugin with a state for each key. See `index.d.ts` for what `definition` holds. */
export function defineKeyed(definition) {
  return plugin('keyed', definition, ['process', 'processBatch', 'onTimer', 'state', 'stateVersion', 'migrate', 'open'], start);
}

function start({ definition, fields, ports }) {
  const byRow = oneRule(definition, ['process', 'processBatch']) === 'process';
  const form = formOf(definition.state, 'state');
  const reads = [...fields];
  // What `onTimer` is told; a rule without timers does not make the host decode it.
  const due = definition.onTimer && { key: indexOfSlot(reads, key('bytes?')), time: indexOfSlot(reads, time) };
  const process = byRow ? processRows(definition, fields, ports, form) : processBatch(definition, fields, ports, form);
  return {
    reads,
    stateVersion: versionOf(definition),
    functions: { process, onTimers: onTimers(definition, due, ports, form), migrate: migration(definition, form) },
  };
}

/** A key while its records or a timer are at hand. */
class Key {
  #timers = [];
  /** The row that each timer was set for. */
  #rows = [];
  #states;
  #out;

  constructor(states, watermark, out) {
    this.#states = states;
    this.#out = out;
    this.group = 0;
    /** No record on time is older than this, ms since the Unix epoch; null before the first watermark. */
    this.watermark = watermark;
  }

  /** The key's state; null where there is none. Set it to null to forget the key. */
  get state() {
    return this.#states[this.group];
  }

  set state(state) {
    this.#states[this.group] = state;
  }

  /** Calls `onTimer` once the watermark has passed `at`, ms since the Unix epoch. Replaces the key's timer of that id. */
  setTimer(id, at) {
    this.#timers.push(timer(this.group, id, at));
    this.#rows.push(this.#out.origin);
  }

  /** Cancels the key's timer of that id, if it has one. */
  cancelTimer(id) {
    this.#timers.push(timer(this.group, id, undefined));
    this.#rows.push(this.#out.origin);
  }

  /** Takes back the timers of the last row, which is refused. */
  forget(row) {
    while (this.#rows.at(-1) === row) {
      this.#rows.pop();
      this.#timers.pop();
    }
  }

  get timers() {
    return this.#timers;
  }
}

/** A timer as the boundary has it. */
function timer(group, id, at) {
  if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) throw new RangeError(`timer ${id}: expected a whole number from 0 to 4294967295`);
  if (at === undefined) return { group, id, at };
  if (typeof at !== 'bigint' && !Number.isSafeInteger(at)) throw new RangeError(`timer ${id} at ${at}: expected milliseconds as a whole number`);
  const exact = BigInt(at);
  if (BigInt.asIntN(64, exact) !== exact) throw new RangeError(`timer ${id} at ${at}: expected a time of 64 bits`);
  return { group, id, at: exact };
}

function processRows({ process }, fields, ports, form) {
  const rows = rowReader(fields);
  const out = new Output(ports);
  return (config, batch, { bounds, states: column }) => {
    const states = readStates(form, column);
    out.begin();
    const it = new Key(states, watermarkOf(batch), out);
    rows.bind(batch);
    const refuse = (row, reason) => {
      it.forget(row);
      out.reject(reason);
    };
    for (let group = 0; group < states.length; group++) {
      it.group = group;
      const end = bounds[group + 1];
      out.origin = bounds[group];
      throughRejects(end, () => out.origin, (from) => rows.each(process, out, Math.max(from, bounds[group]), end, it, out, config), refuse);
    }
    return { output: out.finish(), states: writeStates(form, states), timers: it.timers };
  };
}

/** The keys of a batch, as `processBatch` gets them. */
class Groups {
  constructor(bounds, states) {
    /** How many keys. */
    this.count = states.length;
    /** The rows of key `i` are `bounds[i]` to before `bounds[i + 1]`. */
    this.bounds = bounds;
    /** The state of each key, null where there is none; write to it to change it. */
    this.states = states;
    this.timers = [];
  }

  /** As `setTimer` of a key. */
  setTimer(group, id, at) {
    this.timers.push(timer(group, id, at));
  }

  /** As `cancelTimer` of a key. */
  cancelTimer(group, id) {
    this.timers.push(timer(group, id, undefined));
  }
}

function processBatch(definition, fields, ports, form) {
  const batch = new Batch(fields);
  const out = new BatchOutput(ports);
  return (config, wire, { bounds, states: column }) => {
    const groups = new Groups(bounds, readStates(form, column));
    out.begin();
    definition.processBatch(batch.bind(wire), groups, out, config);
    return { output: out.finish(), states: writeStates(form, groups.states), timers: groups.timers };
  };
}

function onTimers({ onTimer }, due, ports, form) {
  const out = new Output(ports);
  return (config, batch, ids, { states: column }) => {
    const states = readStates(form, column);
    out.begin();
    const it = new Key(states, watermarkOf(batch), out);
    const keys = due && keysOf(batch.columns[due.key]);
    const fire = (from) => {
      for (let row = from; row < batch.rows; row++) {
        out.origin = it.group = row;
        const at = Number(batch.columns[due.time].values.val[row]);
        onTimer({ id: ids[row], at, key: keys.textAt(row), keyBytes: keys.bytesAt(row) }, it, out, config);
      }
    };
    const refuse = (row, reason) => {
      it.forget(row);
      out.reject(reason);
    };
    if (onTimer) throughRejects(batch.rows, () => out.origin, fire, refuse);
    return { output: withoutRecords(out.finish(), 'onTimer'), states: writeStates(form, states), timers: it.timers };
  };
}

/** `produced` for rows that stand for no record: there is nothing to pass on. */
export function withoutRecords(produced, call) {
  if (produced.tables.some((it) => it.body.tag === 'unchanged')) {
    throw new TypeError(`${call} passed a record on, but is not called for one: emit a row instead`);
  }
  return produced;
}
