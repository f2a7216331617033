// Runs a plugin without state.

import { batchOf, misfit, toRecord } from './record.js';
import { Run } from './run.js';

const NO_WATERMARK = -(2n ** 63n);

/** Opens an instance of `plugin`. What it refuses becomes an error. */
export function opened(plugin, kind, config) {
  if (plugin?.kind !== kind) throw new TypeError(`expected a plugin of kind ${kind}, found ${plugin?.kind ?? typeof plugin}`);
  const instance = plugin.instance();
  try {
    return { ...instance, spec: instance.lifecycle.open(JSON.stringify(config)) };
  } catch (error) {
    throw typeof error === 'string' ? new Error(`the plugin refuses its configuration: ${error}`) : error;
  }
}

/** Why the plugin refuses this configuration, or undefined when it takes it. */
export function configError(plugin, config) {
  try {
    plugin.instance().lifecycle.open(JSON.stringify(config));
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** The records that fit what the plugin reads, with their indexes; the others become rejects of `run`. */
export function admit(records, fields, run) {
  const fitting = [];
  records.forEach((it, row) => {
    const reason = misfit(it, fields);
    if (reason === undefined) fitting.push({ row, record: it });
    else run.rejects.push({ row, reason });
  });
  return fitting;
}

/** A plugin of `defineTransform`, opened with a configuration. */
export class TransformTest {
  #plugin;

  constructor(plugin, config = {}) {
    this.#plugin = opened(plugin, 'transform', config);
  }

  /** Hands the records over as one batch. Throws when the plugin fails the call. */
  run(records) {
    const rows = Array.from(records, toRecord);
    const run = new Run();
    const { reads, ports } = this.#plugin.spec;
    const fitting = admit(rows, reads, run);
    const batch = batchOf(fitting.map((it) => it.record), reads, NO_WATERMARK);
    const produced = run.during(() => this.#plugin.transform.process(batch));
    run.add(ports, produced, fitting.map((it) => it.row), (row) => rows[row].value);
    return run;
  }
}
