import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, defineTransform, field, header, key, log, offset, partition, Reject, t, time, topic, value } from '../index.js';
import { configError, record, TransformTest } from '../testing.js';

const run = (definition, records, config) => String(new TransformTest(defineTransform({ name: 'rule', ...definition }), config).run(records));

test('every kind is read and written as what it is', () => {
  const fields = { f: 'f64', s: 's64', l: 'bigint', b: 'boolean', t: 'text', j: 'json' };
  const row = { f: 1, s: -5, l: 3, b: true, t: 'é"', j: { a: [1] } };
  const copy = (txn, out) => out.emit({ f: txn.f, s: txn.s, l: txn.l, b: txn.b, t: txn.t, j: txn.j });
  assert.equal(run({ reads: fields, emits: fields, process: copy }, [row]), 'out: {"f":1.0,"s":-5,"l":3,"b":true,"t":"é\\"","j":{"a":[1]}}');
});

test('what is missing is null, read and written', () => {
  const fields = { f: 'f64?', s: 's64?', l: 'bigint?', b: 'boolean?', t: 'text?', j: 'json?' };
  const copy = (txn, out) => out.emit({ ...txn.toJSON(), t: undefined });
  const nulls = 'out: {"f":null,"s":null,"l":null,"b":null,"t":null,"j":null}';
  assert.equal(run({ reads: fields, emits: fields, process: copy }, [{}, { f: 2.5 }]), `${nulls}\n${nulls.replace('null', '2.5')}`);
  // As the host has it: what is not required is null where it is of another kind.
  assert.equal(run({ reads: fields, emits: fields, process: copy }, [{ f: 'x', s: 1.5, l: [], b: 'true', t: 7, j: null }]), nulls);
});

test('a record that lacks a field that is required is refused in the words of the host', () => {
  const definition = { reads: { n: field('a.n', 's64') }, process: (it, out) => out.pass() };
  const reasons = run(definition, [{}, { a: 5 }, { a: { n: null } }, { a: { n: 'x'.repeat(100) } }, null]);
  assert.equal(reasons, [
    'reject 0: field `a.n` is missing',
    'reject 1: field `a.n` is missing',
    'reject 2: field `a.n` is null, expected s64',
    `reject 3: field \`a.n\` is "${'x'.repeat(79)}..., expected s64`,
    'reject 4: field `a.n` is missing: the record is a tombstone, expected s64',
  ].join('\n'));
});

test('what is beside the value is read and written by its slot', () => {
  const definition = {
    reads: { id: key(), at: time, trace: header('trace'), from: topic, part: partition, at_offset: offset, raw: value, country: field('card.country', 'text?') },
    emits: { k: key('text'), at: time, trace: header('trace'), n: 's64', country: 'text?', size: 's64' },
    process: (it, out) => out.emit({ k: `${it.id}!`, at: it.at + 1, trace: it.trace, n: it.part * 1000 + it.at_offset, country: it.country, size: it.raw.length }),
  };
  const one = record({ card: { country: 'AQ' } }, { key: 'ann', time: 41, headers: { trace: 'x' }, topic: 'top', partition: 2, offset: 7 });
  assert.equal(run(definition, [one]), 'out key=ann! time=42: {"header trace":"x","n":2007,"country":"AQ","size":25}');
});

test('a refused record takes back what was emitted for it, and only that', () => {
  const process = (it, out) => {
    out.emit({ n: it.n });
    out.pass();
    out.ports.side.emit({ n: it.n });
    if (it.n === 1) throw new Reject('one');
    if (it.n === 2) out.reject('two');
  };
  const definition = { reads: { n: 's64' }, ports: { main: { n: 's64' }, side: { n: 's64' } }, process };
  assert.equal(
    run(definition, [0, 1, 2, 3].map((n) => ({ n }))),
    ['main: {"n":0}', 'main: {"n":0}', 'main: {"n":3}', 'main: {"n":3}', 'side: {"n":0}', 'side: {"n":3}', 'reject 1: one', 'reject 2: two'].join('\n'),
  );
});

test('a batch is answered with columns, picked ones and lists', () => {
  const processBatch = (batch, out) => {
    const { amount, name } = batch.columns;
    const rows = [...amount.values.keys()].filter((row) => amount.values[row] > 1);
    out.emit(rows, { name: name.pick(rows), amount: amount.pick(rows), n: rows });
    out.keep([0]);
    out.reject(0, 'small');
  };
  const definition = { reads: { amount: 'f64', name: 'text?' }, emits: { name: 'text?', amount: 'f64', n: 's64' }, processBatch };
  const records = [{ amount: 1, name: 'ann' }, { amount: 2 }, { amount: 3, name: 'cé' }];
  assert.equal(
    run(definition, records),
    'out: {"name":null,"amount":2.0,"n":1}\nout: {"name":"cé","amount":3.0,"n":2}\nout: {"amount":1,"name":"ann"}\nreject 0: small',
  );
});

test('a value that does not fit its field fails the call, with port, field, record and what it is', () => {
  const emit = (row, kind = 'f64') => () => run({ reads: { a: 'f64' }, emits: { a: kind }, process: (_, out) => out.emit(row) }, [{ a: 1 }]);
  assert.throws(emit({ a: '1' }), /port `out`, field `a` of the row made from record 0: expected a number, found text "1"/);
  assert.throws(emit({}), /expected a number, or declare the field as 'f64\?', found undefined/);
  assert.throws(emit({ a: 1, b: 2 }), /port `out` has no field `b`; its fields are `a`/);
  assert.throws(emit({ a: 1.5 }, 's64'), /expected a whole number up to 2\^53, found number 1\.5/);
  assert.throws(emit({ a: 2 ** 53 }, 's64'), /expected a whole number up to 2\^53/);
  assert.throws(emit({ a: 2n ** 63n }, 'bigint'), /expected a bigint of 64 bits/);
  assert.throws(emit({ a: 1 }, 'text'), /expected text, found number 1/);
  assert.throws(emit({ a: () => 1 }, 'json'), /expected a value that JSON can hold, found a function/);
  const short = { reads: { a: 'f64' }, emits: { a: 'f64' }, processBatch: (_, out) => out.emit([0], { a: [] }) };
  assert.throws(() => run(short, [{ a: 1 }]), /expected 1, one for each row, found 0 values/);
});

test('whole numbers that a number does not hold exactly are read as bigint or refuse the record', () => {
  const big = 2n ** 53n + 1n;
  const definition = (kind) => ({ reads: { n: kind }, emits: { n: 'bigint' }, process: (it, out) => out.emit({ n: BigInt(it.n) }) });
  assert.match(run(definition('s64'), [{ n: big }, { n: -(2 ** 53) + 1 }]), /^out: \{"n":-9007199254740991\}\nreject 0: `n` is 9007199254740993: too large/);
  const read = new TransformTest(defineTransform({ name: 'rule', ...definition('bigint') })).run([record({ n: big })]);
  assert.equal(read.emitted[0].text, '{"n":9007199254740993}');
});

test('an exception fails the call with message, type, file and line', () => {
  const broken = { reads: { a: 'f64' }, process: (it) => it.nested.member };
  assert.throws(() => run(broken, [{ a: 1 }]), /TypeError: Cannot read .* at .*transform\.test\.js:\d+$/);
  assert.throws(() => run({ ...broken, process: () => process_.env }, [{ a: 1 }]), /process_ is not defined/);
});

test('the log and counters are caught by a test', () => {
  const process = (it) => {
    log.warn('seen', it.a, { b: 1 });
    count('seen', 2);
    count('seen');
  };
  assert.equal(run({ reads: { a: 'f64' }, process }, [{ a: 1 }]), 'warn: seen 1 {"b":1}\ncount seen: 3');
});

test('a definition that makes no sense is refused when it is made', () => {
  const define = (definition) => () => defineTransform({ name: 'rule', process() {}, ...definition }).instance();
  assert.throws(define({ name: '' }), /`name` is missing/);
  assert.throws(define({ proces() {} }), /`proces` is not part of a transform plugin/);
  assert.throws(define({ process: undefined }), /expected one of the functions process and processBatch, found none/);
  assert.throws(define({ async process() {} }), /`process` must not be async/);
  assert.throws(define({ reads: { a: 'float' } }), /reads\.a: "float" is no kind; expected one of f64, s64, bigint/);
  assert.throws(define({ emits: {}, ports: {} }), /expected `emits` \(one output\) or `ports` \(several\), found both/);
  assert.throws(() => define({ config: { a: t.s64(1.5) } })(), /the default: invalid type: floating point `1\.5`, expected i64/);
  assert.equal(configError(defineTransform({ name: 'rule', process() {} }), { a: 1 }), 'config: unknown field `a`, there are no fields');
});
