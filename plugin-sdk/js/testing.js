// Runs a plugin natively, as the host runs it: records go in as values and out as columns, through all that the SDK does, without WebAssembly.

export { AggregateTest } from './testing/aggregate.js';
export { KeyedTest } from './testing/keyed.js';
export { record } from './testing/record.js';
export { Run } from './testing/run.js';
export { TransformTest, configError } from './testing/transform.js';
