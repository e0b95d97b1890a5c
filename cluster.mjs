import cluster from './cluster.js';

export const { run } = cluster;
