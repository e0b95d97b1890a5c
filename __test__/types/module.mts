import Collective, { Collective as Named, Job, Servent, version } from 'collective-io';

const local = { host: '127.0.0.1', port: 9000 };
const collective: Named = new Collective(local, [local], undefined, {} satisfies Collective.Options);
const text: string = version;
await collective.close();
const job: Job<[], number> = new Servent().createWorker<[], number>('a', async () => 1).distribute();
void [text, job];
