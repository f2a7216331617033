// Scores payments by a rule set that the pipeline's configuration holds: whoever knows the business writes the rules, and needs no compiler.

import { count, defineTransform, t } from '../../../plugin-sdk/js/index.js';
import { checked, compile, type Test } from './rules.js';

interface Rule {
  readonly name: string;
  readonly score: number;
  readonly applies: Test;
}

/** The rule set of this instance, made when it is opened. */
let rules: readonly Rule[] = [];

export default defineTransform({
  name: 'rule-set',
  version: '0.1.0',
  description: 'Scores payments by a declarative rule set, and sorts them by their score',

  config: {
    // What a payment scores is the sum over the rules that apply.
    rules: t.list(t.object({ name: t.text(), score: t.f64(), when: t.json<unknown>() })),
    review_from: t.f64(50),
    block_from: t.f64(100),
  },

  reads: { payment_id: 'text', amount: 'f64', currency: 'text', country: 'text?', channel: 'text?', attempts: 's64?' },

  ports: {
    passed: {},
    review: { payment_id: 'text', score: 'f64', rules: 'json' },
    blocked: { payment_id: 'text', score: 'f64', rules: 'json' },
  },

  open(config) {
    rules = config.rules.map(({ name, score, when }, at) => ({ name, score, applies: compile(checked(when, `config.rules[${at}].when`)) }));
  },

  process(payment, out, config) {
    const hits = rules.filter((it) => it.applies(payment));
    const score = hits.reduce((sum, it) => sum + it.score, 0);
    if (score < config.review_from) {
      out.pass();
      return;
    }
    const verdict = { payment_id: payment.payment_id, score, rules: hits.map((it) => it.name) };
    const { review, blocked } = out.ports;
    if (score < config.block_from) {
      review.emit(verdict);
    } else {
      count('payments_blocked');
      blocked.emit(verdict);
    }
  },
});
