// The host's log and counters. In a component the entry connects them; natively a test catches them, or they go to standard error.

// Kept as it is now: in a component the console writes to this log.
const stderr = console.error.bind(console);

const native = {
  log: (level, context, message) => stderr(`${level} ${context}: ${message}`),
  count: () => {},
};

let sink = native;
let context = 'plugin';

/** Sends what is logged and counted to `to`, until the answer is called. */
export function connect(to) {
  const before = sink;
  sink = to;
  return () => {
    sink = before;
  };
}

/** Log lines are told under this name: the plugin's. */
export function setContext(name) {
  context = name;
}

function shown(parts) {
  return parts.map((it) => (typeof it === 'string' ? it : it instanceof Error ? String(it) : toText(it))).join(' ');
}

function toText(value) {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value); // A cycle, or a bigint.
  }
}

const at = (level) => (...parts) => sink.log(level, context, shown(parts));

/** Lines for the host's log, which bounds how many a call may write. Values that are not text are written as JSON. */
export const log = { trace: at('trace'), debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), critical: at('critical') };

/** Adds `amount`, a whole number from 0, to the counter that the host exports as `wasmill_plugin_NAME_total`. */
export function count(name, amount = 1) {
  if (!Number.isInteger(amount) || amount < 0) throw new RangeError(`count \`${name}\`: ${amount} is no whole number from 0`);
  sink.count(name, BigInt(amount));
}
