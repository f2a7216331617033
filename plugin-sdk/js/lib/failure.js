// What went wrong in the author's code, in one line: message, type, and the file and line as the author wrote them.

/** Runs of lines of the bundle: `[first line, count, file, first line in that file]`, ascending. Told by the build; natively there is no bundle. */
let places = [];
let bundle;

/** Names that exist elsewhere, and what is missing here. */
const ELSEWHERE = {
  process: 'the environment is',
  require: 'files and modules at run time are',
  Deno: 'files and the environment are',
  Bun: 'files and the environment are',
  WebSocket: 'the network is',
  XMLHttpRequest: 'the network is',
  Worker: 'threads are',
  SharedArrayBuffer: 'threads are',
  Atomics: 'threads are',
  Intl: 'locale data are',
};

/** Tells where the lines of the file `name` come from. */
export function setPlaces(name, table) {
  bundle = name;
  places = table;
}

/** One line about what was thrown. */
export function describe(thrown) {
  const message = `${said(thrown)}${place(thrown)}`;
  // What the host's dead letter shows is one line; a message of several stays readable.
  return message.replace(/\s*\n\s*/g, '; ');
}

function said(thrown) {
  if (!(thrown instanceof Error)) return `${typeof thrown} thrown: ${String(thrown)}`;
  const missing = thrown instanceof ReferenceError && /^(\w+) is not defined$/.exec(thrown.message)?.[1];
  const hint = missing && Object.hasOwn(ELSEWHERE, missing) ? ` (${ELSEWHERE[missing]} not available to a plugin)` : '';
  return `${thrown.name}: ${thrown.message}${hint}`;
}

/** ` at FILE:LINE` of the innermost frame in the author's code; nothing where there is none. */
function place(thrown) {
  const frames = thrown instanceof Error ? String(thrown.stack).split('\n').map(frame).filter(Boolean) : [];
  const authors = frames.find((it) => !isForeign(it.file)) ?? frames[0];
  return authors ? ` at ${authors.file}:${authors.line}` : '';
}

/** A line of a stack, as SpiderMonkey (`name@file:line:column`) or V8 (`at name (file:line:column)`) writes it. */
function frame(line) {
  const [, file, number] = /([^\s@(]+?):(\d+):\d+\)?$/.exec(line) ?? [];
  if (!file) return undefined;
  const at = Number(number);
  if (bundle === undefined) return { file: file.replace(/^file:\/\//, ''), line: at };
  if (!file.endsWith(bundle)) return undefined; // The engine's own glue.
  const run = places.findLast(([first, count]) => first <= at && at < first + count);
  return run && { file: run[2], line: run[3] + at - run[0] };
}

/** Whether a file is the SDK's, a package's, node's, or what stands for a module that is not available. */
function isForeign(file) {
  return /(^|\/)(sdk|plugin-sdk\/js|node_modules)\//.test(file) || /^(node:|refused:|<)/.test(file);
}
