import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixed } from '../index.js';
import { decodeSegment, lineTable } from '../sourcemap.mjs';
import { f64Text } from '../testing/run.js';

test('digits after the point are rounded to the nearest, halves to even', () => {
  const cases = [[0.125, '0.12'], [0.375, '0.38'], [0.135, '0.14'], [1.005, '1.00'], [-0.125, '-0.12'], [12_000, '12000.00'], [10_000.01, '10000.01'], [1e22, '10000000000000000000000.00']];
  for (const [number, expected] of cases) assert.equal(fixed(number, 2), expected);
  assert.deepEqual([0.5, 1.5, 2.5, -2.5].map((it) => fixed(it, 0)), ['0', '2', '2', '-2']);
});

test('a number of kind f64 is written as the host writes it', () => {
  const cases = [[1, '1.0'], [-0, '-0.0'], [0.1, '0.1'], [1e15, '1000000000000000.0'], [1e16, '1e16'], [1.25e21, '1.25e21'], [1e-5, '0.00001'], [1.5e-6, '1.5e-6'], [NaN, 'null']];
  for (const [number, expected] of cases) assert.equal(f64Text(number), expected);
});

test('a line of the bundle comes from where its first mapped character does', () => {
  assert.deepEqual(decodeSegment('AAgBC'), [0, 0, 16, 1]);
  // Three lines: two of a.js from line 1 on, one that is nobody's, then line 5 of b.js.
  const table = lineTable({ mappings: 'AAAA,IACA;AACA;;ACGA', sources: ['a.js', 'b.js'] }, (it) => it);
  assert.deepEqual(table, [[1, 1, 'a.js', 1], [2, 1, 'a.js', 3], [4, 1, 'b.js', 6]]);
});
