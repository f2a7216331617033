// Refusing a record.

/**
 * Throw it to refuse the record at hand: it goes to the dead letters with this reason, and the batch goes on. What the rule emitted for the
 * record before, and the timers that it set, are taken back. What it did to its state stays: look first, change then.
 *
 * `out.reject(reason)` does the same without the cost of an exception; the rule goes on after it.
 */
export class Reject extends Error {
  name = 'Reject';
}
