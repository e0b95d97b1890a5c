#!/usr/bin/env node
'use strict';

/**
 * node scripts/picture.js: makes the pictures of the live view for the README, docs/view-light.png
 * and docs/view-dark.png, of the live demo in headless Chromium.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { Browser, findChromium } = require('../__test__/support/browser');
const { until } = require('../__test__/support/until');

const ROOT = path.dirname(__dirname);
const WIDTH = 1280;
const HEIGHT = 930;
const SECONDS = 300;
/** So much is to be in the plots. */
const SAMPLES = 90;
const SHOWN = ['stock', 'shop', 'visits', 'visits.pages', 'shop.banner'];

async function main() {
  if (findChromium() === undefined) throw new Error('There is no Chromium here: install it, or say where it is by CHROMIUM');
  const demo = spawn(process.execPath, [path.join(__dirname, 'demo.js'), '--view', '--seconds', String(SECONDS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  demo.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  let browser;
  try {
    const url = await until('the demo tells its address', () => /http:\S+/.exec(output)?.[0], 30_000);
    browser = await Browser.open();
    await browser.look({ width: WIDTH, height: HEIGHT });
    await browser.goto(url);
    for (const shown of SHOWN) {
      await until('the page is there', () => browser.evaluate(`document.querySelector('#tree .row') !== null`), 30_000);
      await browser.evaluate(`document.getElementById('goto-path').value = ${JSON.stringify(shown)}; document.querySelector('#goto button').click()`);
      await until(`${shown} is there`, () => browser.evaluate(`document.querySelector('#detail h3')?.textContent === ${JSON.stringify(shown)}`), 30_000);
      if (shown !== SHOWN.at(-1)) await browser.evaluate(`document.querySelector('#tree .row[aria-selected=true][aria-expanded=false]')?.click()`);
    }
    console.log(`Until there is something to see: ${SAMPLES} s`);
    const count = `Number(document.querySelector('#throughput .curve').getAttribute('d')?.split('L').length ?? 0)`;
    await until('the plots are full', () => browser.evaluate(`${count} > ${SAMPLES}`), SECONDS * 1000);
    // One has gone and is not yet back, and long jobs run.
    await until('it is a good moment', () => browser.evaluate(`document.querySelector('.node.is-gone') !== null && document.querySelectorAll('.job').length > 1`), SECONDS * 1000);
    for (const scheme of ['light', 'dark']) {
      await browser.look({ width: WIDTH, height: HEIGHT, scheme });
      await browser.evaluate('scrollTo(0, 0)');
      const file = path.join(ROOT, 'docs', `view-${scheme}.png`);
      fs.writeFileSync(file, await browser.picture());
      console.log(`${path.relative(ROOT, file)}: ${Math.round(fs.statSync(file).size / 1024)} KiB`);
    }
  } finally {
    await browser?.close();
    if (demo.exitCode === null) {
      demo.kill('SIGTERM');
      await once(demo, 'exit');
    }
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
