// Counts the records of each key, and says so when a key falls silent.

import { defineKeyed, json, t, time } from './sdk/index.js';

// The only timer; a key holds at most one of each number.
const SILENCE = 0;

/** What is remembered of a key. */
interface Activity {
  last: number;
  count: number;
}

export default defineKeyed({
  name: 'example-rule',
  version: '0.1.0',
  description: 'Counts the records of each key, and sums up when a key falls silent',

  // The step's `config`: a key without a record for this long is silent, in milliseconds of event time.
  config: { silence_ms: t.s64(300_000) },

  // What the rule reads: nothing of the value, only the event time, in milliseconds since the Unix epoch.
  reads: { at: time },

  // Written once for each time that a key was active.
  emits: { key: 'text', last: 's64', count: 's64' },

  // The host keeps a key's state, checkpoints it and gives it back; whoever changes its form raises this.
  stateVersion: 1,
  state: json<Activity>(),

  process(event, key, out, config) {
    const activity = (key.state ??= { last: event.at, count: 0 });
    activity.count += 1;
    if (event.at >= activity.last) {
      activity.last = event.at;
      key.setTimer(SILENCE, event.at + config.silence_ms); // Replaces the one before.
    }
  },

  // Sums up and forgets the key.
  onTimer(timer, key, out) {
    if (key.state === null) return;
    out.emit({ key: timer.key, last: key.state.last, count: key.state.count });
    key.state = null;
  },
});
