// Bundles the extension into out/extension.js, and what its parts' licences ask to be shown into
// out/notices.txt.
import { build } from 'esbuild';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const { metafile } = await build({
  entryPoints: ['src/extension.ts'],
  outfile: 'out/extension.js',
  bundle: true,
  minify: true,
  metafile: true,
  platform: 'node',
  target: 'node20',
  external: ['vscode'],
});

const folders = Object.keys(metafile.inputs).flatMap((file) => file.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/)?.[0] ?? []);
const notices = [...new Set(folders)].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  const terms = file ? readFileSync(`${folder}/${file}`, 'utf8').trim() : license;
  return `${name} ${version}\n\n${terms}\n`;
});
writeFileSync('out/notices.txt', notices.join('\n----\n\n'));
