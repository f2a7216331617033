// Write a wasmill plugin in JavaScript or TypeScript: the business rule as one function, nothing else. The types and their documentation are in
// `index.d.ts`.

export { field, header, key, offset, partition, time, topic, value } from './lib/fields.js';
export { fixed } from './lib/fixed.js';
export { count, log } from './lib/host.js';
export { defineAggregate } from './lib/aggregate.js';
export { defineKeyed } from './lib/keyed.js';
export { Reject } from './lib/reject.js';
export { defineTransform } from './lib/transform.js';
export { bytes, json, number } from './lib/state.js';
export { ConfigError } from './lib/config.js';
export * as t from './lib/config.js';
