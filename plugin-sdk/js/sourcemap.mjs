// Reads a source map (revision 3) as far as lines go.

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The numbers of a segment: base 64, five bits a digit, the lowest first; the lowest bit of a number is its sign. */
export function decodeSegment(text) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const letter of text) {
    const digit = DIGITS.indexOf(letter);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >>> 1) : value >>> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}

/**
 * Runs of lines, `[first line, how many, file, first line in that file]`, all from 1, ascending: a line of the bundle comes from where its first mapped
 * character does. `shown` gives a source its name.
 */
export function lineTable({ mappings, sources }, shown) {
  const runs = [];
  let [source, line] = [0, 0]; // Each segment counts from the one before, across lines.
  mappings.split(';').forEach((text, index) => {
    let first;
    for (const segment of text ? text.split(',') : []) {
      const [, sourceStep, lineStep] = decodeSegment(segment);
      if (sourceStep === undefined) continue;
      source += sourceStep;
      line += lineStep;
      first ??= { file: shown(sources[source]), line: line + 1 };
    }
    if (first) add(runs, index + 1, first);
  });
  return runs;
}

function add(runs, at, { file, line }) {
  const last = runs.at(-1);
  if (last && last[2] === file && last[0] + last[1] === at && last[3] + last[1] === line) last[1] += 1;
  else runs.push([at, 1, file, line]);
}
