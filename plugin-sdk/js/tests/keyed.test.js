import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, defineKeyed, key, number, Reject, t, time } from '../index.js';
import { KeyedTest, record } from '../testing.js';

const event = (name, at) => record({}, { key: name, time: at });

const silence = defineKeyed({
  name: 'silence',
  config: { silence_ms: t.s64(100) },
  reads: { at: time },
  emits: { key: 'text', count: 's64' },
  process(it, key, out, config) {
    key.setTimer(0, it.at + config.silence_ms);
    if (it.at < 0) throw new Reject('too old');
    key.state = { count: (key.state?.count ?? 0) + 1 };
  },
  onTimer(timer, key, out) {
    out.emit({ key: timer.key, count: key.state.count });
    key.state = null;
  },
});

test('state and timers are kept from batch to batch, and a key that is forgotten has none', () => {
  const run = new KeyedTest(silence);
  run.run([event('ann', 10), event('bob', 20), event('ann', 50)]);
  run.run([event('ann', 90)]);
  assert.deepEqual([run.state('ann'), run.state('bob')], [{ count: 3 }, { count: 1 }]);
  assert.deepEqual(run.timers(), [{ key: 'ann', id: 0, at: 190 }, { key: 'bob', id: 0, at: 120 }]);
  assert.equal(String(run.advance(119)), '');
  assert.equal(String(run.advance(200)), 'out: {"key":"bob","count":1}\nout: {"key":"ann","count":3}');
  assert.deepEqual([run.keys(), run.timers()], [[], []]);
});

test('a refused record leaves no timer', () => {
  const run = new KeyedTest(silence);
  assert.equal(String(run.run([event('ann', -5), event('ann', 10), event('bob', -1)])), 'reject 0: too old\nreject 2: too old');
  assert.deepEqual([run.timers(), run.keys()], [[{ key: 'ann', id: 0, at: 110 }], ['ann']]);
});

test('a batch of groups sees and sets all states at once', () => {
  const counting = defineKeyed({
    name: 'counting',
    emits: { count: 's64' },
    processBatch(batch, groups, out) {
      const last = [];
      for (let group = 0; group < groups.count; group++) {
        groups.states[group] = (groups.states[group] ?? 0) + groups.bounds[group + 1] - groups.bounds[group];
        last.push(groups.bounds[group + 1] - 1);
        groups.setTimer(group, 1, 5);
      }
      out.emit(last, { count: groups.states });
    },
  });
  const run = new KeyedTest(counting, {}, { key: 'k' });
  const records = (names) => Array.from(names, (k) => ({ k }));
  assert.equal(String(run.run(records('aba'))), 'out: {"count":2}\nout: {"count":1}');
  assert.equal(String(run.run(records('acb'))), 'out: {"count":3}\nout: {"count":2}\nout: {"count":1}');
  assert.equal(run.timers().length, 3);
});

test('states of any JSON shape come back as they were', () => {
  const states = [{ a: ['}{', ',"'] }, 'text, with "quotes"', 7, [1, [2]], true, { é: '\u2028' }];
  const keeping = defineKeyed({ name: 'keeping', reads: { n: 's64' }, process: (it, key) => (key.state = key.state ?? states[it.n]) });
  const run = new KeyedTest(keeping, {}, { key: 'n' });
  const records = states.map((_, n) => ({ n }));
  run.run(records);
  run.run(records);
  assert.deepEqual(states.map((_, n) => run.state(String(n))), states);
});

test('state may be bytes of the author’s own', () => {
  const raw = defineKeyed({
    name: 'raw',
    reads: { id: key('bytes') },
    state: bytes(),
    process(it, key) {
      key.state = Uint8Array.of(...(key.state ?? []), it.id.length);
    },
  });
  const run = new KeyedTest(raw);
  run.run([event('ann', 0), event('bo', 0), event('ann', 0)]);
  run.run([event('ann', 0)]);
  assert.deepEqual([run.stateBytes('ann'), run.stateBytes('bo')], [Uint8Array.of(3, 3, 3), Uint8Array.of(2)]);
});

test('state may be a number in eight bytes', () => {
  const summing = (process) => defineKeyed({ name: 'summing', reads: { n: 's64' }, state: number(), process });
  const run = new KeyedTest(summing((it, key) => (key.state = it.n === 0 ? null : (key.state ?? 0) + it.n)), {}, { key: 'k' });
  run.run([{ k: 'a', n: 1 }, { k: 'b', n: 2 }, { k: 'c', n: 3 }]);
  run.run([{ k: 'a', n: 4 }, { k: 'b', n: 0 }, { k: 'c', n: -5 }, { k: 'd', n: 6 }, { k: 'e', n: 0 }]);
  assert.deepEqual(['a', 'b', 'c', 'd', 'e'].map((it) => run.state(it)), [5, undefined, -2, 6, undefined]);
  assert.deepEqual(run.stateBytes('a'), Uint8Array.of(0, 0, 0, 0, 0, 0, 20, 64));
  assert.throws(() => new KeyedTest(summing((_, key) => (key.state = 'x')), {}, { key: 'k' }).run([{ k: 'a', n: 1 }]), /a state is a string: expected a number/);
  const odd = new KeyedTest(summing((_, key) => (key.state = NaN)), {}, { key: 'k' });
  odd.run([{ k: 'a', n: 1 }]);
  assert.equal(odd.state('a'), NaN);
});

test('a stored state that is no number says what to do', () => {
  const { keyed, lifecycle } = defineKeyed({ name: 'reading', state: number(), process() {} }).instance();
  lifecycle.open('{}');
  const states = { values: { tag: 'bytes', val: { offsets: Uint32Array.of(0, 1), data: Uint8Array.of(7) } }, nulls: new Uint8Array(0) };
  const batch = { rows: 0, columns: [], watermark: 0n };
  assert.throws(() => keyed.process(batch, { bounds: Uint32Array.of(0, 0), states }), (error) => /1 bytes, expected 1 numbers of 8/.test(error));
});

test('a state or a timer that cannot be fails the call', () => {
  const broken = (process) => () => new KeyedTest(defineKeyed({ name: 'broken', process })).run([event('ann', 0)]);
  assert.throws(broken((_, key) => (key.state = { at: 1n })), /BigInt/);
  assert.throws(broken((_, key) => (key.state = () => 1)), /a state is a function: expected a value that JSON can hold/);
  assert.throws(broken((_, key) => key.setTimer(-1, 5)), /timer -1: expected a whole number from 0/);
  assert.throws(broken((_, key) => key.setTimer(1, 0.5)), /timer 1 at 0\.5: expected milliseconds as a whole number/);
  assert.throws(broken((_, key) => key.setTimer(1, 2n ** 63n)), /expected a time of 64 bits/);
});

test('a timer has no record to pass on', () => {
  const passing = defineKeyed({ name: 'passing', process: (_, key) => key.setTimer(0, 1), onTimer: (_, key, out) => out.pass() });
  const run = new KeyedTest(passing);
  run.run([event('ann', 0)]);
  assert.throws(() => run.advance(1), /onTimer passed a record on, but is not called for one/);
});

test('state of another version is migrated, or refused with the version', () => {
  const stored = { offsets: Uint32Array.of(0, 1, 3), data: new TextEncoder().encode('742') };
  const migrate = (definition) => defineKeyed({ name: 'migrating', process() {}, ...definition }).instance().migration.migrate(1, stored);
  const text = ({ offsets, data }) => [Array.from(offsets), new TextDecoder().decode(data)];
  assert.deepEqual(text(migrate({ migrate: (it, from) => ({ count: Number(new TextDecoder().decode(it)), from }) })), [[0, 20, 41], '{"count":7,"from":1}{"count":42,"from":1}']);
  assert.throws(() => migrate({}), (error) => error === 'no migration from state version 1');
  assert.throws(() => migrate({ migrate: () => null }), (error) => /`migrate` answered no state/.test(error));
});

test('a stored state that is not JSON says what to do', () => {
  const { keyed, lifecycle } = defineKeyed({ name: 'reading', process() {} }).instance();
  lifecycle.open('{}');
  const states = { values: { tag: 'bytes', val: { offsets: Uint32Array.of(0, 1), data: Uint8Array.of(0xff) } }, nulls: new Uint8Array(0) };
  const batch = { rows: 0, columns: [], watermark: 0n };
  assert.throws(() => keyed.process(batch, { bounds: Uint32Array.of(0, 0), states }), (error) => /raise `stateVersion` and migrate it/.test(error));
});
