import Collective = require('collective-io');

const local: Collective.Address = { host: '127.0.0.1', port: 9000 };
const collective = new Collective(local, [local, { port: '9001' }], (ready) => {
  const same: Collective = ready;
  void same;
}, { insecure: true, limits: { depth: 32 }, readyTimeout: 1000, maxBytes: 1e9 });

new Collective(local, [local]);
new Collective(local, [local], null, { cluster: 'other' });

collective.set('a.b', { c: [1, null] });
collective.set('a.n', 1, collective.OPERATIONS.INCREMENT);
collective.set('a.n', null, Collective.OPERATIONS.DELETE);
const typed: { c: number } | undefined = collective.get<{ c: number }>('a.b');
const untyped: any = collective.get('a');
collective.data.a.b.c = 1;
delete collective.data.a;
collective.history.a += 1500;
const names: string[] = Object.keys(collective.connections);
const live: number = collective.active + collective.active_remote;
const port: number = collective.connections['127.0.0.1:9001'].port;

collective.on('connect', (address) => address.toUpperCase());
collective.on('disconnect', (address, code) => `${address.length}${code.length}`);
collective.on('error', (error) => error.code.startsWith('ERR_'));
collective.once('listening', ({ address, family, port }) => `${address}${family}${port.toFixed()}`);
const done: Promise<void> = collective.ref().unref().close();
const cached: number = collective.stats().cachedKeys;
const { shown, things, leftOut } = collective.explain('a.b');
for (const thing of things) {
  if (thing.kind === 'set') thing.json.toUpperCase();
  const why: string | undefined = thing.hidden?.why;
  const later: boolean = thing.hidden?.ms !== undefined && thing.hidden.ms > thing.ms;
  void [why, later];
}
const kind: 'number' | undefined = shown === 'number' ? shown : undefined;
const everything: null | string = collective.explain(null).key;
const version: string = Collective.version;

class Counted extends Collective {
  count = 0;
}
new Counted(local, []).close();

// @ts-expect-error a key is a string
collective.set(1, 1);
// @ts-expect-error nor is it left out
collective.explain();
// @ts-expect-error there are three operations
collective.set('a', 1, 3);
// @ts-expect-error no such option
new Collective(local, [], null, { secure: true });
// @ts-expect-error read only
collective.data = {};
// @ts-expect-error no such event
collective.on('connected', () => {});

void [kind, everything, leftOut, typed, untyped, names, live, port, done, cached, version];
