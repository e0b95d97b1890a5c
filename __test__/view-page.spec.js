'use strict';

/* The live view as a person has it, in headless Chromium. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const path = require('node:path');
const test = require('node:test');

const { openView } = require('../lib/view/server');
const { Browser, findChromium } = require('./support/browser');
const { openNode } = require('./support/nodes');
const { Fellow, Workshop, startFile } = require('./support/process');
const { until } = require('./support/until');

const BIN = require('../package.json').bin['collective-io'];

const chromium = findChromium();
const options = { skip: chromium === undefined && 'there is no Chromium here: install it, or say where it is by CHROMIUM' };

/** Chromium takes its time on a machine that does other things too. */
const DEADLINE_MS = 30_000;

/** A cluster of that many processes, whose names are `worker 1` and so on. */
async function openCluster(t, count, Kind = Fellow) {
  const first = new Kind(t, { name: 'worker 1' });
  const { address } = await (Kind === Workshop ? first.node() : first.ask('about'));
  const others = Array.from({ length: count - 1 }, (_, index) => new Kind(t, { name: `worker ${index + 2}`, seeds: [address] }));
  const all = [first, ...others];
  await until('all know all', async () => {
    const peers = await Promise.all(all.map((fellow) => fellow.ask('peers')));
    return peers.every(({ length }) => length === count - 1);
  }, DEADLINE_MS);
  return { address, all };
}

/** The page of a view on that cluster. */
async function openPage(t, address, look) {
  const view = startFile(t, path.join(BIN), { args: ['view', address, '--port', '0'] });
  const url = await until('the view tells its address', () => /^http:\S+/m.exec(view.output.stdout)?.[0], DEADLINE_MS);
  const browser = await Browser.open(chromium);
  t.after(() => browser.close());
  await browser.look(look);
  await browser.goto(url);
  const page = {
    browser,
    view,
    /** Waits until an expression gives something true in the page. */
    until: (what, expression) => until(what, () => browser.evaluate(expression), DEADLINE_MS),
    text: (selector) => browser.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ''`),
    rows: (selector) => browser.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((row) => row.textContent)`),
    /** Chooses what is at a path, as a person types it. */
    async go(path) {
      await browser.evaluate(`document.getElementById('goto-path').value = ${JSON.stringify(path)}`);
      await browser.evaluate(`document.querySelector('#goto button').click()`);
    },
  };
  await page.until('the page shows nodes', `document.querySelectorAll('#nodes tr').length > 0`);
  return page;
}

const has = (selector, text) => `[...document.querySelectorAll(${JSON.stringify(selector)})].some((element) => element.textContent.includes(${JSON.stringify(text)}))`;

test('a key that is set on one node is seen, and what becomes of it', options, async (t) => {
  const { address, all } = await openCluster(t, 3);
  const page = await openPage(t, address);
  await all[2].ask('set', 'orders.today', 41);
  await page.until('its branch is there', has('#tree .row .key', 'orders'));
  await page.go('orders.today');
  await page.until('its value is there', `${has('#detail pre', '41')} && ${has('#tree .row.scalar', '41')}`);
  assert.match(await page.text('#detail h3'), /^orders\.today$/);
  assert.match(await page.text('#detail .why'), /SET 41/);
  await all[1].ask('increment', 'orders.today', 2);
  await page.until('the other value is there', `${has('#detail pre', '43')} && ${has('#tree .row.scalar', '43')}`);
  await all[0].ask('remove', 'orders');
  await page.until('it is gone from the tree', `!${has('#tree .row .key', 'orders')}`);
  await page.until('it is told to be gone', has('#detail', 'nothing'));
  assert.deepEqual(page.browser.complaints, []);
});

test('values with HTML in them are text', options, async (t) => {
  const { address, all } = await openCluster(t, 2);
  const page = await openPage(t, address);
  const html = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  await all[0].ask('set', ['<b>bold</b>', html], { [html]: html });
  await page.until('the name is there', has('#tree .key', '<b>bold</b>'));
  await page.go(JSON.stringify(['<b>bold</b>', html, html]));
  await page.until('the value is there', has('#detail pre', 'onerror'));
  assert.equal(JSON.parse(await page.text('#detail pre')), html);
  assert.equal(await page.browser.evaluate(`document.querySelectorAll('main img, main script, main b:not([class])').length
    - document.querySelectorAll('.legend b, .why b, .job b, .chosen b').length`), 0);
  assert.deepEqual(page.browser.complaints, []);
});

test('a worker that is killed is seen to leave, and its successor to come', options, async (t) => {
  const { address, all } = await openCluster(t, 4);
  const page = await openPage(t, address);
  const named = `[...document.querySelectorAll('#nodes tr th')].map((cell) => cell.textContent)`;
  await page.until('all are there', `${named}.length === 4`);
  await page.until('their links are there', has('#summary', '6 links'));
  await all[2].kill();
  await page.until('three are left', `${named}.join() === 'worker 1,worker 2,worker 4'`);
  await page.until('it is told', has('#news li', 'worker 3 has gone'));
  await page.until('it is said aloud', has('#said', 'worker 3 has gone'));
  await page.until('its place is empty', has('#mesh .node.is-gone', 'worker 3'));
  await page.until('its links are gone', has('#summary', '3 links'));
  const successor = new Fellow(t, { name: 'worker 3', seeds: [address] });
  await successor.ask('about');
  await page.until('it is back', `${named}.length === 4 && document.querySelector('#mesh .is-gone') === null`);
  await page.until('that is told', has('#news li', 'worker 3 has come'));
  assert.deepEqual(page.browser.complaints, []);
});

test('when the node that it looks through is killed it goes on through another one', options, async (t) => {
  const { address, all } = await openCluster(t, 3);
  const page = await openPage(t, address);
  await page.until('links are there', `${has('#summary', '3 links')} && ${has('#summary', 'through worker 1')}`);
  await all[0].kill();
  await page.until('it goes on', `${has('#summary', '1 link')} && /through worker [23]/.test(document.getElementById('summary').textContent)`);
  await page.until('nothing is amiss', `document.getElementById('trouble').hidden`);
  await page.until('both are told', `${has('#news li', 'worker 1 has gone')} && ${has('#news li', 'is now what this view looks through')}`);
  await all[2].ask('set', 'later', 1);
  await page.until('what is written then is seen', has('#tree .row .key', 'later'));
  assert.deepEqual(page.browser.complaints, []);
});

test('a node that catches up is shown to, and how far it is', options, async (t) => {
  const node = await openNode(t);
  let catchingUp = { ms: 1500, bytes: 3 << 20, paths: 500, merged: 0 };
  const report = (name, others) => ({
    id: name, replica: name, name, tags: {}, address: null, ms: 1, clockAheadMs: 0, jobs: [],
    stats: { ...node.stats(), links: others.map((id) => ({ id, state: 'up', rttMs: 1, lag: 0, lagMs: 0, catchingUp: id === 'away' ? null : catchingUp })) },
  });
  const reports = async () => [report('there', ['away']), report('away', ['there'])];
  const view = await openView({ state: node.state, isConnected: true, reports });
  t.after(() => view.close());
  const browser = await Browser.open(chromium);
  t.after(() => browser.close());
  await browser.goto(view.url);
  const told = async (text) => until(text, () => browser.evaluate(has('#nodes tr', text)), DEADLINE_MS);
  await told('catching up, 3 MiB received');
  assert.equal(await browser.evaluate(has('#mesh .node', 'catching up')), true);
  catchingUp = { ms: 2500, bytes: 9 << 20, paths: 1500, merged: 600 };
  await told('catching up, 600 of 1,500 paths merged');
  catchingUp = null;
  await until('it has caught up', () => browser.evaluate(`!${has('#nodes tr', 'catching up')}`), DEADLINE_MS);
  assert.deepEqual(browser.complaints, []);
});

test('while there is nobody to look through nobody is said to have gone', options, async (t) => {
  const { address, all } = await openCluster(t, 1);
  const page = await openPage(t, address);
  await all[0].kill();
  await page.until('it is told', has('#trouble:not([hidden])', 'not connected'));
  assert.deepEqual(await page.rows('#news .is-went'), []);
  const successor = new Fellow(t, { name: 'worker 1', listen: address });
  await successor.ask('about');
  await page.until('it goes on', `document.getElementById('trouble').hidden`);
  assert.deepEqual(page.browser.complaints, []);
});

test('the Tab key reaches everything, and shows where it is', options, async (t) => {
  const { address, all } = await openCluster(t, 2);
  await all[0].ask('set', 'a', { b: { c: 1 } });
  const page = await openPage(t, address);
  const { browser } = page;
  await page.until('the tree is there', has('#tree .row', 'a'));
  await page.go('a.b.c');
  await page.until('the value is there', has('#detail pre', '1'));
  await browser.evaluate(`document.activeElement.blur(); document.querySelector('h1').focus()`);
  const active = `(() => {
    const { activeElement: at } = document;
    const style = getComputedStyle(at.matches('.node') ? at.querySelector('.halo') : at);
    return { name: at.id || at.getAttribute('class') || at.tagName, isSeen: style.outlineStyle !== 'none' || style.stroke !== 'none' };
  })()`;
  const reached = [];
  for (let count = 0; count < 60; count++) {
    await browser.press('Tab');
    const { name, isSeen } = await browser.evaluate(active);
    if (name === 'BODY' || (reached.length > 0 && name === reached[0])) break;
    assert.ok(isSeen, `${name} does not show that it has the focus`);
    reached.push(name.split(' ')[0]);
  }
  for (const name of ['skip', 'pause', 'node', 'svg', 'SUMMARY', 'goto-path', 'row', 'PRE', 'scroll']) {
    assert.ok(reached.includes(name), `${name} in ${reached}`);
  }
  assert.equal(reached.filter((name) => name === 'row').length, 1, 'the tree is one stop');
  assert.equal(reached.filter((name) => name === 'node').length, 1, 'the picture is one stop');
});

test('arrow keys walk the tree and the picture', options, async (t) => {
  const { address, all } = await openCluster(t, 2);
  await all[0].ask('set', 'fruit', { apple: { red: 1 }, pear: 2 });
  const page = await openPage(t, address);
  const { browser } = page;
  await page.until('the tree is there', has('#tree .row', 'fruit'));
  await browser.evaluate(`document.querySelector('#tree .row').focus()`);
  const at = () => browser.evaluate(`document.activeElement.querySelector('.key, .name')?.textContent`);
  const press = async (key, expected) => {
    await browser.press(key);
    await until(`${key} leads to ${expected}`, async () => (await at()) === expected, DEADLINE_MS);
  };
  await press('ArrowRight', 'fruit');
  await page.until('it is open', has('#tree .row', 'pear'));
  await press('ArrowRight', 'apple');
  await press('ArrowDown', 'pear');
  await press('ArrowUp', 'apple');
  await press('End', 'pear');
  await browser.press('Enter');
  await page.until('it is chosen', has('#detail h3', 'fruit.pear'));
  await press('ArrowLeft', 'fruit');
  await browser.press('ArrowLeft');
  await page.until('it is closed', `document.querySelectorAll('#tree .row').length === 1`);

  await browser.evaluate(`document.querySelector('#mesh .node').focus()`);
  await press('ArrowRight', 'worker 2');
  await page.until('its links are there', has('#chosen tbody th', 'worker 1'));
  await press('Home', 'worker 1');
  await browser.press('Enter');
  await page.until('nothing is chosen', `document.getElementById('chosen').hidden`);
});

test('plots are read by keys and as tables', options, async (t) => {
  const { address, all } = await openCluster(t, 2, Workshop);
  const page = await openPage(t, address);
  const { browser } = page;
  // A rate is between two looks; one more is to have something to go back to.
  await page.until('there are rates', `(document.querySelector('#throughput .curve').getAttribute('d') ?? '').includes('L')`);
  await all[1].call('pid', []);
  await page.until('a job has an effect', `/\\d/.test(document.querySelector('#latency .legend b').textContent) || (document.querySelector('#latency .curve').getAttribute('d') ?? '') !== ''`);
  await browser.evaluate(`document.querySelector('#throughput > svg').focus()`);
  await browser.press('ArrowLeft');
  await page.until('it says which moment', `/^at \\d\\d:\\d\\d:\\d\\d$/.test(document.querySelector('#throughput .when').textContent)`);
  await page.until('it is said aloud', `/writes\\/s, .* jobs\\/s$/.test(document.getElementById('said').textContent)`);
  await browser.evaluate(`document.querySelector('#throughput summary').click()`);
  await page.until('there is a table', `document.querySelectorAll('#throughput tbody tr').length > 0`);
  assert.match((await page.rows('#throughput tbody tr')).at(-1), /^\d\d:\d\d:\d\d/);
  assert.deepEqual(browser.complaints, []);
});

test('a job that runs is there, with what becomes of it on each node', options, async (t) => {
  const { address, all } = await openCluster(t, 3, Workshop);
  const page = await openPage(t, address);
  await all[1].worker('long', 'never');
  await all[2].worker('long', 'never');
  await all[1].start('long');
  await page.until('it is there', has('#jobs .job', 'long'));
  await page.until('so is each node', `document.querySelectorAll('#jobs .outcome').length === 3`);
  await page.until('one has no worker', has('#jobs .outcome.is-no-worker', 'worker 1'));
  await page.until('two run', `document.querySelectorAll('#jobs .outcome.is-running').length === 2`);
  await all[2].kill();
  await page.until('one is lost', has('#jobs .outcome.is-lost', 'worker 3'));
  assert.deepEqual(page.browser.complaints, []);
});

test('a long branch is turned over by the page', options, async (t) => {
  const { address, all } = await openCluster(t, 2);
  await all[0].ask('setMany', 'long', 130);
  const page = await openPage(t, address);
  await page.go('long');
  await page.until('it is there', has('#tree .row', '{ 130 }'));
  await page.browser.evaluate(`[...document.querySelectorAll('#tree .row')].find((row) => row.textContent.includes('long')).click()`);
  await page.until('the first page is there', has('#tree .turn', '51 to 100 of 130'));
  await page.browser.evaluate(`document.querySelector('#tree .turn').click()`);
  await page.until('the second is', `${has('#tree .turn', '1 to 50')} && ${has('#tree .turn', '101 to 130')}`);
  await all[1].ask('remove', 'long');
  await page.until('it is gone', `!${has('#tree .row', 'long')}`);
  assert.deepEqual(page.browser.complaints, []);
});

test('roles and names are there for who cannot see it', options, async (t) => {
  const { address, all } = await openCluster(t, 3);
  await all[0].ask('set', 'a.b', 1);
  const { browser, until: wait } = await openPage(t, address);
  await wait('links are there', has('#summary', '3 links'));
  await wait('the tree is there', has('#tree .row', 'a'));
  const { nodes } = await browser.send('Accessibility.getFullAXTree');
  const found = nodes.filter(({ ignored }) => !ignored)
    .map(({ role, name }) => ({ role: role?.value, name: name?.value ?? '' }));
  const named = (role) => found.filter((node) => node.role === role).map(({ name }) => name);
  assert.deepEqual(named('heading').slice(0, 2), ['collective-io live view', 'Mesh']);
  assert.ok(named('heading').includes('State') && named('heading').includes('Nodes'));
  const options = named('option');
  assert.equal(options.length, 3);
  for (const [index, option] of options.entries()) assert.match(option, new RegExp(`^worker ${index + 1}: .*2 links`));
  assert.equal(named('tree').join(), 'State');
  assert.match(named('treeitem').join(), /a/);
  assert.ok(named('image').some((name) => name.startsWith('Throughput')), named('image').join());
  assert.ok(named('button').includes('Pause'));
  assert.ok(named('textbox').includes('Go to a path'));
  // Whatever can be used has a name.
  for (const role of ['button', 'option', 'textbox', 'region', 'tree', 'treeitem', 'listbox', 'image', 'progressbar']) {
    for (const name of named(role)) assert.notEqual(name, '', role);
  }
});

test('it fits a narrow window, in both schemes, and pauses', options, async (t) => {
  const { address, all } = await openCluster(t, 3);
  await all[0].ask('set', 'k'.repeat(300), 'v'.repeat(3000));
  const page = await openPage(t, address, { width: 400, height: 860, scheme: 'dark' });
  const { browser } = page;
  await page.until('the tree is there', has('#tree .row', 'kkk'));
  await page.go('k'.repeat(300));
  await page.until('the value is there', has('#detail pre', 'vvv'));
  assert.equal(await browser.evaluate('document.documentElement.scrollWidth'), 400);
  const ground = () => browser.evaluate('getComputedStyle(document.body).backgroundColor');
  const dark = await ground();
  await browser.look({ width: 1280, scheme: 'light' });
  assert.notEqual(await ground(), dark);
  assert.equal(await browser.evaluate('document.documentElement.scrollWidth'), 1280);

  await browser.evaluate(`document.getElementById('pause').click()`);
  await all[1].ask('set', 'later', 1);
  await page.until('it says so', `document.getElementById('pause').getAttribute('aria-pressed') === 'true'`);
  await browser.evaluate(`document.getElementById('pause').click()`);
  await page.until('it goes on', has('#tree .row', 'later'));
  assert.deepEqual(browser.complaints, []);
});

test('the end of the view is told', options, async (t) => {
  const { address } = await openCluster(t, 2);
  const page = await openPage(t, address);
  const exited = once(page.view, 'exit');
  page.view.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null]);
  await page.until('it is told', has('#trouble:not([hidden])', 'has ended'));
});
