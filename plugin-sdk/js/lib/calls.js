// The call at hand. What stands for the clock and for randomness in a component begins anew with each; natively nobody listens.

let listener = () => {};

/** Calls `begun(batch)` at the beginning of each call from now on. */
export function onCall(begun) {
  listener = begun;
}

/** Begins a call that answers `records`. */
export function beginCall(records) {
  listener(records);
}
