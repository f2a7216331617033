// Tries what a plugin may not, and fails in the ways that JavaScript can: one for each `try` of a record.

import { readFileSync } from 'node:fs';
import { defineTransform } from '../../../../plugin-sdk/js/index.js';
import { checked } from './typed.ts';

const kept = [];

function keep(what) {
  kept.push(what);
  return 'kept';
}

const TRIES = {
  read: () => readFileSync('/etc/passwd', 'utf8'),
  socket: () => String(fetch('http://127.0.0.1:1')),
  environment: () => process.env.HOME,
  clock: () => String(Date.now()),
  random: () => String(Math.random()),
  raise: () => {
    throw new TypeError('cannot go on with 5');
  },
  typed: () => checked(5),
  index: () => 'ab'.at(5).length.toString(),
};

export default defineTransform({
  name: 'probe',
  reads: { try: 'text' },
  emits: { try: 'text', answer: 'text' },
  process(attempt, out) {
    const tried = attempt.try.startsWith('keep ') ? keep(attempt.try) : (TRIES[attempt.try] ?? (() => 'nothing'))();
    out.emit({ try: attempt.try, answer: tried });
  },
});
