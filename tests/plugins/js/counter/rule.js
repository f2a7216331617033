// Counts the records of each key. Version 1 of its state was the count as eight bytes, the lowest first.

import { defineKeyed } from '../../../../plugin-sdk/js/index.js';

export default defineKeyed({
  name: 'counter',
  reads: { id: 's64' },
  emits: { count: 's64' },
  stateVersion: 2,

  process(event, key, out) {
    key.state = { count: (key.state?.count ?? 0) + 1 };
    out.emit({ count: key.state.count });
  },

  migrate(stored, version) {
    if (version !== 1) throw new RangeError(`there is no way from version ${version}`);
    return { count: Number(new DataView(stored.buffer, stored.byteOffset, 8).getBigInt64(0, true)) };
  },
});
