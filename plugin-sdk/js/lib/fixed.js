// Numbers as text with a fixed number of digits after the point.

/** Digits that are looked at to find out whether a number lies exactly between two: more than any double of a sensible size has. */
const EXACT_DIGITS = 100;

/**
 * `number` with `digits` (0 to 20) digits after the point, rounded correctly, halves to even, never with an exponent: as Rust, Python, Go and C
 * write it. `Number.prototype.toFixed` rounds halves away from zero, and changes to exponents from 1e21 on.
 */
export function fixed(number, digits) {
  if (Math.abs(number) >= 1e21) return Number.isFinite(number) ? `${BigInt(number)}${digits ? `.${'0'.repeat(digits)}` : ''}` : String(number);
  const rounded = number.toFixed(digits);
  const exact = number.toFixed(EXACT_DIGITS);
  const cut = exact.length - EXACT_DIGITS + digits;
  const isHalf = /^50*$/.test(exact.slice(cut));
  if (!isHalf) return rounded;
  const below = exact.slice(0, digits ? cut : cut - 1); // Towards zero.
  return Number(below.at(-1)) % 2 === 0 ? below : rounded;
}
