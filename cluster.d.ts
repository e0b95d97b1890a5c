import Collective = require('./index.js');

declare namespace cluster {
  /** Options of `join` are for the node of each worker. */
  interface Options extends Omit<Collective.JoinOptions, 'listen' | 'advertise' | 'signal'> {
    /** That of a worker is this with its id. */
    name?: string;
    /** How many. Default: as many as this machine runs at once. */
    workers?: number;
    /** The first worker listens on this port, the others on those that follow. */
    port: number | string;
    /** Where they listen. Default `'127.0.0.1'`. */
    host?: string;
    /**
     * How many ms a worker that is to leave may live on when it does not end by itself. After twice
     * that it is killed. Default 10000.
     */
    stopTimeout?: number;
  }

  /** Which worker it is; the same when it is forked again. */
  interface Worker {
    /** Counted from 0. */
    readonly id: number;
    /** Where its node listens. */
    readonly port: number;
  }

  /**
   * Runs a program as a cluster of workers that know each other. The primary process forks them,
   * forks again those that die, at once or, if they die at their start, after a pause that grows to
   * 10 s, and takes no part itself. A worker keeps its id and its port.
   *
   * SIGTERM and SIGINT to the primary have the workers leave: they close their servers and nodes,
   * finish what is under way, and end. The same signal to a worker has it leave and another take its
   * place. `cluster.disconnect()` and `worker.disconnect()` of `node:cluster` take them away for
   * good.
   *
   * ```js
   * const { run } = require('collective-io/cluster');
   *
   * run({ workers: 4, port: 9000 }, async (node, { id }) => {
   *   node.worker('id', () => id);
   *   console.log(await node.run('id').values());
   * });
   * ```
   *
   * @param main Called in each worker, once its node has joined the others. If it throws, the worker
   *   dies, unless the program handles that.
   * @returns In the primary fulfilled when all workers have left for good, in a worker with `main`.
   *   Rejected with `ERR_INVALID_ARGUMENT`, `ERR_INSECURE_BIND`, with `ERR_INVALID_STATE` the second
   *   time and in workers that it has not forked; in a worker with what `join` and `main` throw.
   */
  function run<T extends Collective.NodeTypes = any>(
    options: Options,
    main: (node: Collective.Node<T>, worker: Worker) => unknown,
  ): Promise<void>;
}

export = cluster;
