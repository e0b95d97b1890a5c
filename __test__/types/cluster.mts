import { run, type Options, type Worker } from 'collective-io/cluster';

const options: Options = { workers: 4, port: 9000, host: 'localhost', stopTimeout: 5000, seeds: ['a.example:9000'], insecure: true };
const ended: Promise<void> = run(options, async (node, worker: Worker) => {
  node.worker('id', () => worker.id + worker.port);
});
await run<{ workers: { id(): number } }>({ port: '9000' }, async (node, { id }) => {
  node.worker('id', () => id);
  const ids: number[] = await node.run('id').values();
  return ids;
});
// @ts-expect-error a port is needed
run({ workers: 4 }, () => {});
// @ts-expect-error each worker has its own
run({ port: 9000, listen: 'localhost:9000' }, () => {});
void ended;
