'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const COMMANDS = { darwin: 'open', win32: 'explorer' };

/**
 * Has the browser open an address. Arguments of commands can be read by everybody on the machine,
 * so the browser is given a file that nobody else can read, which leads there.
 *
 * @param {string} url
 * @returns {Promise<() => void>} takes the file away; rejected if there is no way to open it
 */
async function openInBrowser(url) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-view-'));
  const remove = () => fs.rmSync(folder, { recursive: true, force: true });
  const file = path.join(folder, 'view.html');
  fs.writeFileSync(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${url}">\n`, { mode: 0o600 });
  const child = spawn(COMMANDS[process.platform] ?? 'xdg-open', [file], { stdio: 'ignore', detached: true });
  try {
    await once(child, 'spawn');
  } catch (error) {
    remove();
    throw error;
  }
  child.unref();
  return remove;
}

module.exports = { openInBrowser };
