import Collective = require('collective-io');
import { join, Node } from 'collective-io';

interface Workers {
  sum(a: number, b: number): number;
  name(): string;
  later(text?: string): Promise<{ length: number }>;
  nothing(): void;
}

async function typed() {
  const node = await join<{ workers: Workers }>();

  const sum = node.worker('sum', function (a, b) {
    const { signal, deadline, caller, job, traceparent } = this;
    return signal.aborted ? deadline - a.toFixed().length : b + caller.node.length + job.id.length + (traceparent ?? '').length;
  }, { concurrency: 4, queue: 16, idempotent: true });
  node.worker('later', async (text = '') => ({ length: text.length }));
  node.worker('later', (text) => ({ length: text?.length ?? 0 }));
  node.worker('nothing', () => {});

  const numbers: number[] = await node.run('sum', [1, 2]).values();
  const first: { length: number } = await node.run('later').first();
  const none: null = await node.call('nothing');
  const text: string = await node.call('name', [], { to: 'others', timeout: 100 });
  const own: number = await sum.call([1, 2]);
  for await (const outcome of node.run('later', ['x'], { to: ({ id, busyFor }) => id !== node.id && busyFor === 0 })) {
    if (outcome.status === 'ok') outcome.value.length.toFixed();
    else `${outcome.error.code}${outcome.error.executed === 'no'}${outcome.error.peer?.id}`;
    `${outcome.node}${outcome.name}${outcome.ms.toFixed()}`;
  }
  const results: Map<string, Collective.Outcome<number>> = await sum.run([1, 2], { signal: new AbortController().signal }).results();
  sum.run([1, 2], { to: { tags: { role: 'web' } }, traceparent: '00-…', tracestate: '' }).cancel(new Error('enough'));
  const removed: boolean = sum.remove();
  const deadline: number | undefined = node.context()?.deadline;

  // @ts-expect-error no such worker
  node.run('product', [1, 2]);
  // @ts-expect-error two numbers are needed
  node.run('sum', [1]);
  // @ts-expect-error two numbers are needed
  node.call('sum');
  // @ts-expect-error numbers are needed
  node.call('sum', ['1', '2']);
  // @ts-expect-error two numbers are needed
  sum.run([1]);
  // @ts-expect-error it must give a number
  node.worker('sum', (a, b) => `${a}${b}`);
  // @ts-expect-error no such worker
  node.worker('product', (a: number, b: number) => a * b);
  // @ts-expect-error the value is there in a good outcome alone
  for await (const { value } of node.run('sum', [1, 2])) value.toFixed();
  // @ts-expect-error no such option
  node.run('name', [], { ttl: 5 });

  return [numbers, first, none, text, own, results, removed, deadline];
}

async function untyped() {
  const node: Node = await join();
  const double = node.worker('double', async (number: number) => number * 2);
  const numbers: number[] = await double.run([1]).values();
  const number: number = await double.call([2]);
  const given: number = await node.call<number>('double', [1]);
  const anything = await node.run('double', [1]).first();
  anything.whatever();
  node.worker('any', function (a, b) {
    return a + b + this.deadline;
  });
  // @ts-expect-error a number is needed
  double.run(['1']);
  return [numbers, number, given, new Collective(null, null, null, { node })];
}

void [typed, untyped];

async function both() {
  const node = await join<{ state: { visits: number }; workers: Workers }>();
  const visits: number = node.state.increment('visits');
  const sum: number = await node.call('sum', [1, 2]);
  const stateAlone = await join<{ state: { visits: number } }>();
  const any: number = await stateAlone.call<number>('whatever', [1]);
  return [visits, sum, any];
}

void both;
