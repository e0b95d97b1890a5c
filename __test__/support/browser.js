'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Of what a page is looked at. */
const SIZE = { width: 1280, height: 800 };

/** The path of Chromium on this machine, as `CHROMIUM` says or as it is found; else undefined. */
function findChromium() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const found = folders.flatMap((folder) => NAMES.map((name) => path.join(folder, name)));
  return [process.env.CHROMIUM ?? [], found].flat().find((file) => file !== '' && fs.existsSync(file));
}

/**
 * Headless Chromium with one page, driven over the DevTools protocol through a pair of pipes: it
 * listens nowhere.
 */
class Browser {
  #child;
  #folder;
  #session;
  #asked = 0;
  #waiting = new Map();
  #rest = '';

  /** What the page has complained of: texts. */
  complaints = [];

  static async open(chromium = findChromium()) {
    const browser = new Browser(chromium);
    await browser.#begin();
    return browser;
  }

  constructor(chromium) {
    this.#folder = fs.mkdtempSync(path.join(os.tmpdir(), 'collective-io-browser-'));
    const args = [
      '--headless=new', '--remote-debugging-pipe', `--user-data-dir=${this.#folder}`, '--no-first-run',
      '--disable-gpu', '--disable-extensions', '--disable-background-networking', '--disable-sync',
      '--hide-scrollbars', '--no-default-browser-check',
    ];
    // Its sandbox needs more than a container gives to root.
    if (process.getuid?.() === 0) args.push('--no-sandbox');
    this.#child = spawn(chromium, [...args, 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.#child.stdio[3].on('error', () => {});
    this.#child.stdio[4].setEncoding('utf8').on('data', (text) => this.#read(text));
    this.#child.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('Chromium has ended'));
    });
  }

  async #begin() {
    const { targetInfos } = await this.#send('Target.getTargets');
    const { targetId } = targetInfos.find(({ type }) => type === 'page');
    this.#session = (await this.#send('Target.attachToTarget', { targetId, flatten: true })).sessionId;
    for (const domain of ['Page', 'Runtime', 'Log', 'Accessibility']) await this.send(`${domain}.enable`);
    await this.look();
  }

  /** Calls a method of the protocol for the page. */
  send(method, params) {
    return this.#send(method, params, this.#session);
  }

  /** How large the page is, and what its user prefers. */
  async look({ width = SIZE.width, height = SIZE.height, scheme = 'light', motion = 'reduce', scale = 1 } = {}) {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: scale, mobile: false });
    await this.send('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: scheme }, { name: 'prefers-reduced-motion', value: motion }],
    });
  }

  async goto(url) {
    const { errorText } = await this.send('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
  }

  /** What an expression gives in the page, awaited. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression, awaitPromise: true, returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Presses a key by the name that events have, `'Tab'` or `'ArrowDown'`. */
  async press(key, modifiers = 0) {
    const code = { Tab: 9, Enter: 13, Home: 36, End: 35, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 }[key];
    const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined;
    const common = { key, code: key, windowsVirtualKeyCode: code, modifiers };
    await this.send('Input.dispatchKeyEvent', { type: text === undefined ? 'rawKeyDown' : 'keyDown', text, ...common });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...common });
  }

  /** Types a text where the focus is. */
  type(text) {
    return this.send('Input.insertText', { text });
  }

  /** A picture of what is in the window, or of all of the page, as PNG. */
  async picture({ whole = false } = {}) {
    const { width, height } = await this.evaluate('({ width: innerWidth, height: document.body.getBoundingClientRect().height })');
    const clip = whole ? { x: 0, y: 0, width, height, scale: 1 } : undefined;
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: whole, clip });
    return Buffer.from(data, 'base64');
  }

  async close() {
    const closed = once(this.#child, 'close');
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#send('Browser.close').catch(() => {});
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
      await closed;
      clearTimeout(timer);
    }
    fs.rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #send(method, params = {}, sessionId = undefined) {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { method, resolve, reject });
      this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  #read(text) {
    const messages = (this.#rest + text).split('\0');
    this.#rest = messages.pop();
    for (const json of messages) this.#take(JSON.parse(json));
  }

  #take({ id, method, params, result, error }) {
    if (id === undefined) return this.#note(method, params);
    const asked = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) asked.reject(new Error(`${asked.method}: ${error.message}`));
    else asked.resolve(result);
  }

  #note(method, params) {
    if (method === 'Runtime.exceptionThrown') {
      const { exception, text } = params.exceptionDetails;
      this.complaints.push(exception?.description ?? text);
    }
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) {
      this.complaints.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    }
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type)) {
      this.complaints.push(params.args.map(({ value, description }) => value ?? description).join(' '));
    }
  }
}

module.exports = { Browser, findChromium };
