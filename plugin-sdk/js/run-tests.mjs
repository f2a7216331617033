// Runs the native tests of a TypeScript project: bundles each file of `tests/`, since this node reads no TypeScript, and hands them to node's own runner.
//
//   node sdk/run-tests.mjs [what `node --test` takes]

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const project = process.cwd();
const { buildSync } = createRequire(join(project, 'package.json'))('esbuild');
const tests = readdirSync(join(project, 'tests')).filter((it) => it.endsWith('.test.ts'));
const outdir = join(project, 'build', 'tests');
buildSync({
  entryPoints: tests.map((it) => join(project, 'tests', it)),
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  sourcemap: true,
  outdir,
  outExtension: { '.js': '.mjs' },
  logLevel: 'warning',
});
const files = tests.map((it) => join(outdir, it.replace(/\.ts$/, '.mjs')));
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...process.argv.slice(2), ...files], { stdio: 'inherit' });
process.exitCode = status ?? 1;
