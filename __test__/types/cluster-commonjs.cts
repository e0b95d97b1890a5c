import cluster = require('collective-io/cluster');
import { Node } from 'collective-io';

cluster.run({ port: 9000 } satisfies cluster.Options, (node: Node, { id, port }: cluster.Worker) => [node.id, id, port]);
