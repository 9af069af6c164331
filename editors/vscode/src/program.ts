/** Where the `hearth` program is. */
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const NAME = process.platform === 'win32' ? 'hearth.exe' : 'hearth';

/**
 * The program that the user named; else the one inside the extension's folder; else the first on the
 * PATH. `undefined` where there is none.
 */
export function find(named: string, extension: string): string | undefined {
  if (named) {
    return [named.replace(/^~(?=[/\\])/, homedir())].find(runs);
  }
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return [join(extension, 'server'), ...path].map((folder) => join(folder, NAME)).find(runs);
}

function runs(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
