import cluster from './cluster.js';

export declare const run: typeof cluster.run;
export import Options = cluster.Options;
export import Worker = cluster.Worker;
