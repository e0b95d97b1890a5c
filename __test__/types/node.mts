import { join, observe, Node, type Collective } from 'collective-io';

interface User {
  name: string;
  age?: number;
  tags: string[];
}

interface State {
  users: Record<string, User>;
  visits: number;
  'a.b': boolean;
  list: { n: number }[];
  maybe?: { deep: number | string };
}

const node: Node<{ state: State }> = await join<{ state: State }>({
  listen: { port: 0 },
  log: ({ level, message, peer }) => console.log(level.toUpperCase(), message, peer?.length),
  advertise: 'host:80',
  seeds: async () => ['a:1', { host: 'b', port: 2 }],
  cluster: 'c',
  name: 'n',
  tags: { role: 'web' },
  limits: { depth: 5 }, maxBytes: 1e9,
  readyTimeout: 5,
  signal: AbortSignal.timeout(1000),
});
const { state } = node;

const id: string = 'x';
const user: Readonly<{ name: string; age?: number; tags: readonly string[] }> | undefined = state.get('users.x');
const name: string | undefined = state.get('users.x.name');
const also: string | undefined = state.get(`users.${id}.name`);
const segments: string | undefined = state.get(['users', 'a.b@c.d', 'name']);
const age: number | undefined = state.get('users.x.age');
const tag: string | undefined = state.get('users.x.tags.0');
const element: number | undefined = state.get('list.3.n');
const dotted: boolean | undefined = state.get(['a.b']);
const deep: number | string | undefined = state.get('maybe.deep');
const whole: number = state.get().visits;
const unknown: unknown = state.get(id);
void [user, name, also, segments, age, tag, element, dotted, deep, whole, unknown];

state.set('users.x', { name: 'X', tags: [] });
state.set('users.x.age', 5);
state.set(['users', id], { name: 'X', tags: [] });
state.set(id, 'anything');
const sum: number = state.increment('visits') + state.increment('users.x.age', 2) + state.increment('maybe.deep');
const found: boolean = state.delete('maybe') || state.has('users.x');
const keys: string[] = state.keys('users').concat(state.keys());
for (const [key, { name: value }] of state.entries('users', { limit: 10, after: 'a' })) void [key satisfies string, value satisfies string];
const [first] = state.entries();
void [sum, found, keys, first];

// @ts-expect-error There is no such member.
state.get('userz');
// @ts-expect-error There is no such member.
state.get('users.x.nam');
// @ts-expect-error There is no such member.
state.get(['users', 'x', 'nam']);
// @ts-expect-error Of another type.
state.set('visits', 'many');
// @ts-expect-error Incomplete.
state.set('users.x', { name: 'X' });
// @ts-expect-error Not a number.
state.increment('users.x.name');
// @ts-expect-error Frozen.
state.get('users.x')!.name = 'Y';
// @ts-expect-error Frozen.
state.get('users.x')!.tags.push('a');

const batched: string = state.batch(() => 'done');
const have: number = await state.replicated({ peers: 'all', timeout: 5, signal: new AbortController().signal });
for await (const { path, value, local, skipped } of state.watch('users', { initial: true })) {
  void [path satisfies readonly string[], value, local satisfies boolean, skipped satisfies boolean];
}
const stop: () => void = state.watch([], ({ value }) => value, { signal: AbortSignal.abort() });
const standing: boolean | null | undefined = state.converged().get('id')?.hash;
const shown: string = state.explain('users').shown + state.explain(['a']).shown;
state.data.visits = 5;
void [batched, have, stop, standing, shown];

const peer: Collective.NodePeer | undefined = node.peers.get(node.id);
const facts: [string, string | null, Readonly<Record<string, string>>, 'up' | 'busy' | 'gone' | undefined, number | null | undefined] =
  [node.name, node.address, node.tags, peer?.state, peer?.rtt];
node.on('peer:join', (joined) => joined.id).on('peer:leave', (_left, code) => code.length).once('close', () => {});
node.on('peer:busy', (busy) => busy.busyFor.toFixed()).on('warning', ({ code }) => code);
void facts;

const plain = await join();
const anything: string = plain.state.get('what.ever').and.more;
plain.state.set(['a', 'b'], { c: anything });
plain.state.increment('n');
// @ts-expect-error There is no such option.
await join({ seed: [] });
await using closed = plain;
await closed.ref().unref().destroy();

const observer: Collective.Observer = await observe('localhost:9000', { timeout: 100, state: false });
for (const { name, code, stats, jobs } of await observer.reports()) {
  const peers: number | undefined = stats?.peers;
  const statuses: string[] = jobs.flatMap(({ outcomes }) => outcomes.map(({ status }) => status));
  void [name.toUpperCase(), code?.toUpperCase(), peers, statuses];
}
const ran: Collective.ObservedOutcome[] = await observer.run('job', [1], { timeout: 5 });
void [ran, observer.state.get('a'), observer.isConnected, observer.close()];
