// Opens a window whose extension host runs vscode_host.js with the extension in editors/vscode, and ends
// with 0 if that did. Started by tests/editors/vscode.
//
//   vscode_host_page.js PORT WORK
const path = require('node:path');
const { START_MS, open } = require('./vscode_browser.js');

const [port, work] = process.argv.slice(2);
const remote = (file) => `vscode-remote://127.0.0.1:${port}${file}`;
const payload = [
  ['extensionDevelopmentPath', remote(path.resolve('editors/vscode'))],
  ['extensionTestsPath', remote(path.resolve('tests/editors/vscode_host'))],
];

(async () => {
  const ended = Promise.withResolvers();
  const { browser, page } = await open(port, path.join(work, 'host'), path.join(work, 'host_profile'), payload, async (page) => {
    await page.exposeFunction('codeAutomationLog', (type, words) => {
      if (words.some((word) => `${word}`.includes('vscode host:'))) console.log(...words);
    });
    await page.exposeFunction('codeAutomationExit', ended.resolve);
  });
  const late = setTimeout(() => ended.resolve(`no end within ${2 * START_MS / 1000} s`), 2 * START_MS);
  const code = await ended.promise;
  clearTimeout(late);
  if (code !== 0) {
    console.error(`vscode host: ended with ${code}`);
    await page.screenshot({ path: path.join(work, 'failed_host.png') });
    process.exitCode = 1;
  }
  await browser.close();
})();
