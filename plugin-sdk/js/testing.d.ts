/**
 * Runs a plugin natively, as the host runs it: records go in as values and out as columns, through all that the SDK does, without WebAssembly.
 *
 * ```js
 * const run = new TransformTest(plugin, { max_amount: 100 }).run([{ customer_id: 'bob', amount: 101 }]);
 * assert.equal(String(run), 'out: {"customer_id":"bob","amount":101.0}');
 * ```
 */
import type { Plugin } from './index.js';

/** What a broker keeps beside a record's value. */
export interface Beside {
  key?: string | Uint8Array;
  /** Event time, ms since the Unix epoch; 0 unless it says otherwise. */
  time?: number | bigint;
  headers?: { [name: string]: string | Uint8Array };
  topic?: string;
  partition?: number;
  offset?: number;
}
export interface TestRecord {
  readonly value: unknown;
}
/** A record with something beside its value. A plain value is one with nothing. */
export function record(value: unknown, beside?: Beside): TestRecord;

/** A row that came out. */
export interface Emitted {
  readonly port: string;
  /** The index of the record, the timer or the window that it was made from. */
  readonly origin: number;
  /** Whether it is its record, passed on as it was. */
  readonly passed: boolean;
  /** The value as its JSON text, with the fields in the plugin's order. */
  readonly text: string;
  readonly row: any;
  /** The key and the time that the row sets. */
  readonly key?: Uint8Array;
  readonly time?: number;
}

/** What a plugin did. As text: `PORT: JSON` for each row, then `reject ROW: REASON`, log lines and `count NAME: N`. */
export interface Run {
  readonly emitted: Emitted[];
  readonly rejects: { row: number; reason: string }[];
  readonly logs: { level: string; message: string }[];
  readonly counts: { [name: string]: number };
  /** All rows, or those of one port. */
  rows(port?: string): any[];
  /** The indexes of the records that were passed on as they were. */
  passed(): number[];
  toString(): string;
}

/** A plugin of `defineTransform`, opened with a configuration; the constructor throws where the plugin refuses it. */
export class TransformTest {
  constructor(plugin: Plugin<'transform'>, config?: object);
  /** Hands the records over as one batch. Throws when the plugin fails the call. */
  run(records: Iterable<unknown>): Run;
}

/** A plugin of `defineKeyed`, and the states and timers that are kept for it from one run to the next. */
export class KeyedTest {
  /** `key` is the field that records are keyed by, unless a record has a key. */
  constructor(plugin: Plugin<'keyed'>, config?: object, options?: { key?: string });
  run(records: Iterable<unknown>): Run;
  /** Moves the watermark, ms since the Unix epoch, and fires the timers that it passes. */
  advance(watermark: number): Run;
  /** The state of a key as the rule has it; undefined where there is none. */
  state(key: string): any;
  stateBytes(key: string): Uint8Array | undefined;
  keys(): string[];
  timers(): { key: string; id: number; at: number }[];
}

/** A plugin of `defineAggregate`, opened with a configuration. */
export class AggregateTest {
  constructor(plugin: Plugin<'aggregate'>, config?: object);
  /** Folds the records into one window, whole and in two merged halves, which must agree, and finishes it. */
  run(key: string, window: [start: number, end: number], records: Iterable<unknown>): Run;
}

/** Why the plugin refuses this configuration, or undefined when it takes it. */
export function configError(plugin: Plugin<any>, config: object): string | undefined;
