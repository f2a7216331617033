// From an author's entry to one module: what a component is made of, and what tells where each of its lines comes from.

import { builtinModules } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lineTable } from './sourcemap.mjs';

const SDK = dirname(fileURLToPath(import.meta.url));

/** What Node's own modules would give a plugin. Any other is simply not there. */
const CAPABILITIES = {
  'the network is': ['dgram', 'dns', 'http', 'http2', 'https', 'net', 'tls'],
  'files are': ['fs'],
  'the environment is': ['os', 'process', 'tty', 'readline', 'v8', 'vm', 'inspector'],
  'processes are': ['child_process', 'cluster', 'worker_threads'],
  'cryptography is': ['crypto'],
  'the clock is': ['perf_hooks', 'timers'],
};

/** What is not available where `name` is one of Node's modules. */
export function capabilityOf(name) {
  const root = name.replace(/^node:/, '').split('/')[0];
  const found = Object.entries(CAPABILITIES).find(([, modules]) => modules.includes(root));
  return `${found ? found[0] : "Node's own modules are"} not available to a plugin: ${name}`;
}

/**
 * Bundles `entry`, a file of the folder `project`, as a plugin of `kind`. Answers `{ code, places, warnings }`: `places` are runs of lines as `lib/failure.js`
 * reads them. Throws with what is wrong and where.
 */
export async function bundle(esbuild, { project, entry, kind, name }) {
  const warnings = [];
  const result = await esbuild.build({
    stdin: { contents: entryModule(join(project, entry), kind), resolveDir: project, sourcefile: 'entry.js', loader: 'js' },
    absWorkingDir: project,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'esnext',
    external: ['wasmill:*'],
    // Packages ask for it, and what stands for the environment must not be asked.
    define: { 'process.env.NODE_ENV': '"production"' },
    sourcemap: 'external',
    sourcesContent: false,
    outfile: join(project, name),
    write: false,
    logLevel: 'silent',
    plugins: [refusing(warnings)],
  }).catch((failure) => {
    throw new Error(failure.errors ? messages(failure.errors) : failure.message);
  });
  warnings.push(...result.warnings.map((it) => messages([it])));
  const text = (isMap) => result.outputFiles.find((it) => it.path.endsWith('.map') === isMap).text;
  const places = lineTable(JSON.parse(text(true)), (source) => shownPath(project, source));
  return { code: `${text(false)}\nglobalThis[Symbol.for('wasmill.places')](${JSON.stringify(name)}, ${JSON.stringify(places)});\n`, places, warnings };
}

/** The module that joins the author's plugin to the boundary. Its first import is for its effect, before any code of the author. */
function entryModule(entry, kind) {
  const sdk = (file) => JSON.stringify(join(SDK, 'lib', file));
  const migration = kind === 'transform' ? '' : 'export const migration = made.migration;';
  return `
import ${sdk('capabilities.js')};
import { connect } from ${sdk('host.js')};
import { setPlaces } from ${sdk('failure.js')};
import { log } from 'wasmill:plugin/logging@0.1.0';
import { count } from 'wasmill:plugin/metrics@0.1.0';
import * as author from ${JSON.stringify(entry)};
const plugin = author.default;
if (plugin?.kind !== '${kind}') {
  throw new TypeError('the entry has ' + (plugin?.kind ? 'a plugin of kind ' + plugin.kind : 'no plugin') + ' as its default export: expected one of kind ${kind}');
}
connect({ log, count });
const made = plugin.instance();
export const lifecycle = made.lifecycle;
export const ${kind} = made.${kind};
${migration}
globalThis[Symbol.for('wasmill.places')] = setPlaces;
`;
}

/** Lets code that names Node's modules be built; what it then uses of them throws, and says what is not available. */
function refusing(warnings) {
  const names = new RegExp(`^(node:.*|(${builtinModules.filter((it) => !it.startsWith('_')).join('|')}))$`);
  return {
    name: 'refusing',
    setup(build) {
      build.onResolve({ filter: names }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData === 'asked') return undefined;
        // A package may have the name of one of Node's modules: `events`, `buffer`.
        const own = path.startsWith('node:') ? { errors: [1] } : await build.resolve(path, { importer, resolveDir, kind, pluginData: 'asked' });
        if (own.errors.length === 0) return own;
        warnings.push(`${relative(resolveDir, importer) || importer}: ${capabilityOf(path)}`);
        return { path, namespace: 'refused' };
      });
      build.onLoad({ filter: /.*/, namespace: 'refused' }, ({ path }) => ({ contents: refusal(path), loader: 'js' }));
    },
  };
}

/** A module whose every member throws. The traps are on the prototype, since that is what a bundle keeps of it. */
function refusal(name) {
  return `module.exports = Object.create(new Proxy({}, {
  get(_, member) {
    if (typeof member === 'symbol' || member === '__esModule' || member === 'then') return undefined;
    throw new Error(${JSON.stringify(capabilityOf(name))} + (member === 'default' ? '' : '.' + member));
  },
}));`;
}

/** A source as the author knows it: below the project, or below `sdk/`. */
function shownPath(project, source) {
  const absolute = join(project, source);
  return absolute.startsWith(SDK + sep) ? join('sdk', relative(SDK, absolute)) : relative(project, absolute);
}

function messages(list) {
  return list.map(({ text, location }) => (location ? `${location.file}:${location.line}:${location.column + 1}: ${text}\n  ${location.lineText.trim()}` : text)).join('\n');
}
