// Records as objects, one for each row. The code is made for the fields that a rule reads, once, when the plugin is defined: a literal
// with the numbers in it costs an interpreter a third of what a constructor or a lookup by name does.

/**
 * Makes `{ bind(views), each(rule, out, from, to) }` for `fields`: `each` calls `rule(record)` for the rows `from..to`, and tells `out` which row it
 * is at. A record has its numbers and booleans as they are; text, bytes and json are decoded when they are read.
 */
export function rowReader(fields) {
  const eager = ({ kind }) => kind === 'f64' || kind === 'boolean';
  const literal = fields.map((field, at) => (eager(field) ? `${quoted(field)}: ${cell(field, at)},` : '')).join(' ');
  const getters = fields.map((field, at) => (eager(field) ? '' : `get ${quoted(field)}() { return v${at}.at(this.$row); },`)).join('\n    ');
  const members = fields.map((field) => `${quoted(field)}: this[${quoted(field)}],`).join(' ');
  return new Function(`
  let ${['none', ...fields.flatMap((_, at) => [`v${at}`, `a${at}`, `n${at}`])].join(', ')};
  const lazy = {
    ${getters}
    toJSON() { return { ${members} }; },
  };
  return {
    bind(views) {
      ${fields.map((field, at) => `v${at} = views[${at}];${eager(field) ? ` a${at} = v${at}.values; n${at} = v${at}.nulls;` : ''}`).join('\n      ')}
    },
    each(rule, out, config, from, to) {
      for (let row = from; row < to; row++) {
        out.origin = row;
        rule({ __proto__: lazy, $row: row, ${literal} }, out, config);
      }
    },
    record(row) {
      return { __proto__: lazy, $row: row, ${literal} };
    },
  };`)();
}

const quoted = ({ name }) => JSON.stringify(name);

function cell({ kind, required }, at) {
  const value = kind === 'boolean' ? `a${at}[row] === 1` : `a${at}[row]`;
  return required ? value : `n${at} !== null && n${at}[row] === 1 ? null : ${value}`;
}
