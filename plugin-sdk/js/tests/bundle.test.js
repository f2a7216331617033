// What a component is made of, run natively: the bundle, with stand-ins for the two interfaces of the host, in a process of its own, since it replaces the clock
// and all else that a plugin does not get.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import esbuild from 'esbuild';
import { bundle } from '../bundle.mjs';

const SDK = join(dirname(fileURLToPath(import.meta.url)), '..');
const NAME = 'plugin.bundle.mjs';

/** Bundles `source` as a transform plugin and answers what `script` prints, one JSON value; the script sees `lifecycle`, `transform` and `call(rows)`. */
async function inBundle(source, script, file = 'rule.js') {
  const project = mkdtempSync(join(tmpdir(), 'wasmill-bundle-'));
  try {
    writeFileSync(join(project, file), `import { defineTransform, Reject } from ${JSON.stringify(join(SDK, 'index.js'))};\n${source}`);
    const { code, warnings } = await bundle(esbuild, { project, entry: file, kind: 'transform', name: NAME });
    const stands = code
      .replace(/import \{ (\w+)(?: as (\w+))? \} from "wasmill:plugin\/logging.*";/, (_, log, as) => `const ${as ?? log} = (...line) => lines.push(line); const lines = globalThis.lines = [];`)
      .replace(/import \{ (\w+)(?: as (\w+))? \} from "wasmill:plugin\/metrics.*";/, (_, count, as) => `const ${as ?? count} = () => {};`);
    writeFileSync(join(project, NAME), stands);
    const main = `
      const print = (it) => process.stdout.write(JSON.stringify(it));
      const { lifecycle, transform } = await import(${JSON.stringify(pathToFileURL(join(project, NAME)).href)});
      lifecycle.open('{}');
      const call = (rows, watermark = -(2n ** 63n)) => {
        const columns = [{ values: { tag: 'f64', val: Float64Array.from(rows) }, nulls: new Uint8Array(0) }];
        try {
          return transform.process({ rows: rows.length, columns, watermark });
        } catch (thrown) {
          return thrown;
        }
      };
      ${script}`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', main], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return { answer: JSON.parse(stdout), warnings };
  } finally {
    rmSync(project, { recursive: true });
  }
}

const rule = (body) => `export default defineTransform({ name: 'rule', reads: { a: 'f64' }, emits: { n: 'json' }, process(it, out) {\n${body}\n} });`;
const VALUES = "const values = (produced) => new TextDecoder().decode(produced.tables[0].body.val[0].values.val.data);";

test('a capability that a plugin does not have is named, with the line that asked', async () => {
  const asked = async (body, head = '') => (await inBundle(`${head}${rule(body)}`, 'print(call([1]));')).answer;
  const fs = "import { readFileSync } from 'node:fs';\n";
  assert.equal(await asked("readFileSync('/etc/passwd');", fs), 'Error: files are not available to a plugin: node:fs.readFileSync at rule.js:4');
  assert.equal(await asked("fetch('http://localhost');"), 'Error: the network is not available to a plugin: fetch at rule.js:3');
  assert.equal(await asked('setTimeout(() => {}, 1);'), 'Error: waiting is not available to a plugin: setTimeout (a keyed plugin has timers of event time) at rule.js:3');
  assert.equal(await asked('crypto.subtle.digest();'), 'Error: cryptography that waits is not available to a plugin: crypto.subtle at rule.js:3');
});

test('a module of Node is told when the plugin is built', async () => {
  const { warnings } = await inBundle(`import net from 'net';\n${rule('')}`, 'print(1);');
  assert.deepEqual(warnings, ['rule.js: the network is not available to a plugin: net']);
});

test('an exception is told in the lines of TypeScript', async () => {
  const source = `interface A { b?: { c: number } }\nconst first = (it: A): number => {\n  return it.b!.c;\n};\n${rule('out.emit({ n: first({}) });')}`;
  const { answer } = await inBundle(source, 'print(call([1]));', 'rule.ts');
  assert.match(answer, /^TypeError: .* at rule\.ts:4$/);
});

test('the clock stands at the watermark, and randomness depends on the batch alone', async () => {
  const source = rule('out.emit({ n: [Date.now(), new Date().toISOString(), Math.random(), crypto.randomUUID()] });');
  const { answer } = await inBundle(source, `${VALUES} print([call([1], 5000n), call([1], 5000n), call([2], 5000n), call([1])].map(values));`);
  const [first, again, other, early] = answer.map((it) => JSON.parse(it));
  assert.deepEqual(first.slice(0, 2), [5000, '1970-01-01T00:00:05.000Z']);
  assert.deepEqual(again, first);
  assert.notEqual(other[2], first[2]);
  assert.ok(first[2] >= 0 && first[2] < 1);
  assert.match(first[3], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(early[0], 0);
});

test('the console is the log', async () => {
  const { answer } = await inBundle(rule("console.warn('seen', it.a);"), 'call([1]); print(lines);');
  assert.deepEqual(answer, [['warn', 'rule', 'seen 1']]);
});

test('an entry without a plugin, and one that does not parse, are refused', async () => {
  await assert.rejects(inBundle('export const a = 1;', 'print(1);'), /the entry has no plugin as its default export: expected one of kind transform/);
  await assert.rejects(inBundle('export default (;', 'print(1);'), /rule\.js:2:17: Unexpected ";"/);
});
