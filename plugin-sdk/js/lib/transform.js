// Drives a rule without state.

import { plugin, throughRejects } from './define.js';
import { BatchOutput, Output } from './output.js';
import { rowReader } from './rows.js';
import { Batch } from './views.js';

/** A plugin that maps, filters, splits or routes records. See `index.d.ts` for what `definition` holds. */
export function defineTransform(definition) {
  return plugin('transform', definition, ['process', 'processBatch', 'open'], start);
}

/** The one of `names` that is a function in `definition`. */
export function oneRule(definition, names) {
  const found = names.filter((it) => typeof definition[it] === 'function');
  if (found.length !== 1) throw new TypeError(`expected one of the functions ${names.join(' and ')}, found ${found.join(' and ') || 'none'}`);
  return found[0];
}

function start({ definition, fields, ports }) {
  const process = oneRule(definition, ['process', 'processBatch']) === 'process' ? byRow(definition.process) : byBatch(definition.processBatch);
  return { stateVersion: 0, functions: { process: process(fields, ports) } };
}

const byRow = (rule) => (fields, ports) => {
  const rows = rowReader(fields);
  const out = new Output(ports);
  return (config, batch) => {
    out.begin();
    rows.bind(batch);
    const at = () => out.origin;
    throughRejects(batch.rows, at, (from) => rows.each(rule, out, from, batch.rows, out, config), (_, reason) => out.reject(reason));
    return out.finish();
  };
};

const byBatch = (rule) => (fields, ports) => {
  const batch = new Batch(fields);
  const out = new BatchOutput(ports);
  return (config, wire) => {
    out.begin();
    rule(batch.bind(wire), out, config);
    return out.finish();
  };
};
