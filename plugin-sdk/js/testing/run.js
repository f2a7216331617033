// What a plugin did with the records, keys or windows that a test handed to it.

import { connect } from '../lib/host.js';

const decoder = new TextDecoder();

/** Rows, rejects, log lines and counters, in order. */
export class Run {
  constructor() {
    /** The rows of all ports: `{ port, origin, passed, text, row, key, time }`. */
    this.emitted = [];
    /** The records refused, by the plugin or, not fitting what it reads, before it: `{ row, reason }`. */
    this.rejects = [];
    /** What was logged: `{ level, message }`. */
    this.logs = [];
    /** What was counted, by name. */
    this.counts = {};
  }

  /** All rows, or those of one port, as values. */
  rows(port) {
    return this.emitted.filter((it) => port === undefined || it.port === port).map((it) => it.row);
  }

  /** The indexes of the records that were passed on as they were. */
  passed() {
    return this.emitted.filter((it) => it.passed).map((it) => it.origin);
  }

  /** One line for each thing: `PORT: JSON`, then `reject ROW: REASON`, log lines and counters. */
  toString() {
    const emitted = this.emitted.map(({ port, key, time, text }) => {
      const beside = (key === undefined ? '' : ` key=${decoder.decode(key)}`) + (time === undefined ? '' : ` time=${time}`);
      return `${port}${beside}: ${text}`;
    });
    const rejects = this.rejects.map(({ row, reason }) => `reject ${row}: ${reason}`);
    const logs = this.logs.map(({ level, message }) => `${level}: ${message}`);
    const counts = Object.entries(this.counts).map(([name, amount]) => `count ${name}: ${amount}`);
    return [...emitted, ...rejects, ...logs, ...counts].join('\n');
  }

  /** Makes `call`, and keeps what it logs and counts. What it throws, the answer `err` of the boundary, becomes an error. */
  during(call) {
    const restore = connect({
      log: (level, _context, message) => this.logs.push({ level, message }),
      count: (name, amount) => (this.counts[name] = (this.counts[name] ?? 0) + Number(amount)),
    });
    try {
      return call();
    } catch (error) {
      throw typeof error === 'string' ? new Error(`the plugin failed the call: ${error}`) : error;
    } finally {
      restore();
    }
  }

  /** Adds an answer; `origins[i]` is the index of the record that the plugin knew as row `i`, and `valueOf` its value. */
  add(ports, produced, origins, valueOf) {
    for (const table of produced.tables) {
      const { name, fields } = ports[table.port];
      table.origins.forEach((row, at) => {
        const origin = origins[row];
        const passed = table.body.tag === 'unchanged';
        const emitted = passed ? { text: JSON.stringify(valueOf(origin)) } : rowOf(fields, table.body.val, at);
        this.emitted.push({ port: name, origin, passed, row: JSON.parse(emitted.text), ...emitted });
      });
    }
    this.rejects.push(...produced.rejects.map(({ row, reason }) => ({ row: origins[row], reason })));
    this.rejects.sort((a, b) => a.row - b.row);
  }
}

function rowOf(fields, columns, at) {
  const row = {};
  const members = [];
  fields.forEach(({ slot }, index) => {
    const column = columns[index];
    const absent = column.nulls[at] === 1;
    if (slot.tag === 'key') row.key = absent ? undefined : raw(column, at);
    else if (slot.tag === 'time') row.time = absent ? undefined : Number(column.values.val[at]);
    else members.push(`${JSON.stringify(slot.tag === 'field' ? slot.val : [slot.tag, slot.val].join(' ').trim())}:${cellText(column, at)}`);
  });
  return { ...row, text: `{${members.join(',')}}` };
}

function raw({ values: { val } }, at) {
  return val.data.subarray(val.offsets[at], val.offsets[at + 1]);
}

/** The value of row `at` as JSON text, as the host writes it. */
function cellText(column, at) {
  if (column.nulls[at] === 1) return 'null';
  const { tag, val } = column.values;
  if (tag === 's64') return String(val[at]);
  if (tag === 'f64') return f64Text(val[at]);
  if (tag === 'boolean') return String(val[at] !== 0);
  const text = decoder.decode(raw(column, at));
  return tag === 'json' ? text : JSON.stringify(text);
}

/** A number as the host writes one of kind f64: with a point or an exponent, so that it stays an f64 when it is read again. */
export function f64Text(number) {
  if (!Number.isFinite(number)) return 'null';
  if (Object.is(number, -0)) return '-0.0';
  const [digits, exponent] = number.toExponential().split('e');
  const power = Number(exponent);
  if (number !== 0 && (power >= 16 || power < -5)) return `${digits}e${power}`;
  const text = power < 0 && number !== 0 ? number.toFixed(digits.replace(/[-.]/g, '').length - 1 - power) : String(number);
  return text.includes('.') ? text : `${text}.0`;
}
