/**
 * Write a wasmill plugin in JavaScript or TypeScript: the business rule as one function, nothing else.
 *
 * ```js
 * export default defineTransform({
 *   name: 'large-amounts',
 *   config: { max_amount: t.f64(10_000) },
 *   reads: { customer_id: 'text', amount: 'f64', note: 'text?' },
 *   emits: { customer_id: 'text', amount: 'f64' },
 *   process(txn, out, config) {
 *     if (txn.amount < 0) throw new Reject('a negative amount');
 *     if (txn.amount > config.max_amount) out.emit({ customer_id: txn.customer_id, amount: txn.amount });
 *   },
 * });
 * ```
 *
 * The host hands a plugin the fields that `reads` names, as columns, many records at once. A rule sees them one record at a time (`process`), or as the
 * columns that they are (`processBatch`), which is four times as fast. A failure of the rule costs the record that it happened on: it goes to the dead letters with the
 * message, its type and the line.
 *
 * Rules are synchronous. There are no files, network, environment or processes; the clock stands at the watermark, and randomness is seeded with the batch's
 * content, so that a replay gives the same output.
 */

/**
 * The kinds of a field, and what they are to a rule:
 *
 * | kind      | read as                                                   | written from            |
 * |-----------|-----------------------------------------------------------|-------------------------|
 * | `f64`     | number                                                    | number                  |
 * | `s64`     | number; a record with one beyond 2^53 - 1 is refused      | whole number up to 2^53 |
 * | `bigint`  | bigint: all 64 bits                                       | bigint                  |
 * | `boolean` | boolean                                                   | boolean                 |
 * | `text`    | string                                                    | string                  |
 * | `bytes`   | Uint8Array, valid until the rule returns                  | Uint8Array              |
 * | `json`    | any JSON value, parsed when it is looked at               | what JSON can hold      |
 *
 * With `?` it may be missing: null. A record without a field that has no `?`, or with another kind there, is dead-lettered before the rule sees it.
 */
export type Kind = 'f64' | 's64' | 'bigint' | 'boolean' | 'text' | 'bytes' | 'json';

/** What a rule reads of a record that is not a field of its value under the rule's own name. */
export interface Slot<K extends Declared> {
  readonly kind: K;
}

type Declared = Kind | `${Kind}?`;
/** Fields by the name that the rule has for them. */
export type Fields = { readonly [name: string]: Declared | Slot<Declared> };

interface Values {
  f64: number;
  s64: number;
  bigint: bigint;
  boolean: boolean;
  text: string;
  bytes: Uint8Array;
  json: any;
}
type KindOf<F> = F extends Slot<infer K> ? K : F;
type ValueOf<F> = KindOf<F> extends `${infer K extends Kind}?` ? Values[K] | null : KindOf<F> extends Kind ? Values[KindOf<F> & Kind] : never;
type IsOptional<F> = KindOf<F> extends `${string}?` ? true : false;

/** A record: a value for each field of `reads`. Text, bytes and json are decoded when they are read; `{ ...record }` does not copy them, `toJSON()` does. */
export type RecordOf<R extends Fields> = { readonly [N in keyof R]: ValueOf<R[N]> } & { toJSON(): { [N in keyof R]: ValueOf<R[N]> } };

/** A row to emit: a value for each field; one with `?` may be left out. */
export type RowOf<E extends Fields> = E extends Fields ? { [N in keyof E as IsOptional<E[N]> extends true ? never : N]: ValueOf<E[N]> } & {
  [N in keyof E as IsOptional<E[N]> extends true ? N : never]?: ValueOf<E[N]> | undefined;
} : never;

/** Where the field is: another name than the rule's, or names joined by dots (`field('card.country', 'text?')`). */
export function field<K extends Declared>(path: string, kind: K): Slot<K>;
/** The whole value as bytes; null is a tombstone. Written, it is the whole record. */
export const value: Slot<'bytes?'>;
/** The record's key: `text?` unless it says `bytes?`. */
export function key(): Slot<'text?'>;
export function key<K extends 'text' | 'text?' | 'bytes' | 'bytes?'>(kind: K): Slot<K>;
/** Event time in milliseconds since the Unix epoch. */
export const time: Slot<'s64'>;
/** The header `name`. */
export function header(name: string): Slot<'bytes?'>;
/** The source's topic. Read only, as are partition and offset. */
export const topic: Slot<'text?'>;
/** The source's partition. */
export const partition: Slot<'s64?'>;
/** The record's offset in its partition. */
export const offset: Slot<'s64?'>;

/** The types of a configuration. An unknown key, a missing one and one of another type refuse the deployment, with the key's name. */
export namespace t {
  interface Type<T> {
    readonly schema: object;
    readonly read: (value: unknown, path: string) => T;
  }
  type Of<C extends Config> = { readonly [N in keyof C]: C[N] extends Type<infer T> ? T : never };

  /** A number; `fallback` is what it is when the key is left out. */
  function f64(fallback?: number): Type<number>;
  /** A whole number, at most 2^53 - 1 from zero. */
  function s64(fallback?: number): Type<number>;
  function text(fallback?: string): Type<string>;
  function boolean(fallback?: boolean): Type<boolean>;
  /** Any JSON value. */
  function json<T = any>(fallback?: T): Type<T>;
  /** One of some texts. */
  function oneOf<const C extends string>(choices: readonly C[], fallback?: NoInfer<C>): Type<C>;
  /** Null where the key is left out. */
  function optional<T>(type: Type<T>): Type<T | null>;
  function list<T>(type: Type<T>, fallback?: readonly T[]): Type<readonly T[]>;
  /** An object with any keys. */
  function map<T>(type: Type<T>, fallback?: { [key: string]: T }): Type<{ readonly [key: string]: T }>;
  /** An object with these keys and no others. */
  function object<const C extends Config>(members: C, fallback?: Of<C>): Type<Of<C>>;
}
type Config = { readonly [key: string]: t.Type<any> };

/** Throw it to refuse the record at hand. What was emitted for it, and the timers set, are taken back; what was done to the state stays. */
export class Reject extends Error {}

/** Throw it in `open` to refuse a configuration: its message, which should begin with the key (`config.limits[2]: ..`), is all that the deployment is told. */
export class ConfigError extends Error {}

/** A port, record by record. */
export interface Port<E extends Fields> {
  /** Emits a row made from this record. It has the record's key and time unless it sets its own. Values are checked when the batch ends. */
  emit(row: RowOf<E>): void;
  /** Passes this record on as it is, byte for byte. Not from a timer or a window, which are no records. */
  pass(): void;
}
type PortsOf<P> = { readonly [N in keyof P]: P[N] extends Fields ? Port<P[N]> : never };

/** Where a rule's rows go. Itself it is the default output, the first of `ports`. */
export interface Output<E extends Fields, P> extends Port<E> {
  /** The ports by name. */
  readonly ports: PortsOf<P>;
  /** Refuses this record, as throwing `Reject` does, and goes on. */
  reject(reason: string): void;
}

/** A column: `at(row)` is a value, null where there is none. */
export interface Column<V> {
  at(row: number): V;
  /** One byte a row, 1 for null; null itself where no row is. */
  readonly nulls: Uint8Array | null;
  isNull(row: number): boolean;
  /** The rows named, ascending, as a column to emit: copied, not decoded. */
  pick(rows: ArrayLike<number>): Picked<NonNullable<V>>;
}
/** A column to emit. */
export interface Picked<V> {
  readonly kind: Kind;
  readonly length?: never;
  readonly of?: V;
}
type Bulk<K> = K extends `f64${'' | '?'}` ? Float64Array : K extends `bigint${'' | '?'}` ? BigInt64Array : K extends `boolean${'' | '?'}` ? Uint8Array : undefined;
/** All of a column at once; a null row holds 0. Kinds f64, bigint and boolean have it. */
type ColumnOf<F> = Column<ValueOf<F>> & (Bulk<KindOf<F>> extends undefined ? {} : { readonly values: Bulk<KindOf<F>> });

/** Many records as columns, valid until the rule returns. */
export interface Batch<R extends Fields> {
  /** How many. */
  readonly rows: number;
  readonly columns: { readonly [N in keyof R]: ColumnOf<R[N]> };
  /** No record on time is older than this, ms since the Unix epoch; null before the first watermark. */
  readonly watermark: number | null;
}

type ColumnsToEmit<E extends Fields> = { [N in keyof E]: ArrayLike<ValueOf<E[N]>> | Picked<NonNullable<ValueOf<E[N]>>> | (KindOf<E[N]> extends `s64${'' | '?'}` ? BigInt64Array : never) };
/** A port, as columns. */
export interface BatchPort<E extends Fields> {
  /** Passes the records of `rows` on as they are. */
  keep(rows: ArrayLike<number>): void;
  /** Emits a row for each of `rows`, the records that they are made from; `columns` has as many values for each field. */
  emit(rows: ArrayLike<number>, columns: ColumnsToEmit<E>): void;
}
export interface BatchOutput<E extends Fields, P> extends BatchPort<E> {
  readonly ports: { readonly [N in keyof P]: P[N] extends Fields ? BatchPort<P[N]> : never };
  /** Refuses the record of `row`; leave it out of what is emitted. */
  reject(row: number, reason: string): void;
}

/** What a definition of any kind has. */
interface Common<R extends Fields, E extends Fields, P, C extends Config> {
  /** What the plugin is called. */
  name: string;
  /** Semantic version; 0.1.0 unless it says otherwise. */
  version?: string;
  /** What it does, in a sentence. */
  description?: string;
  /** The step's `config`: a type for each key. */
  config?: C;
  /** What the rule reads; the host decodes nothing else. */
  reads?: R;
  /** The fields of the one output, in this order. Without it and `ports`, records are passed on. */
  emits?: E;
  /** Several outputs by name, the default one first; `{}` is one of records passed on. A pipeline names the others `STEP.PORT`. */
  ports?: P;
  /** Called once, before any record, with the checked configuration: for what is made from it. Throw an `Error` to refuse the deployment. */
  open?(config: t.Of<C>): void;
}
/** The default output is the first of `ports`, which a type cannot tell: with several ports, `out.emit` takes a row of any of them. */
type Main<E extends Fields, P> = string extends keyof P ? E : P[keyof P] extends infer F extends Fields ? F : E;
type Ports = { readonly [name: string]: Fields };

/** A plugin: what an entry exports as its default. */
export interface Plugin<K extends 'transform' | 'keyed' | 'aggregate'> {
  readonly kind: K;
  instance(): unknown;
}

/** A plugin that maps, filters, splits or routes records: `process` for each record, or `processBatch` for many. */
export function defineTransform<const R extends Fields = {}, const E extends Fields = {}, const P extends Ports = Ports, const C extends Config = {}>(
  definition: Common<R, E, P, C> &
    (
      | { process(record: RecordOf<R>, out: Output<Main<E, P>, P>, config: t.Of<C>): void; processBatch?: never }
      | { processBatch(batch: Batch<R>, out: BatchOutput<Main<E, P>, P>, config: t.Of<C>): void; process?: never }
    ),
): Plugin<'transform'>;

/** How a state is stored. */
export interface Form<S> {
  readonly of?: S;
}
/** As JSON: any value that JSON holds; NaN and infinities become null. `json<Activity>()` gives the state its type. */
export function json<S = any>(): Form<S>;
/** As a number in eight bytes, for counts and sums: it costs a fraction of what JSON costs, and holds NaN and infinities as they are. */
export function number(): Form<number>;
/** As bytes of a form that the rule decides on. */
export function bytes(): Form<Uint8Array>;

/** A key, while one of its records or timers is at hand. */
export interface Key<S> {
  /** Null where there is none. Set it to null to forget the key. What is changed within it is stored as well. */
  state: S | null;
  /** Calls `onTimer` once the watermark has passed `at`, ms since the Unix epoch. Replaces the key's timer of that id (0 to 2^32 - 1). */
  setTimer(id: number, at: number | bigint): void;
  /** Cancels the key's timer of that id, if it has one. */
  cancelTimer(id: number): void;
  /** No record on time is older than this, ms since the Unix epoch; null before the first watermark. */
  readonly watermark: number | null;
}
/** A timer that has fired. */
export interface Timer {
  readonly id: number;
  /** The event time that it was set for, ms since the Unix epoch. */
  readonly at: number;
  /** The key as text, empty for the null key. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
}
/** The keys of a batch. */
export interface Groups<S> {
  /** How many. */
  readonly count: number;
  /** The rows of key `i` are `bounds[i]` to before `bounds[i + 1]`, in order of arrival. */
  readonly bounds: Uint32Array;
  /** The state of each key; write to it to change it. */
  readonly states: (S | null)[];
  setTimer(group: number, id: number, at: number | bigint): void;
  cancelTimer(group: number, id: number): void;
}
interface Versioned<S> {
  /** Version of the state's form, 1 unless it says otherwise; whoever changes the form raises it. */
  stateVersion?: number;
  /** The current form of a state that version `from` wrote. Without it, state of another version refuses the deployment. */
  migrate?(stored: Uint8Array, from: number): S;
}

/** A plugin with a state for each key, which the host keeps. */
export function defineKeyed<const R extends Fields = {}, const E extends Fields = {}, const P extends Ports = Ports, const C extends Config = {}, S = any>(
  definition: Common<R, E, P, C> &
    Versioned<S> & {
      /** `json<T>()`, which is what it is without it, `number()` or `bytes()`. */
      state?: Form<S>;
      onTimer?(timer: Timer, key: Key<S>, out: Output<Main<E, P>, P>, config: t.Of<C>): void;
    } & (
      | { process(record: RecordOf<R>, key: Key<S>, out: Output<Main<E, P>, P>, config: t.Of<C>): void; processBatch?: never }
      | { processBatch(batch: Batch<R>, groups: Groups<S>, out: BatchOutput<Main<E, P>, P>, config: t.Of<C>): void; process?: never }
    ),
): Plugin<'keyed'>;

/** A window of one key: `start <= t < end`, ms since the Unix epoch. */
export interface Window {
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** A plugin that folds the records of each key and window. The host assigns windows, and stores and merges accumulators. */
export function defineAggregate<const R extends Fields = {}, const E extends Fields = {}, const P extends Ports = Ports, const C extends Config = {}, A = any>(
  definition: Common<R, E, P, C> &
    Versioned<NoInfer<A>> & {
      /** A new accumulator. */
      accumulator(config: t.Of<C>): A;
      /** `json()`, which is what it is without it, `number()` or `bytes()`. */
      accumulatorForm?: Form<NoInfer<A>>;
      /** Adds what `right` knows to `left`: changes it, or answers another one. Must be associative, and agree with `add`. */
      merge(left: NoInfer<A>, right: NoInfer<A>, config: t.Of<C>): NoInfer<A> | void;
      /** Emits what the window amounts to. May be called more than once for a window, when it is updated. */
      finish(window: Window, accumulator: NoInfer<A>, out: Output<Main<E, P>, P>, config: t.Of<C>): void;
    } & (
      | {
          /** Adds a record: changes the accumulator, or answers another one. */
          add(record: RecordOf<R>, accumulator: NoInfer<A>, config: t.Of<C>): NoInfer<A> | void;
          addBatch?: never;
        }
      | {
          /** Adds the rows `bounds[i]` to before `bounds[i + 1]` to `accumulators[i]`. */
          addBatch(batch: Batch<R>, groups: { readonly count: number; readonly bounds: Uint32Array; readonly accumulators: NoInfer<A>[] }, config: t.Of<C>): void;
          add?: never;
        }
    ),
): Plugin<'aggregate'>;

type Line = (...parts: unknown[]) => void;
/** Lines for the host's log, which bounds how many a call may write. `console.log` and its like go there too. */
export const log: { readonly trace: Line; readonly debug: Line; readonly info: Line; readonly warn: Line; readonly error: Line; readonly critical: Line };

/** Adds `amount` (a whole number from 0; 1 unless it says otherwise) to a counter that the host exports as `wasmill_plugin_NAME_total`. */
export function count(name: string, amount?: number): void;

/** `number` with `digits` (0 to 20) digits after the point: halves to even, never with an exponent, as Rust, Python, Go and C write it. */
export function fixed(number: number, digits: number): string;
