/** What an author throws in TypeScript. */
class Refusal extends RangeError {
  override name = 'Refusal';

  constructor(readonly count: number) {
    super(`cannot go on with ${count}`);
  }
}

interface Counted {
  readonly count: number;
}

export function checked(count: number): string {
  const counted: Counted = { count };
  if (counted.count > 2) throw new Refusal(counted.count);
  return String(counted.count);
}
