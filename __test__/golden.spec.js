'use strict';

/* What collective.js 0.3.1 did on a single node, step by step: 160 recorded cases. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');

const Collective = require('..');

const cases = fs.readFileSync(path.join(__dirname, 'golden', 'collective-single-node.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

test('all cases are here', () => assert.equal(cases.length, 160));

for (const [index, { steps, data }] of cases.entries()) {
  test(`case ${index + 1}`, async (t) => {
    const collective = new Collective({ host: '127.0.0.1', port: 0 }, []);
    t.after(() => collective.close());

    for (const [at, step] of steps.entries()) {
      if (step.op === 'get') {
        const expected = step.found ? step.result : undefined;
        assert.deepEqual(collective.get(step.key), expected, `step ${at}: get ${step.key}`);
      } else {
        collective.set(step.key, step.value, collective.OPERATIONS[step.op]);
      }
    }
    assert.deepEqual(collective.data, data);
    assert.deepEqual(JSON.parse(JSON.stringify(collective.data)), data);
    assert.deepEqual(Object.keys(collective.data).sort(), Object.keys(data).sort());
    for (const key of Object.keys(data)) assert.deepEqual(collective.get(key), data[key]);
  });
}
