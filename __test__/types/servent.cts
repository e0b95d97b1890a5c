import Collective = require('collective-io');
import { Servent, Job, Peer, Worker } from 'collective-io';

const servent = new Servent({ insecure: true, advertise: 'a.example:8888', cluster: 'jobs' });
new Collective.Servent({ advertise: { host: 'a.example', port: 8888 }, limits: { valueBytes: 1e6 }, maxBytes: 1e9 });

servent.listen(8888).listen('8888', '127.0.0.1', 511, () => {}).listen({ port: 0 }, () => {}).listen();
servent.connect(8888).connect(8888, 'localhost', (peer) => peer.id).connect('localhost:8888', (peer: Peer) => peer.port);
const port: number | undefined = servent.address()?.port;
const id: string = servent.id;
const all: Peer[] = Object.values(servent.peers);

servent.on('peer', (peer) => peer.host?.toUpperCase());
servent.on('peerLeave', (peer, code) => `${peer.busyFor.toFixed()}${code.toUpperCase()}`);
servent.on('error', (error) => error.code === 'EADDRINUSE' && servent.listen(0));
servent.once('hello', (peer, text: string) => peer.emit('answer', text.length));
const reached: number = servent.broadcast('hello', 'world', { a: [1] });

// The classic form, untyped.
const worker = servent.createWorker('random', function (max, callback) {
  this.signal.addEventListener('abort', () => {});
  callback(null, Math.floor(Math.random() * max));
});
worker.distribute((job) => {
  job.setTTL(5000);
  job.on('data', (data) => console.log(data));
  job.on('error', console.error);
  job.on('end', () => {});
  job.run(1000);
});

// Typed, with a callback or a promise.
const sum = servent.createWorker<[number, number], number>('sum', (a, b, callback) => callback(null, a + b));
servent.createWorker<[number, number], number>('sum', async function (a, b) {
  return this.deadline + this.caller.node.length + a + b;
});
const job: Job<[number, number], number> = sum.distribute().run(1, 2);
job.on('data', (value, { node, peer }) => `${value.toFixed()}${node}${peer?.id}`);
job.on('error', (error, { node }) => `${error.code}${error.executed === 'no'}${node}`);
job.on('end', ({ reason, asked, answered, failed, missing, ms }) => {
  const lost = failed.filter(({ status }) => status === 'lost').map(({ node, error }) => node + error.message);
  return [reason === 'complete', asked - answered.length, missing[0].status === 'timeout', lost, ms];
});
job.abort(new Error('enough'));

// Types are found in the function.
const free = servent.createWorker('free', async (unit: number) => unit * 2);
const found: Worker<[unit: number], number> = free;
servent.createWorker('distributes only');

servent.expose('echo', function (value) {
  this.set('value', value).send('method', this.method);
});
servent.expose('deep', { er: { fails() { this.error('no', 7); } }, value: 5 });
for (const peer of all) {
  peer.expose('own', () => 5);
  const promised: Promise<{ value: number }> = peer.invoke<{ value: number }>('echo', [5], { timeout: 100 });
  peer.invoke('echo', [5], (error, result, callId) => [error?.code, error?.message, result.value, callId.length]);
  peer.invoke('list', (error) => error);
  void promised;
}
const asked: number = servent.broadcastInvoke('echo', [1], (error, result, callId, { peer }) => [error, result, callId, peer?.id]);
const removed: boolean = servent.removePeer('x') || all[0].destroy() || all[0].send({ type: 'event', name: 'x', args: [] });
const done: Promise<void>[] = [servent.close(() => {}), servent.destroy()];

// @ts-expect-error two numbers are needed
sum.distribute().run(1);
// @ts-expect-error the promise gives a text
servent.createWorker<[number], number>('wrong', async (n) => `${n}`);
// @ts-expect-error an event of the interface has its own arguments
servent.once('listening', (peer: Peer, text: number) => text);
// @ts-expect-error no such option
new Servent({ port: 8888 });
// @ts-expect-error no such message
all[0].send({ type: 'destroy' });
// @ts-expect-error the servent makes peers
new Peer();

void [port, id, reached, found, asked, removed, done];
