// Records as objects, one for each row. The code is made for the fields that a rule reads, once, when the plugin is defined: a literal
// with the numbers in it costs an interpreter a third of what a constructor or a lookup by name does.

import { bindAll, viewsOf } from './views.js';

/**
 * Makes `{ bind(batch), each(rule, at, from, to, ...) }` for `fields`: `each` calls `rule(record, a, b, c)` for the rows `from..to`, and tells `at.origin` which
 * row it is at. A record has its numbers and booleans as they are; text, bytes and json are decoded when they are read.
 */
export function rowReader(fields) {
  const views = viewsOf(fields);
  const eager = ({ kind }) => kind === 'f64' || kind === 'boolean';
  const literal = fields.map((field, at) => (eager(field) ? `${quoted(field)}: ${cell(field, at)},` : '')).join(' ');
  const getters = fields.map((field, at) => (eager(field) ? '' : `get ${quoted(field)}() { return v${at}.at(this.$row); },`)).join('\n    ');
  const members = fields.map((field) => `${quoted(field)}: this[${quoted(field)}],`).join(' ');
  return new Function('views', 'bindAll', `
  const [${fields.map((_, at) => `v${at}`).join(', ')}] = views;
  let ${['none', ...fields.flatMap((_, at) => [`a${at}`, `n${at}`])].join(', ')};
  const lazy = {
    ${getters}
    toJSON() { return { ${members} }; },
  };
  return {
    bind(batch) {
      bindAll(views, batch);
      ${fields.map((field, at) => (eager(field) ? `a${at} = v${at}.values; n${at} = v${at}.nulls;` : '')).join(' ')}
    },
    each(rule, at, from, to, a, b, c) {
      for (let row = from; row < to; row++) {
        at.origin = row;
        rule({ __proto__: lazy, $row: row, ${literal} }, a, b, c);
      }
    },
  };`)(views, bindAll);
}

const quoted = ({ name }) => JSON.stringify(name);

function cell({ kind, required }, at) {
  const value = kind === 'boolean' ? `a${at}[row] === 1` : `a${at}[row]`;
  return required ? value : `n${at} !== null && n${at}[row] === 1 ? null : ${value}`;
}
