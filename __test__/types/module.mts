import Collective, { Collective as Named, version } from 'collective-io';

const local = { host: '127.0.0.1', port: 9000 };
const collective: Named = new Collective(local, [local], undefined, {} satisfies Collective.Options);
const text: string = version;
await collective.close();
void text;
