// Numbers as text with a fixed number of digits after the point.

/** Digits that decide whether a number lies exactly between two: more than any double has that could. */
const EXACT_DIGITS = 100;

/** From here on, a number has no fraction of its own left to be a half. */
const NO_HALVES_FROM = 2 ** 52;

/**
 * `number` with `digits` (0 to 20) digits after the point, rounded correctly, halves to even, never with an exponent: as Rust, Python, Go and C
 * write it. `Number.prototype.toFixed` rounds halves away from zero, and changes to exponents from 1e21 on.
 */
export function fixed(number, digits) {
  if (Math.abs(number) >= 1e21) return Number.isFinite(number) ? `${BigInt(number)}${digits ? `.${'0'.repeat(digits)}` : ''}` : String(number);
  const rounded = number.toFixed(digits);
  const scaled = Math.abs(number) * 10 ** digits;
  if (scaled < NO_HALVES_FROM && scaled % 1 !== 0.5) return rounded; // Nearly always. A half would be exact here.
  const exact = number.toFixed(EXACT_DIGITS);
  const cut = exact.length - EXACT_DIGITS + digits;
  if (!/^50*$/.test(exact.slice(cut))) return rounded;
  const below = exact.slice(0, digits ? cut : cut - 1); // Towards zero.
  return Number(below.at(-1)) % 2 === 0 ? below : rounded;
}
