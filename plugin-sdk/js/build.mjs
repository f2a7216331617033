// Makes the component of a project: `wasmill plugin build` runs it.
//
//   node build.mjs --project FOLDER --entry FILE --kind KIND --wit FOLDER --world NAME --tools FOLDER --scratch FOLDER --out FILE
//
// Everything goes into the scratch folder but the component. It ends with 1 and says what is wrong where it cannot be built.

import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.mjs';

/** The bundle's name in a stack. */
const BUNDLE = 'plugin.bundle.js';

/** None of the engine's ways to the outside: a component that imports logging and metrics and nothing else. */
const FEATURES = ['random', 'stdio', 'clocks', 'http', 'fetch-event'];

const option = { type: 'string' };
const { values: options } = parseArgs({
  options: { project: option, entry: option, kind: option, wit: option, world: option, tools: option, scratch: option, out: option },
});

/** Loads one of the packages that the SDK is built with, from the folder where they were found. */
async function tool(name) {
  const folder = join(options.tools, 'node_modules', name);
  const { exports, main } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  return import(pathToFileURL(join(folder, exports?.import ?? main)).href);
}

/** Checks the types of a TypeScript project, whose rules the project itself decides on. */
function checkTypes() {
  const tsc = join(options.tools, 'node_modules', 'typescript', 'bin', 'tsc');
  // Node's types are beside the compiler, wherever that was found.
  const types = join(options.tools, 'node_modules', '@types');
  const given = [tsc, '--noEmit', '--pretty', 'false', '--typeRoots', types, '-p', options.project];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, given, { encoding: 'utf8', cwd: options.project });
  if (error) throw error;
  if (status !== 0) throw new Error(`the types do not fit:\n${stdout}${stderr}`.trimEnd());
}

async function build() {
  if (options.entry.endsWith('.ts')) checkTypes();
  const { default: esbuild } = await tool('esbuild');
  const { code, places, warnings } = await bundle(esbuild, { ...options, name: BUNDLE });
  for (const it of warnings) console.error(`warning: ${it}`);
  const source = join(options.scratch, BUNDLE);
  await writeFile(source, code);
  const { componentize } = await tool('@bytecodealliance/componentize-js');
  const { component } = await componentize({ sourcePath: source, witPath: options.wit, worldName: options.world, disableFeatures: FEATURES }).catch((failure) => {
    throw new Error(located(failure.message, places));
  });
  await writeFile(options.out, component);
}

/** The engine's message about code that failed while it was loaded, with the author's lines in place of the bundle's. */
function located(message, places) {
  const text = message.replace(new RegExp(`\\S*${BUNDLE}:(\\d+):\\d+`, 'g'), (whole, number) => {
    const run = places.findLast(([first, count]) => first <= Number(number) && Number(number) < first + count);
    return run ? `${run[2]}:${run[3] + Number(number) - run[0]}` : whole;
  });
  return text.replace(/^Failed to initialize component \(.*\):\n/, 'the plugin cannot be loaded: ');
}

try {
  await build();
} catch (failure) {
  console.error(failure.message);
  process.exitCode = 1;
}
