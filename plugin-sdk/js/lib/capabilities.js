// What a plugin gets in place of the outside world. A rule's answer depends on its input alone, so that a replay gives the same output:
// the clock stands at the batch's watermark, randomness is seeded with the batch's content, and the rest says that it is not there.
//
// Imported for its effect, before any code of the author; in a component only.

import { onCall } from './calls.js';
import { log } from './host.js';

/** One look at the clock moves it by this much, ms. */
const LOOK_MS = 0.001;

const RealDate = Date;
const NO_WATERMARK = -(2n ** 63n);

let batch;
let start;
let looks = 0;
let seed;

onCall((records) => {
  batch = records;
  start = undefined;
  looks = 0;
  seed = undefined;
});

/** Milliseconds since the Unix epoch: the watermark, or 0 before the first one, and a little more at each look. */
function now() {
  start ??= batch === undefined || batch.watermark === NO_WATERMARK ? 0 : Number(batch.watermark);
  looks += 1;
  return start + Math.floor(looks * LOOK_MS);
}

/** A number below 2^32; mulberry32, a generator of 32 bits, which is not for cryptography. */
function random32() {
  seed = ((seed ?? seedOf(batch)) + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return (mixed ^ (mixed >>> 14)) >>> 0;
}

/** FNV-1a over the beginning of each column: the same batch gives the same numbers, another one others. */
function seedOf(records) {
  let hash = 0x811c9dc5;
  const mix = (bytes) => {
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  };
  mix([records?.rows ?? 0]);
  for (const { values } of records?.columns ?? []) {
    const list = values.val.data ?? values.val;
    mix(new Uint8Array(list.buffer, list.byteOffset, Math.min(list.byteLength, SEED_BYTES_MAX)));
  }
  return hash;
}

/** Bytes of a column that a seed is made from. */
const SEED_BYTES_MAX = 256;

function refusal(capability, name) {
  return () => {
    throw new Error(`${capability} not available to a plugin: ${name}`);
  };
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, made) => Reflect.construct(target, given.length ? given : [now()], made),
  apply: () => new RealDate(now()).toString(),
});
RealDate.now = now;
RealDate.prototype.constructor = globalThis.Date;
Object.defineProperty(globalThis, 'performance', { value: { now: () => (looks += 1) * LOOK_MS, timeOrigin: 0 } });

Math.random = () => random32() / 2 ** 32;
Object.defineProperty(globalThis, 'crypto', {
  value: {
    getRandomValues(array) {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let at = 0; at < bytes.length; at++) bytes[at] = random32();
      return array;
    },
    randomUUID() {
      const bytes = this.getRandomValues(new Uint8Array(16));
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const hex = Array.from(bytes, (it) => it.toString(16).padStart(2, '0')).join('');
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    },
    get subtle() {
      return refusal('cryptography that waits is', 'crypto.subtle')();
    },
  },
});

for (const name of ['fetch', 'Request', 'addEventListener']) globalThis[name] = refusal('the network is', name);
for (const name of ['setTimeout', 'setInterval']) globalThis[name] = refusal('waiting is', `${name} (a keyed plugin has timers of event time)`);
globalThis.clearTimeout = globalThis.clearInterval = () => {};

for (const [name, level] of Object.entries({ log: 'info', info: 'info', debug: 'debug', trace: 'trace', warn: 'warn', error: 'error' })) {
  console[name] = log[level];
}
