import { EventEmitter } from 'node:events';

/**
 * A nested object that all processes of a cluster share: the drop-in successor of collective.js. It
 * carries {@link Collective.Servent}, the successor of partition.io.
 *
 * ```js
 * const Collective = require('collective-io');
 *
 * const all = [{ host: '127.0.0.1', port: 9000 }, { host: '127.0.0.1', port: 9001 }];
 * new Collective(all[0], all, (collective) => {
 *   collective.set('visits.today', 1, collective.OPERATIONS.INCREMENT);
 *   console.log(collective.get('visits.today'));
 * });
 * ```
 */
declare class Collective extends EventEmitter<Collective.Events> {
  /**
   * Listens, connects to every other node and fetches the data.
   *
   * @param local Where this node listens. Anything but this machine's loopback needs a
   *   {@link Collective.Options.secret} or {@link Collective.Options.tls}, else the event `error` tells `ERR_INSECURE_BIND`.
   * @param all Every node of the cluster; `local` is left out by equal host and port.
   * @param callback Runs once, on a later turn, when this node has the data or no other node could
   *   be reached; at the latest after {@link Collective.Options.readyTimeout}.
   * @throws {TypeError} `ERR_INVALID_ARGUMENT` for bad addresses and unknown options.
   */
  constructor(
    local: Collective.Address,
    all: readonly Collective.Address[],
    callback?: ((collective: Collective) => void) | null,
    options?: Collective.Options | null,
  );
  /**
   * Stands on a node that is there, and shares its mesh. `close()` then leaves the node open.
   *
   * @throws {TypeError} `ERR_INVALID_ARGUMENT` for addresses or options beside it.
   */
  constructor(
    local: null | undefined,
    all: null | undefined,
    callback: ((collective: Collective) => void) | null | undefined,
    options: Collective.Guest,
  );

  /** `new Collective.Collective()`, for those who like to destructure. */
  static readonly Collective: typeof Collective;
  /** The same, for `import` through a bundler. */
  static readonly default: typeof Collective;
  /** The version of this package. */
  static readonly version: string;

  /**
   * Opens a node and joins a cluster: today's interface.
   *
   * ```js
   * const { join } = require('collective-io');
   *
   * const node = await join({ seeds: ['10.0.0.7:9000'] });
   * node.state.increment('visits');
   * ```
   *
   * With types of what the nodes share, paths and values, names, arguments and results are checked:
   *
   * ```ts
   * interface Shared {
   *   state: { visits: number };
   *   workers: { sum(a: number, b: number): number };
   * }
   * const node = await join<Shared>();
   * const sums = await node.run('sum', [1, 2]).values();
   * ```
   *
   * @returns The node, when it has what a node that it has reached holds, or when none could be
   *   reached; at the latest after {@link Collective.Options.readyTimeout}. Rejected with the
   *   system's error if it cannot listen, with `ABORT_ERR` if the signal is aborted, with
   *   `ERR_INVALID_ARGUMENT` or `ERR_INSECURE_BIND`.
   */
  static join<T extends Collective.NodeTypes = any>(options?: Collective.JoinOptions | null): Promise<Collective.Node<T>>;

  /**
   * Connects with one node of a cluster to look on, as the command line does: to nobody a peer, and
   * asked for nothing. As long as it writes nothing it leaves nothing behind.
   *
   * ```js
   * const { observe } = require('collective-io');
   *
   * const observer = await observe('10.0.0.7:9000');
   * for (const { name, ms, stats } of await observer.reports()) console.log(name, ms, stats?.peers);
   * await observer.close();
   * ```
   *
   * @param address Where a node listens, `'host:port'` or an object.
   * @returns Rejected with why there is no connection: the system's error, `ERR_HANDSHAKE_FAILED` and
   *   the like, `ERR_INCOMPATIBLE_PEER`, `ERR_TIMEOUT`, `ABORT_ERR`; with `ERR_INVALID_ARGUMENT`,
   *   `ERR_INVALID_SECRET`, `ERR_INVALID_CERTIFICATE`.
   */
  static observe(address: string | Collective.Address, options?: Collective.ObserveOptions | null): Promise<Collective.Observer>;

  /** What `set` can do. */
  static readonly OPERATIONS: Collective.Operations;
  /** Names of messages on collective.js's wire, which is not spoken here; kept for programs that look. */
  static readonly TYPES: readonly ['New', 'Accept', 'Data'];
  /** The end of a message on collective.js's wire; kept like `TYPES`. */
  static readonly DELIMITER: '\n';

  /** What `set` can do. */
  readonly OPERATIONS: Collective.Operations;
  /** See the static member. */
  readonly TYPES: readonly ['New', 'Accept', 'Data'];
  /** See the static member. */
  readonly DELIMITER: '\n';

  /** The own address, as given. */
  readonly local: Collective.Address;
  /** The other addresses of `all`, as given. */
  readonly remote: readonly Collective.Address[];
  /** One member for each live peer, named `host:port` as given in `all`. */
  readonly connections: Readonly<Record<string, Collective.Connection>>;
  /** The number of live peers. */
  readonly active: number;
  /** The number of live peers whose host differs from `local.host`. */
  readonly active_remote: number;

  /** The node that it stands on, in today's interface. */
  readonly node: Collective.Node;

  /**
   * The whole state as an object, live: `collective.data.a.b`. Assigning to a member and deleting
   * one, at any depth, is a `set` and so replicates.
   */
  readonly data: Collective.Data;

  /**
   * For each key the time in ms of the write that gave it its value, as far as this node knows.
   * Assigning a time in the future (`collective.history.foo += 1500`) makes this node drop its own
   * SETs and DELETEs of exactly that key until then.
   */
  readonly history: Record<string, number>;

  /**
   * Changes a dotted key, here at once and soon on every other node. Objects on the way are made
   * where they are missing.
   *
   * SET (the default) replaces whatever is there with the JSON form of `value`; SET of `undefined`
   * is DELETE. INCREMENT adds a finite number; concurrent increments all count. DELETE takes away
   * the last part of the key and ignores `value`.
   *
   * @throws An `Error` with a `code`, and nothing has changed: `ERR_INVALID_KEY`,
   *   `ERR_INVALID_VALUE`, `ERR_INVALID_OPERATION`, `ERR_NOT_A_NUMBER`, `ERR_NOT_AN_INDEX`,
   *   `ERR_KEY_TOO_LONG`, `ERR_TOO_DEEP`, `ERR_VALUE_TOO_LARGE`, `ERR_STATE_FULL`, `ERR_CLOSED`.
   */
  set(key: string, value: unknown, operation?: Collective.Operation | null): void;

  /**
   * The value at a dotted key, an object for an inner node, `undefined` where there is none.
   *
   * An object is this node's decoded copy, shared until something in it changes: change it only to
   * `set` it again.
   */
  get<T = any>(key: string): T | undefined;

  /**
   * What a dotted key shows on this node, and why: each write of which something is left there or,
   * as far as it bears on the key, above, by whom and when it was made, and what hides it if it is
   * hidden. For people who wonder; its form may grow.
   *
   * Costs more than `get` and is not cached. What a write has replaced or deleted is not told:
   * nothing of it is left.
   *
   * @param key `null` is the whole state.
   * @throws `ERR_INVALID_KEY`, `ERR_CLOSED`.
   */
  explain(key: string | null): Collective.Explanation;

  /** Counters of this node: connections, bytes, writes, memory. */
  stats(): Collective.Stats;

  /**
   * Goes on with other secrets, of which the first is used and all are accepted, or certificates,
   * whose files are read again. Connections that have to be are made anew, without loss; those that
   * are not accepted any more end. To replace a secret take each step on all nodes before the next:
   * `[old, new]`, `[new, old]`, `new`.
   *
   * @throws `ERR_INVALID_SECRET`, `ERR_INVALID_CERTIFICATE`; `ERR_INVALID_STATE` if this node was
   *   opened with something else.
   */
  rotate(options: Collective.RotateOptions): void;

  /**
   * Leaves the cluster: says goodbye, stops listening and frees everything, after which the process
   * can end by itself. Can be called again. Other members throw `ERR_CLOSED` from the call on.
   */
  close(): Promise<void>;

  /** Lets this node keep the process alive while it listens, as it does from the start. */
  ref(): this;

  /** Lets the process end although this node listens. */
  unref(): this;
}

declare namespace Collective {
  /** A node. Without a host it is `127.0.0.1`. */
  interface Address {
    /** Default: `127.0.0.1`. */
    host?: string;
    /** 0 is any that is free, where it is for listening. */
    port: number | string;
  }

  interface Operations {
    /** Replaces what is there. */
    readonly SET: 0;
    /** Adds to a number. */
    readonly INCREMENT: 1;
    /** Takes it away. */
    readonly DELETE: 2;
  }

  type Operation = Operations[keyof Operations];

  /** What `data` holds: whatever JSON can. */
  type Data = Record<string, any>;

  /** A live peer. */
  interface Connection {
    /** Its identity, another one after each start. */
    readonly id: string;
    /** Where it listens. */
    readonly host: string;
    /** Where it listens. */
    readonly port: number;
  }

  interface Options {
    /**
     * What all nodes of the cluster have and nobody else: 32 random bytes, as
     * `npx collective-io keygen` prints them. Of several the first is used and all are accepted.
     * `null` is none. Default: `COLLECTIVE_SECRET` in the environment, which may hold several with
     * commas between.
     */
    secret?: Secret | readonly Secret[] | null;
    /** Certificates in place of a secret. */
    tls?: Tls;
    /**
     * Listen on any host without either, in the clear. Default: `COLLECTIVE_INSECURE=1` in the
     * environment.
     */
    insecure?: boolean;
    /** Nodes of another cluster name are refused. Default `'collective'`. */
    cluster?: string;
    /** Must be equal on all nodes. */
    limits?: Limits;
    /**
     * How many bytes of memory the state may take on this node, about (`stats().documentBytes`).
     * Own writes that would make it more are refused with `ERR_STATE_FULL`; what peers write is taken
     * all the same. Need not be equal on all nodes. Default: no limit.
     */
    maxBytes?: number;
    /** Ready at the latest so many ms after listening. Default 5000. */
    readyTimeout?: number;
    /** How many ms a node may be away and lose nothing. Default 30 days. */
    forgetAfter?: number;
    /** How often, in ms, peers hear from this node. Default 1000. */
    heartbeatInterval?: number;
    /** A peer that was silent for so many ms is lost. Default 5000. */
    lossTimeout?: number;
    /** Gets what a log should have. Default: there is none. */
    log?: (entry: LogEntry) => void;
  }

  interface LogEntry {
    /** How serious it is. */
    level: 'info' | 'warn' | 'error';
    /** What has happened to the node, in words. */
    message: string;
    /** The name of the node. */
    node: string;
    /** Its id. */
    id: string;
    /** The id of the peer that it is about, if it is. */
    peer?: string;
    /** The name of that peer. */
    name?: string;
    /** Where that peer listens; null if it does not. */
    address?: string | null;
    /** That of an error or warning, or why a peer is gone. */
    code?: string;
  }

  /** In base64 (44 characters), in hexadecimal (64), or as 32 bytes. */
  type Secret = string | Uint8Array;

  /** Mutual TLS 1.3: nodes with certificates of one authority, and nobody else. */
  interface Tls {
    /** The private key. */
    key: Pem;
    /** The certificate, and those between it and the authority. */
    cert: Pem | readonly Pem[];
    /** The authority's certificate, or several. */
    ca: Pem | readonly Pem[];
    /**
     * A certificate must be for one of these: host names, also `'*.example'`, IP addresses, URIs.
     * Default: any that the authority has issued.
     */
    names?: readonly string[];
  }

  /** PEM as text or bytes, or the path of a file. */
  type Pem = string | Uint8Array;

  /** What a running node can go on with: of what it was opened with. */
  type RotateOptions = { secret: Secret | readonly Secret[] } | { tls: Tls };

  interface Limits {
    /** Bytes of a key. Default 4096. */
    keyBytes?: number;
    /** Parts of a key plus levels of its value. Default 64. */
    depth?: number;
    /** Bytes of a value as JSON text. Default 1 MiB. */
    valueBytes?: number;
  }

  /** In place of options: stands on a node that is there. */
  interface Guest {
    /** It stays open when what stands on it is closed. */
    node: Node<any>;
  }

  type Seeds = readonly (string | Address)[];

  /** What `join` takes. */
  interface JoinOptions extends Options {
    /**
     * Where to listen: `'host:port'` or an object, of which each part may be left out; `false` for
     * a node that only connects. Default `'127.0.0.1:0'`, any free port.
     */
    listen?: string | Partial<Address> | false;
    /** Where others reach this node, if that is not where it listens. */
    advertise?: string | Address;
    /**
     * Nodes to begin with, `'host:port'`: through one of them it gets to know all others.
     *
     * A function is called again, after pauses of 0.1 to 5 s, while the node has no peer or one of
     * the addresses leads nowhere; then what it gives takes the place of what it gave before.
     */
    seeds?: Seeds | (() => Seeds | PromiseLike<Seeds>);
    /** As others show it to people. Default: the name of the host and the number of the process. */
    name?: string;
    /** What others choose nodes by: at most 32, 2048 bytes in all. */
    tags?: Readonly<Record<string, string>>;
    /** Gives up joining. A node that has joined is closed by `close()`. */
    signal?: AbortSignal;
  }

  /** What `observe` takes. */
  interface ObserveOptions extends Pick<Options, 'secret' | 'tls' | 'cluster' | 'limits'> {
    /** As nodes show it to who it asks. Default: the name of the host and the number of the process. */
    name?: string;
    /** How long the connection may take, and each report, in ms. Default 5000. */
    timeout?: number;
    /** `false`: the state is not brought here. Default `true`. */
    state?: boolean;
    /** Gives up connecting. */
    signal?: AbortSignal;
  }

  /** Who looks on, as {@link Collective.observe} gives it. Keeps the process alive until it is closed. */
  interface Observer<S = any> {
    /**
     * Whether it is connected. If it was lost it dials again by itself; and where reports have
     * told that other nodes listen, to go on through the first of them that is there.
     */
    readonly isConnected: boolean;
    /**
     * The state that all nodes share. The first write makes this a replica as any node is.
     *
     * @throws `ERR_INVALID_STATE` with `state: false`.
     */
    readonly state: State<S>;
    /** One of each node of the mesh, at most 1024, the one that it is connected with first. */
    reports(): Promise<Report[]>;
    /** Has the node that it is connected with run a job on every node. */
    run(name: string, args?: readonly unknown[], options?: { timeout?: number }): Promise<ObservedOutcome[]>;
    /** Ends it, when what it has written is where it is connected. Repeatable. */
    close(): Promise<void>;
  }

  /** What a node tells of itself. */
  interface Report {
    /** As {@link Node} has it. */
    id: string;
    /** As it shows itself to people. */
    name: string;
    /** What others choose it by. */
    tags: Readonly<Record<string, string>>;
    /** Where others reach it, `'host:port'`; null if it does not listen. */
    address: string | null;
    /** As {@link State.explain} names it as the maker of a write; not there without an answer. */
    replica?: string;
    /** How long the answer took, in ms; null if there was none. */
    ms: number | null;
    /** How far the clock there is ahead of this machine's, in ms, about; null without an answer. */
    clockAheadMs: number | null;
    /** Why there was none: `ERR_TIMEOUT`, `ERR_PEER_LOST`, `ERR_VALUE_TOO_LARGE`, … */
    code?: string;
    /** What `stats()` gives there; null if there was no answer. */
    stats: Stats | null;
    /** The oldest own jobs and calls that run there, at most 32. */
    jobs: RunningJob[];
  }

  interface RunningJob {
    /** As functions that run for it have it. */
    id: string;
    /** That of the worker or function. */
    name: string;
    /** When it began, on this machine's clock, in ms since 1970. */
    startedMs: number;
    /** When its time is over, likewise. */
    deadlineMs: number;
    /** What has become of it so far on each node that was asked. */
    outcomes: { node: string; status: Outcome['status'] | 'running' }[];
  }

  interface ObservedOutcome {
    /** The id of the node. */
    node: string;
    /** As it shows itself to people. */
    name: string;
    /** As of an {@link Collective.Outcome}. */
    status: Outcome['status'];
    /** If the status is `ok`. */
    value?: any;
    /** If it is not. */
    error?: Error;
    /** How long it took, in whole ms. */
    ms: number;
  }

  /** What a program has on its nodes. */
  interface NodeTypes {
    /** The state, as one object. */
    state?: any;
    /** The functions of workers by name, as methods of one interface. */
    workers?: object;
  }

  /**
   * One node of a cluster, as {@link Collective.join} gives it.
   *
   * It keeps the process alive until it is closed, unless `unref` was called.
   */
  class Node<T extends NodeTypes = any> extends EventEmitter<Node.Events> {
    private constructor();

    /** The state that all nodes share. */
    readonly state: State<T['state']>;

    /** 24 upper-case hexadecimal digits, another one for each node. */
    readonly id: string;
    /** As others show it to people. */
    readonly name: string;
    /** What others choose nodes by. */
    readonly tags: Readonly<Record<string, string>>;
    /** Where others reach it, `'host:port'`; null if it does not listen. */
    readonly address: string | null;
    /** The nodes that it is connected with, by id. */
    readonly peers: ReadonlyMap<string, NodePeer>;

    /**
     * Does this node's part of each job of a name, whichever node asks for it. Another worker of the
     * same name takes its place.
     *
     * @param func Gets the arguments of the job; `this` is a {@link JobContext}. What it returns, or
     *   its promise gives, is the answer, whatever JSON can hold; nothing arrives as `null`. What it
     *   throws is this node's error.
     * @throws {TypeError} `ERR_INVALID_NAME`, `ERR_INVALID_ARGUMENT`; an `Error` `ERR_CLOSED`.
     */
    worker<Args extends any[], R>(
      name: Node.AnyName<T>,
      func: (this: JobContext, ...args: Args) => R,
      options?: WorkerOptions | null,
    ): NodeWorker<Args, Node.Received<Awaited<R>>>;
    worker<K extends Node.Name<T>>(
      name: K,
      func: (this: JobContext, ...args: Node.Args<T, K>) => Node.Given<T, K>,
      options?: WorkerOptions | null,
    ): NodeWorker<Node.Args<T, K>, Node.Result<T, K>>;

    /**
     * Asks every node, this one too, to do its part of a job. It starts at once and is never
     * rejected: each node has an outcome, at the latest when the time is over. In a worker's
     * function it has no more time than that function.
     *
     * ```js
     * for await (const { node, status, value, error } of node.run('free memory')) {
     *   console.log(node, status === 'ok' ? value : error.message);
     * }
     * ```
     *
     * @param args Whatever JSON can hold; `undefined` arrives as `null`.
     * @throws `ERR_INVALID_NAME`, `ERR_INVALID_ARGUMENT`, `ERR_INVALID_VALUE`, `ERR_VALUE_TOO_LARGE`,
     *   `ERR_TOO_DEEP`, `ERR_BUSY`, `ERR_CLOSED`; then nothing was sent.
     */
    run<R = any>(name: Node.AnyName<T>, args?: readonly unknown[], options?: RunOptions | null): Gathering<R>;
    run<K extends Node.Name<T>>(name: K, ...rest: Node.Rest<Node.Args<T, K>>): Gathering<Node.Result<T, K>>;

    /**
     * Asks one node that has the worker: the one of two drawn at random for which fewer jobs of this
     * node are under way. Another is asked only if the first has certainly not run it (it has no
     * such worker, is busy, or is not connected), or if it was lost and its worker is idempotent. In
     * a worker's function it has no more time than that function.
     *
     * @returns What the worker gives. Rejected with an {@link OutcomeError}: the worker's own error,
     *   `ERR_NO_WORKER`, `ERR_BUSY` if all are, `ERR_PEER_LOST`, `ERR_TIMEOUT`, `ABORT_ERR`; or with
     *   what `run` throws.
     */
    call<R = any>(name: Node.AnyName<T>, args?: readonly unknown[], options?: RunOptions | null): Promise<R>;
    call<K extends Node.Name<T>>(name: K, ...rest: Node.Rest<Node.Args<T, K>>): Promise<Node.Result<T, K>>;

    /**
     * In a worker's function, in all that it calls and awaits: the same as its `this`. Elsewhere
     * `undefined`.
     */
    context(): JobContext | undefined;

    /** Where this node stands and what it has counted. Cheap: it walks through peers, not through the state. */
    stats(): Stats;

    /**
     * Goes on with other secrets, of which the first is used and all are accepted, or certificates,
     * whose files are read again. Connections that have to be are made anew, without loss; those that
     * are not accepted any more end. To replace a secret take each step on all nodes before the next:
     * `[old, new]`, `[new, old]`, `new`.
     *
     * @throws `ERR_INVALID_SECRET`, `ERR_INVALID_CERTIFICATE`; `ERR_INVALID_STATE` if this node was
     *   opened with something else.
     */
    rotate(options: Collective.RotateOptions): void;

    /** Lets it keep the process alive, as it does at first. */
    ref(): this;
    /** Lets the process end although it is open. Own jobs and calls still keep it. */
    unref(): this;

    /**
     * Finishes what is under way and hands over what peers lack, for at most 5 s each, says goodbye
     * and frees everything. Can be called again.
     */
    close(): Promise<void>;
    /** Frees everything at once. Can be called again, also to cut `close` short. */
    destroy(): Promise<void>;
    /** The same as `close`, for `await using`. */
    [Symbol.asyncDispose](): Promise<void>;
  }

  namespace Node {
    interface Events {
      /** A peer is there. */
      'peer:join': [peer: NodePeer];
      /** A peer is gone, and why. */
      'peer:leave': [peer: NodePeer, code: string];
      /** The event loop of a peer does not turn. Told once until it does. */
      'peer:busy': [peer: NodePeer];
      /** Something that was handled: a bad message, a skewed clock, seeds that cannot be had. */
      warning: [warning: CodedError];
      /** This node has ended by a defect in this package. */
      error: [error: CodedError];
      /** The end of `close()`. */
      close: [];
    }

    /** Any name where the workers were given no types, else none. */
    type AnyName<T> = T extends { workers: object } ? never : string;
    /** The names of the workers. */
    type Name<T> = T extends { workers: infer W extends object } ? keyof W & string : never;
    /** The function of a worker. */
    type Func<T, K> = T extends { workers: infer W extends object }
      ? K extends keyof W
        ? Extract<W[K], (...args: any[]) => any>
        : never
      : never;
    /** What a worker gets. */
    type Args<T, K> = Parameters<Func<T, K>>;
    /** What a worker's function returns. */
    type Given<T, K> = Awaited<ReturnType<Func<T, K>>> | PromiseLike<Awaited<ReturnType<Func<T, K>>>>;
    /** What comes of a worker. */
    type Result<T, K> = Received<Awaited<ReturnType<Func<T, K>>>>;
    /** JSON has no `undefined`. */
    type Received<R> = R extends undefined | void ? null : R;
    /** The arguments may be left out if all of them may. */
    type Rest<Args extends unknown[]> = [] extends Args
      ? [args?: Args, options?: RunOptions | null]
      : [args: Args, options?: RunOptions | null];
  }

  interface WorkerOptions {
    /** How many of its functions run at once; others wait for one of them to end. Default: any number. */
    concurrency?: number;
    /**
     * With `concurrency`, how many wait. The outcome of more is `busy`. Default: any number, as long
     * as their callers wait.
     */
    queue?: number;
    /** `call` may run it on another node if a node is lost that may have run it already. */
    idempotent?: boolean;
  }

  interface RunOptions {
    /** In how many ms all must be over. Default 30000. */
    timeout?: number;
    /** Ends the job when it is aborted; functions that still run have its reason. */
    signal?: AbortSignal;
    /**
     * Which nodes: all but this one; an id or ids; those that have all these tags; those peers for
     * which a function returns true. Default all, this one too.
     */
    to?:
      | 'others'
      | string
      | readonly string[]
      | { tags: Readonly<Record<string, string>> }
      | ((peer: NodePeer) => unknown);
    /** The header of this name of the W3C: functions have it as `traceparent`. Nested jobs pass it on. */
    traceparent?: string;
    /** The header that belongs to it. */
    tracestate?: string;
  }

  /** This node's part of the jobs of one name. */
  interface NodeWorker<Args extends unknown[] = any[], R = any> {
    /** That of the jobs. */
    readonly name: string;
    /** Whether `call` may ask another node when one is lost that may have run it. */
    readonly idempotent: boolean;
    /** As {@link Node.run} of this name. */
    run(...rest: Node.Rest<Args>): Gathering<R>;
    /** As {@link Node.call} of this name. */
    call(...rest: Node.Rest<Args>): Promise<R>;
    /**
     * Offers it no longer: what runs goes on, what waits is not begun. Whether it was offered.
     */
    remove(): boolean;
  }

  /** What a worker's function knows of the job that it runs for. */
  interface JobContext {
    /** Aborted when nobody waits for the answer any more. */
    readonly signal: AbortSignal;
    /** Until when it must have answered, in ms since 1970. */
    readonly deadline: number;
    /** The node that asks. */
    readonly caller: Caller;
    /** The job. The `id` is the same on all nodes, and that of the caller's {@link Gathering}. */
    readonly job: { readonly id: string; readonly name: string };
    /** What the caller gave, if it did. */
    readonly traceparent: string | undefined;
    /** What the caller gave, if it did. */
    readonly tracestate: string | undefined;
  }

  /** A node. */
  interface Caller {
    /** Its id. */
    readonly node: string;
    /** As it shows itself to people. */
    readonly name: string;
    /** Not there for this node itself. */
    readonly peer: NodePeer | undefined;
  }

  /**
   * What becomes of a job on each node, in the order in which it becomes known. Outcomes are kept:
   * all members may be used at any time, and more than once. Leaving a loop over it ends the job.
   */
  interface Gathering<R = any> extends AsyncIterable<Outcome<R>> {
    /** Names the job on every node. */
    readonly id: string;
    /** The ids of the nodes asked. */
    readonly nodes: readonly string[];
    /** All outcomes by the id of the node, once all are there. Never rejected. */
    results(): Promise<Map<string, Outcome<R>>>;
    /**
     * All values, in the order in which they came; rejected with an `AggregateError` of every error
     * if a node has not given one.
     */
    values(): Promise<R[]>;
    /**
     * The first value that comes, as `Promise.any`: rejected with an `AggregateError` if no node
     * gives one. The others go on, until `cancel`.
     */
    first(): Promise<R>;
    /** Ends the job; functions that still run have the reason as `signal.reason`. */
    cancel(reason?: unknown): void;
  }

  /** What became of a job on one node. */
  type Outcome<R = any> = GoodOutcome<R> | BadOutcome;

  interface OutcomeBase {
    /** The id of the node. */
    readonly node: string;
    /** As it shows itself to people; not there of an id to which no node belongs. */
    readonly name: string | undefined;
    /** How many ms after the start it was known. */
    readonly ms: number;
  }

  interface GoodOutcome<R = any> extends OutcomeBase {
    /** The function has given a value. */
    readonly status: 'ok';
    /** What it gave. */
    readonly value: R;
    /** There is none. */
    readonly error: undefined;
  }

  interface BadOutcome extends OutcomeBase {
    /**
     * - `error`: the function threw, or gave what JSON cannot hold
     * - `no-worker`: the node has no worker of this name
     * - `busy`: too much is under way to it or on it
     * - `lost`: the connection to it is gone
     * - `timeout`: the time was over
     * - `aborted`: the job was ended
     */
    readonly status: 'error' | 'no-worker' | 'busy' | 'lost' | 'timeout' | 'aborted';
    /** There is none. */
    readonly value: undefined;
    /** Why there is no value, and whether the function has run. */
    readonly error: OutcomeError;
  }

  /** What went wrong on a node. */
  interface OutcomeError extends Error {
    /** That of the function's error, if it had one; else ours. */
    code?: string | number;
    /** The id of the node; not there if none was asked. */
    node?: string;
    /** Not there for this node itself. */
    peer?: NodePeer;
    /** Whether the function has run. */
    executed: 'yes' | 'no' | 'unknown';
  }

  /** Another node, seen from this one. One that goes and comes back is another object. */
  interface NodePeer {
    /** The `id` of the node. */
    readonly id: string;
    /** As {@link State.explain} names it as the maker of a write: 16 hexadecimal digits. Another one if it had to join again. */
    readonly replica: string;
    /** As it shows itself to people. */
    readonly name: string;
    /** What to choose nodes by. */
    readonly tags: Readonly<Record<string, string>>;
    /** Where it listens, `'host:port'`, as far as it is known; else null. */
    readonly address: string | null;
    /** `busy` while its event loop does not turn. */
    readonly state: 'up' | 'busy' | 'gone';
    /** How many ms a message took to it and back, measured once a second; null before that. */
    readonly rtt: number | null;
    /** How many writes this node has of which the peer has not said that it has them. */
    readonly lag: number;
    /** For how many ms its event loop has not turned, 0 while it does: alive, but busy. */
    readonly busyFor: number;
  }

  /**
   * The state that all nodes of a cluster share, as one node has it: a tree of paths.
   *
   * A path is a dotted string (`'users.x'`), or an array of segments, which may be any strings
   * (`['users', 'a.b@c.d']`). No path, or an empty array, is the whole state, which can be read and
   * not written.
   *
   * Writes take effect here at once and soon on every other node. They throw an `Error` with a
   * `code`, and nothing has changed: `ERR_INVALID_KEY` for what is no path, `ERR_INVALID_VALUE`,
   * `ERR_NOT_A_NUMBER`, `ERR_NOT_AN_INDEX`, `ERR_KEY_TOO_LONG`, `ERR_TOO_DEEP`,
   * `ERR_VALUE_TOO_LARGE`, `ERR_STATE_FULL`, `ERR_CLOSED`.
   *
   * @typeParam S What is in it.
   */
  class State<S = any> {
    private constructor();

    /** How many members the whole state has. */
    readonly size: number;
    /**
     * The whole state as an object, live: assigning to a member and deleting one, at any depth, is a
     * write.
     */
    readonly data: S;

    /**
     * What is at a path, deeply frozen; `undefined` where there is nothing. A path once read keeps
     * its value within one turn of the event loop, own writes apart.
     */
    get(): State.Frozen<S>;
    get<const P extends State.Path>(path: State.Within<S, P>): State.Frozen<State.At<S, P>> | undefined;

    /** Whether there is something at a path. */
    has<const P extends State.Path>(path: State.Within<S, P>): boolean;

    /** Replaces what is at a path. Objects on the way are made where they are missing. */
    set<const P extends State.Path>(path: State.Within<S, P>, value: State.At<S, P>): void;

    /**
     * Adds to the number at a path, 0 if there is nothing. Concurrent additions on all nodes count.
     *
     * @param by Default 1.
     * @returns The sum, as this node has it.
     */
    increment<const P extends State.Path>(path: State.WithinNumbers<S, P>, by?: number): number;

    /** Takes away what is at a path and below. Whether there was something. */
    delete<const P extends State.Path>(path: State.Within<S, P>): boolean;

    /** The names of the members of an object or array; none if there is no such thing. */
    keys<const P extends State.Path = readonly []>(path?: State.Within<S, P>): string[];

    /**
     * The members of an object or array, as `[name, value]`, deeply frozen; none if there is no such
     * thing. Those of an object in the order of their names' bytes, elements of an array in theirs.
     *
     * @param options `limit`: at most so many. `after`: those that come after this name, for the
     *   next page; it need not be there.
     */
    entries<const P extends State.Path = readonly []>(
      path?: State.Within<S, P>,
      options?: { limit?: number; after?: string },
    ): [name: string, value: State.Frozen<State.MemberOf<State.At<S, P>>>][];

    /**
     * Calls a function. What it writes takes effect on every other node in one step: nobody reads,
     * or is told of, a part of it. Nothing from other nodes takes effect here before it returns.
     *
     * Should it throw, what it wrote before stands. One batch within another is a part of it. It
     * ought to be quick: when 4 MiB from other nodes wait for its end they wait no longer, and what
     * it writes from then on may be seen apart from what it wrote before.
     *
     * @param fn Not async: the batch is over when it returns.
     * @throws {TypeError} `ERR_INVALID_ARGUMENT`
     */
    batch<R>(fn: () => R): R;

    /**
     * Waits until peers have all that this node has written so far.
     *
     * @param options `peers`: how many of those that are connected; by default `'all'` that are now,
     *   without those that leave meanwhile. `timeout`: default 30,000 ms.
     * @returns How many peers have it.
     * @throws `ERR_TIMEOUT`, `ABORT_ERR`, `ERR_CLOSED`, `ERR_INVALID_ARGUMENT`, as rejections. The
     *   writes go on their way all the same.
     */
    replicated(options?: { peers?: number | 'all'; timeout?: number; signal?: AbortSignal }): Promise<number>;

    /**
     * How each peer stood to this node at its last word, which is no older than a second: whether it
     * had the same writes, and if so whether its state had the same hash, null while one is not
     * known. By id.
     */
    converged(): Map<string, { readonly context: boolean; readonly hash: boolean | null }>;

    /**
     * Tells what changes at a path and below it, here and elsewhere: each place once however often
     * it was written, with the value that it has by then. Nothing is missed, whatever connections
     * do: who applies what he is told has, in the end, what is there. A place may be told although
     * its value is what it was.
     *
     * What is told is the place written, or one above it: where an object or array comes to be, or
     * was one value until then, all of it is told.
     *
     * With a listener: it is called between turns of the event loop, in the async context of this
     * call. Without: an async iterator, which waits for whoever is slow. At most 16,384 places wait;
     * should it be more, one change of the whole path with `skipped` tells so.
     *
     * @param options `initial`: begins with the value that is there. `signal`: ends it; an iterator
     *   is then rejected with `ABORT_ERR`. The end of the node is the end of an iterator.
     * @returns With a listener: a function that ends it.
     */
    watch<const P extends State.Path>(path: State.Within<S, P>, options?: State.WatchOptions): AsyncIterableIterator<State.Change>;
    watch<const P extends State.Path>(
      path: State.Within<S, P>,
      listener: (change: State.Change) => void,
      options?: State.WatchOptions,
    ): () => void;

    /** What a path shows on this node, and why: see {@link Collective.explain}. */
    explain(path?: State.Path): Explanation;
  }

  namespace State {
    /** A dotted string or an array of segments. */
    type Path = string | readonly string[];

    interface WatchOptions {
      /** Ends it. */
      signal?: AbortSignal;
      /** Begins with the value that is there. Default `false`. */
      initial?: boolean;
    }

    interface Change {
      /** Where. */
      readonly path: readonly string[];
      /** What is there now, deeply frozen; `undefined` if there is nothing. */
      readonly value: any;
      /** Whether writes of this node alone have changed it. */
      readonly local: boolean;
      /**
       * Too much has changed: anything below may be different. The value is then read when it is
       * looked at.
       */
      readonly skipped: boolean;
    }

    /** What is at a path; `unknown` if the path is not known in advance, `never` if there is no such. */
    type At<S, P extends Path> = 0 extends 1 & S
      ? any
      : P extends readonly [infer First extends string, ...infer Rest extends readonly string[]]
        ? At<Member<S, First>, Rest>
        : P extends readonly []
          ? S
          : P extends readonly string[]
            ? unknown
            : string extends P
              ? unknown
              : P extends `${infer First}.${infer Rest}`
                ? At<Member<S, First>, Rest>
                : P extends string
                  ? Member<S, P>
                  : never;

    /** A member of what is there, of any of its kinds. */
    type Member<S, K extends string> = 0 extends 1 & S
      ? any
      : S extends readonly (infer E)[]
        ? K extends `${number}` ? E : never
        : S extends object
          ? K extends keyof S
            ? Exclude<S[K], undefined>
            : K extends `${infer N extends number}`
              ? N extends keyof S ? Exclude<S[N], undefined> : never
              : never
          : never;

    /** Any member. */
    type MemberOf<S> = 0 extends 1 & S
      ? any
      : unknown extends S
        ? unknown
        : S extends readonly (infer E)[]
          ? E
          : S extends object ? Exclude<S[keyof S], undefined> : never;

    /** The path itself, if there is such a place. */
    type Within<S, P extends Path> = [At<S, P>] extends [never] ? never : P;

    /** The path itself, if there can be a number. */
    type WithinNumbers<S, P extends Path> = 0 extends 1 & At<S, P>
      ? P
      : unknown extends At<S, P>
        ? P
        : [Extract<At<S, P>, number>] extends [never] ? never : P;

    /** Read-only at every level. */
    type Frozen<S> = 0 extends 1 & S
      ? any
      : S extends readonly (infer E)[]
        ? readonly Frozen<E>[]
        : S extends object ? { readonly [K in keyof S]: Frozen<S[K]> } : S;
  }

  /** What a key shows on one node, and why. */
  interface Explanation {
    /** As asked for: `null` is the whole state. */
    key: string | null;
    /** The node that explains, named as each write below: another one may not have the same yet. */
    replica: string;
    /**
     * What `get` gives: nothing; null, a boolean or a string; a number; an object; an array; or
     * null because an array has nothing there.
     */
    shown: 'nothing' | 'value' | 'number' | 'object' | 'array' | 'hole';
    /** JSON text of it if it is a value or a number, at most 200 characters, then `…`. */
    json?: string;
    /**
     * What stands at the key, then above it, nearest first. Of one place what is shown comes first,
     * then the latest. 100 at most, `cuts` included.
     */
    things: Thing[];
    /** Removals of increments of this key, kept for a node that may not have seen them. */
    cuts: Cut[];
    /** How many things and cuts are not listed. */
    leftOut: number;
  }

  /**
   * A write, by its maker and time. Of two, the one with the later `ms` is later, then the one with
   * the higher `tick`, then the one with the higher `replica`.
   */
  interface WriteId {
    /**
     * Who made it: the `id` of a member of `connections`, or {@link Explanation.replica} if it was
     * this node. What a dead node wrote belongs to one that lives, sooner or later.
     */
    replica: string;
    /** The number of the write among those of its maker. */
    counter: number;
    /** The maker's clock, in ms since 1970; later than anything that the write replaced. */
    ms: number;
    /** Tells apart writes with the same `ms`. */
    tick: number;
  }

  /** One thing that a write has left. */
  type Thing = SetThing | IncrementsThing | MarkThing;

  interface ThingBase extends WriteId {
    /** Where it stands: the key that was asked for, or one above. */
    key: string;
    /** Whether it is what is seen there, or a part of it. */
    shown: boolean;
    /** If it is not: why. */
    hidden?: Hidden;
  }

  /** A value, or a piece of one. */
  interface SetThing extends ThingBase {
    /** What a SET has put there. */
    kind: 'set';
    /** The key of the SET: above `key` if this is a piece of a larger value. */
    setAt: string;
    /** Which of them it is. */
    shape: 'scalar' | 'object' | 'array';
    /** Of an array. */
    length?: number;
    /** JSON text of what is left of it, at most 200 characters, then `…`. */
    json: string;
  }

  /** All increments of one node that count. The write is the last of them. */
  interface IncrementsThing extends ThingBase {
    /** What INCREMENTs have added. */
    kind: 'increments';
    /** Their sum. */
    amount: number;
    /** They were those of a dead node. */
    settled: boolean;
    /** Those of the node up to this `counter` were removed. */
    removedTo?: number;
  }

  /** There is an object or array here because something was written below. */
  interface MarkThing extends ThingBase {
    /** What a write below has made of the path. */
    kind: 'mark';
    /** Which of them it is. */
    shape: 'object' | 'array';
    /** The least length of an array. */
    length?: number;
  }

  /** Why something is hidden, and the write that hides it. */
  interface Hidden extends Partial<WriteId> {
    /**
     * - `laterSet`: a later SET of the key that its own SET was made at
     * - `laterValue`: a later value at the same key
     * - `laterCounter`: increments at the same key that are later
     * - `laterContainer`: an object or array at the same key, in which something is later
     * - `scalarAbove`: a key above shows something that is no object or array
     * - `arrayAbove`: a key above shows an array, of which this is no element
     * - `lost`: nothing hides it and still it is not seen, a defect: please report it
     */
    why:
      | 'laterSet'
      | 'laterValue'
      | 'laterCounter'
      | 'laterContainer'
      | 'scalarAbove'
      | 'arrayAbove'
      | 'lost';
    /** Where the write that hides it has left what hides it. */
    key?: string;
    /** What that is. */
    kind?: 'set' | 'increments' | 'mark';
  }

  /** Increments of one node that a write of another has removed. */
  interface Cut {
    /** Whose increments. */
    replica: string;
    /** The last of them. */
    counter: number;
    /** Their sum. */
    amount: number;
    /** Who removed them. */
    byReplica: string;
    /** By which of its writes. */
    byCounter: number;
  }

  interface Stats {
    /** Paths that hold something or lead to it. */
    documentNodes: number;
    /** Values, marks and parts of counters that they hold. */
    things: number;
    /** Memory that the state takes, in bytes, about: what `maxBytes` limits. */
    documentBytes: number;
    /** Removals of increments kept for replicas that have not seen them. */
    cuts: number;
    /** Replicas that have written something. */
    replicas: number;
    /** Dead replicas still remembered after their folding. */
    forgotten: number;
    /** Nodes that this one is connected with. */
    peers: number;
    /** Those that look on, which are no peers. */
    observers: number;
    /** Own writes. */
    writesLocal: number;
    /** Those of others. */
    writesRemote: number;
    /** Those that came more than once and were applied once. */
    writesDuplicate: number;
    /** Times that it asked to be brought up to date. */
    pulls: number;
    /** Times that it has brought a peer up to date. */
    feeds: number;
    /** Those of them in which it went through all there is. */
    snapshots: number;
    /** Peers too slow for all that was written, brought up to date later. */
    overflows: number;
    /** Messages that were none. */
    badMessages: number;
    /** Writes from clocks too far ahead. */
    clockSkews: number;
    /** Alarms: equal writes, different states. */
    stateMismatches: number;
    /** Times that it was forgotten and has joined as a new replica. */
    rejoins: number;
    /** Dead replicas folded. */
    folds: number;
    /** Own jobs and calls that run. */
    jobs: number;
    /** Functions that run here. */
    runs: number;
    /** What the program has not taken of jobs and events. */
    itemsWaiting: number;
    /** Bytes of jobs, answers and events that peers have not acknowledged. */
    jobBytesQueued: number;
    /** Events of peers that nobody listens to here. */
    eventsUnheard: number;
    /** Bytes of messages that came, by what they are for. */
    trafficIn: Traffic;
    /** The same of those that it has sent. */
    trafficOut: Traffic;
    /** Names the set of writes that it has: two nodes with the same have the same. */
    context: string;
    /** Of the whole state; null while it is not known. */
    hash: string | null;
    /** How far the clock that orders writes is ahead of the machine's, in ms. */
    clockLeadMs: number;
    /** Open connections, those in their handshake included. */
    connections: number;
    /** Connections that have passed their handshake, so far. */
    handshakes: number;
    /** Connections made with a secret or certificate that is not the preferred one any more. */
    outdated: number;
    /** Bytes that came on the network. */
    bytesIn: number;
    /** Bytes that the network has taken. */
    bytesOut: number;
    /** Given to connections and not taken by the network yet. */
    bytesQueued: number;
    /** Frames that came. */
    framesIn: number;
    /** Frames that were sent. */
    framesOut: number;
    /** Times the event loop was woken. */
    rings: number;
    /** Events and warnings that the program did not get. */
    eventsDropped: number;
    /** Connections that ended before their handshake, by code. */
    refused: Record<string, number>;
    /** Own jobs and calls, so far. */
    jobsAsked: number;
    /** What became of them, on all nodes asked. */
    outcomes: Record<Outcome['status'], number>;
    /** How long those took that have ended. */
    jobMs: Histogram;
    /** Decoded values that reads are served from. */
    cachedKeys: number;
    /** Reads that were. */
    cacheHits: number;
    /** Reads that were not. */
    cacheMisses: number;
    /** One of each peer. */
    links: LinkStats[];
  }

  interface Traffic {
    /** Writes, as they are made. */
    writes: number;
    /** What brings a node up to date. */
    feeds: number;
    /** Heartbeats, with what each node has. */
    digests: number;
    /** Jobs, calls and events. */
    jobs: number;
    /** Whatever else nodes say. */
    other: number;
  }

  interface Histogram {
    /** Each count is of those that took longer than the bound before and at most the one at its place. */
    bounds: number[];
    /** One more than bounds: those that took longer than the last. */
    counts: number[];
    /** How long all of them took together. */
    sum: number;
  }

  /** How a peer stands to this node, at its last word. */
  interface LinkStats {
    /** Of the peer. */
    id: string;
    /** As it shows itself to people. */
    name: string;
    /** `busy` while its event loop does not turn. */
    state: 'up' | 'busy';
    /** For how many ms its event loop has not turned. */
    busyFor: number;
    /** How many ms a message took to it and back; null before that was measured. */
    rttMs: number | null;
    /** How many writes this node has of which the peer has not said that it has them. */
    lag: number;
    /** For how many ms it has lacked some of them. It speaks once a second: less than that means little. */
    lagMs: number;
    /** Whether it has the same writes. */
    sameContext: boolean;
    /** If so, whether its state is the same; null if one of the two is not known. */
    sameHash: boolean | null;
    /** How far its clock is ahead of this machine's; null before that was measured. */
    clockAheadMs: number | null;
    /** Given to its connection and not taken by the network yet. */
    queueBytes: number;
    /** How often it was brought up to date by this node. */
    catchUps: number;
    /** How far it is in bringing this node up to date; null if it does not. */
    catchingUp: CatchUp | null;
    /** Bytes of messages of its since it came. */
    bytesIn: number;
    /** Bytes of messages to it. */
    bytesOut: number;
  }

  /** How far a node is in being brought up to date: first everything comes, then it is merged. */
  interface CatchUp {
    /** For how many ms it has gone on. */
    ms: number;
    /** What has come. How much there will be nobody knows before the end. */
    bytes: number;
    /** Paths of which that tells. */
    paths: number;
    /** Of these paths; 0 until all have come. */
    merged: number;
  }

  /** The address a node listens on, as Node.js's `server.address()`. */
  interface ListeningAddress {
    /** An IP address. */
    address: string;
    /** `IPv4` or `IPv6`. */
    family: string;
    /** Also where any that is free was asked for. */
    port: number;
  }

  /** An error with a stable `code`: ours begin with `ERR_`, the system's are as Node.js has them. */
  interface CodedError extends Error {
    /** What went wrong, for programs. */
    code: string;
    /** What the system has refused. */
    syscall?: string;
    /** Whose connection it is about. */
    address?: string;
    /** Whose connection it is about. */
    port?: number;
    /** The id of the peer that it is about. */
    peer?: string;
  }

  interface Events {
    /** This node listens. */
    listening: [address: ListeningAddress];
    /** The moment of the callback. */
    ready: [];
    /** A peer is there: its name in `connections`. */
    connect: [address: string];
    /** A peer is gone: its former name in `connections`, and why. */
    disconnect: [address: string, code: string];
    /** This node cannot listen. */
    error: [error: CodedError];
    /** Something that was handled: a bad message, a skewed clock. */
    warning: [warning: CodedError];
    /** The end of `close()`. */
    close: [];
  }

  /**
   * A node that asks all others: the drop-in successor of partition.io's.
   *
   * ```js
   * const { Servent } = require('collective-io');
   *
   * const servent = new Servent();
   * servent.listen(8888);
   * servent.connect(8888, 'another.host');
   * const worker = servent.createWorker('random', (max, callback) => {
   *   callback(null, Math.floor(Math.random() * max));
   * });
   * worker.distribute((job) => {
   *   job.on('data', (number) => console.log(number));
   *   job.run(1000);
   * });
   * ```
   *
   * Its own events are those of {@link Servent.Events}. Listeners of all others get what peers send
   * by `broadcast` and `peer.emit`, as `(peer, ...args)`.
   *
   * It keeps the process alive from `listen` or `connect` on, and while own jobs or calls run.
   */
  class Servent extends EventEmitter {
    /**
     * @param options With a `node` it stands on that one and shares its mesh; `close()` then leaves
     *   the node open.
     * @throws {TypeError} `ERR_INVALID_ARGUMENT` for bad and unknown options.
     */
    constructor(options?: Servent.Options | Guest | null);

    /** 24 upper-case hexadecimal digits, another one for each servent. */
    readonly id: string;
    /** The node that it stands on, in today's interface. */
    readonly node: Node;
    /** The peers that are there, by id. */
    readonly peers: Readonly<Record<string, Peer>>;
    /** Whether it listens. */
    readonly listening: boolean;

    /** Where it listens, null if it does not. */
    address(): ListeningAddress | null;

    /**
     * Listens. Without a host on 127.0.0.1, without a port on any that is free. What the network has
     * against it comes as the event `error`; then it may be called again, from the listener too.
     *
     * @param backlog Ignored: the system's is as large as can be.
     * @param callback A listener of `listening`, for once.
     * @throws {TypeError} `ERR_INVALID_ARGUMENT`; an `Error` `ERR_INVALID_STATE` if it listens.
     */
    listen(port?: number | string | null, host?: string | null, backlog?: number | null, callback?: () => void): this;
    listen(port: number | string | null, host: string, callback?: () => void): this;
    listen(port: number | string | null, backlog: number, callback?: () => void): this;
    listen(port: number | string | null, callback?: () => void): this;
    listen(callback: () => void): this;
    listen(address: Address & { backlog?: number }, callback?: () => void): this;

    /**
     * Connects to a node, and through it to every node that it knows, and keeps the connection. If
     * that fails there is one event `error`, and it goes on trying.
     *
     * @param callback Is called once, when the address has led to a peer.
     * @throws {TypeError} `ERR_INVALID_ARGUMENT`
     */
    connect(port: number | string, host?: string | null, callback?: (peer: Peer) => void): this;
    connect(port: number | string, callback?: (peer: Peer) => void): this;
    connect(address: Address, callback?: (peer: Peer) => void): this;

    /**
     * Makes a worker: its function does this node's part of each job of this name, whichever node
     * runs it. Another of the same name takes its place.
     *
     * @param func Gets the parameters of the job and, last, a `callback(error, data)`; or it returns
     *   a promise. `this` is an object that inherits from the worker and has `signal`, `deadline` and
     *   `caller`. What it throws is this node's error. A function that neither calls back nor
     *   returns a promise never answers. Without a function this node only runs jobs, and has the
     *   outcome `no-worker` in each.
     */
    createWorker<Args extends unknown[] = any[], R = any>(name: string, func?: Worker.Func<Args, R>): Worker<Args, R>;
    createWorker<Args extends unknown[], R>(
      name: string,
      func: (this: Worker.Call, ...params: Args) => PromiseLike<R>,
    ): Worker<Args, R>;

    /**
     * Exposes a function to all peers, those of later too; or the functions of an object, and of the
     * objects in it, as `name.member`. What has the name already is replaced.
     *
     * @throws {TypeError} `ERR_INVALID_NAME`, `ERR_INVALID_ARGUMENT`
     */
    expose(name: string, func: Exposed.Func): void;
    expose(name: string, functions: Exposed.Functions): void;
    expose(name: string, functions: object): void;

    /**
     * Calls a function that peers expose, on each of them.
     *
     * @param callback Is called once for each peer.
     * @returns How many were asked.
     */
    broadcastInvoke(method: string, params?: readonly unknown[] | null, callback?: Servent.BroadcastCallback | null, options?: Servent.CallOptions): number;
    broadcastInvoke(method: string, callback: Servent.BroadcastCallback, options?: Servent.CallOptions): number;

    /**
     * Fires an event on the servents of all peers, there with the peer that stands for this node as
     * first argument.
     *
     * @param args Whatever JSON can hold; `undefined` arrives as `null`.
     * @returns To how many it was sent: not to those for whom too much waits already.
     * @throws {TypeError} `ERR_RESERVED_EVENT`, `ERR_INVALID_NAME`, `ERR_INVALID_VALUE`
     */
    broadcast(event: string, ...args: unknown[]): number;

    /** Ends the connection to a peer, for good. Whether there was one of this id. */
    removePeer(id: string): boolean;

    /** Counters of this node: connections, jobs, bytes. */
    stats(): Stats;

    /**
     * Goes on with other secrets, of which the first is used and all are accepted, or certificates,
     * whose files are read again. Connections that have to be are made anew, without loss; those that
     * are not accepted any more end. To replace a secret take each step on all nodes before the next:
     * `[old, new]`, `[new, old]`, `new`.
     *
     * @throws `ERR_INVALID_SECRET`, `ERR_INVALID_CERTIFICATE`; `ERR_INVALID_STATE` if this node was
     *   opened with something else.
     */
    rotate(options: Collective.RotateOptions): void;

    /** Lets this servent keep the process alive while it listens or is connected, as it does at first. */
    ref(): this;
    /** Lets the process end although this servent listens. Own jobs and calls still keep it. */
    unref(): this;

    /**
     * Takes no new work, waits up to 5 s for own jobs and for functions that run here, says goodbye
     * and frees everything. Can be called again.
     */
    close(callback?: () => void): Promise<void>;
    /** Frees everything at once; own jobs are aborted. Can be called again, also to cut `close` short. */
    destroy(): Promise<void>;

    on<K extends keyof Servent.Events>(event: K, listener: (...args: Servent.Events[K]) => void): this;
    on<E extends string | symbol>(event: Servent.Other<E>, listener: Servent.Listener): this;
    once<K extends keyof Servent.Events>(event: K, listener: (...args: Servent.Events[K]) => void): this;
    once<E extends string | symbol>(event: Servent.Other<E>, listener: Servent.Listener): this;
    addListener<K extends keyof Servent.Events>(event: K, listener: (...args: Servent.Events[K]) => void): this;
    addListener<E extends string | symbol>(event: Servent.Other<E>, listener: Servent.Listener): this;
    prependListener<K extends keyof Servent.Events>(event: K, listener: (...args: Servent.Events[K]) => void): this;
    prependListener<E extends string | symbol>(event: Servent.Other<E>, listener: Servent.Listener): this;
    prependOnceListener<K extends keyof Servent.Events>(event: K, listener: (...args: Servent.Events[K]) => void): this;
    prependOnceListener<E extends string | symbol>(event: Servent.Other<E>, listener: Servent.Listener): this;
  }

  namespace Servent {
    interface Options extends Collective.Options {
      /** Where others reach this node, if that is not where it listens: `'host:port'` or an object. */
      advertise?: string | Address;
    }

    /** Events of the servent itself. Peers cannot send them. */
    interface Events {
      /** This node listens. */
      listening: [];
      /** A peer is there: connected, or back. */
      peer: [peer: Peer];
      /** A peer is gone, and why. */
      peerLeave: [peer: Peer, code: string];
      /** This node cannot listen, or a `connect` has failed for the first time. */
      error: [error: CodedError];
      /** Something that was handled: a bad message, a function that answered twice. */
      warning: [warning: CodedError];
      /** The end of `close()`. */
      close: [];
    }

    /** A name that is no event of the servent itself. */
    type Other<E> = E extends keyof Events ? never : E;

    /** Gets what a peer sends. */
    type Listener = (peer: Peer, ...args: any[]) => void;

    interface CallOptions {
      /** In how many ms the answer must be here. Default 30000. */
      timeout?: number;
      /** Gives up when it is aborted; the function's `this.signal` is aborted too. */
      signal?: AbortSignal;
    }

    /**
     * @param error `null`, or what went wrong. `code` is a number of JSON-RPC or of the function,
     *   or one of our codes, such as `ERR_PEER_LOST`.
     * @param id Of this call, the same as `this.id` in the function.
     */
    type CallCallback<R = any> = (error: CallError | null, result: R, id: string) => void;

    /** @param origin The peer that answered. */
    type BroadcastCallback<R = any> = (error: CallError | null, result: R, id: string, origin: Origin) => void;

    interface CallError {
      /** For people. */
      message: string;
      /** A number as in JSON-RPC, or a text of ours. */
      code: number | string;
    }
  }

  /**
   * Another node, seen from this one. A peer that goes and comes back is the same object.
   *
   * Its one event is `end`, when it goes: `emit` is for the other side.
   */
  class Peer extends EventEmitter {
    private constructor();

    /** The `id` of its servent. */
    readonly id: string;
    /** Where it listens, if it does, as far as it is known. */
    readonly host: string | undefined;
    /** Where it listens, if it does, as far as it is known. */
    readonly port: number | undefined;
    /** Whether it is gone. */
    readonly destroyed: boolean;
    /** The servent of this node. */
    readonly servent: Servent;
    /** For how many ms its event loop has not turned, 0 while it does: alive, but busy. */
    readonly busyFor: number;

    /**
     * Fires an event on its servent, there with the peer that stands for this node as first argument.
     *
     * @returns Whether it was sent: not if the peer is gone, or too much waits for it.
     * @throws {TypeError} `ERR_RESERVED_EVENT`, `ERR_INVALID_NAME`, `ERR_INVALID_VALUE`
     */
    emit(event: string | symbol, ...args: unknown[]): boolean;

    /** The same, or a call whose result nobody waits for, as a message. Whether it was sent. */
    send(message: Peer.Message): boolean;

    /**
     * Calls a function that the peer exposes.
     *
     * @returns A promise if there is no callback. It is rejected with an `Error` that has the same
     *   `message` and `code`.
     */
    invoke<R = any>(method: string, params?: readonly unknown[] | null, callback?: null, options?: Servent.CallOptions): Promise<R>;
    invoke<R = any>(method: string, params: readonly unknown[] | null | undefined, options: Servent.CallOptions): Promise<R>;
    invoke<R = any>(method: string, params: readonly unknown[] | null | undefined, callback: Servent.CallCallback<R>, options?: Servent.CallOptions): void;
    invoke<R = any>(method: string, callback: Servent.CallCallback<R>, options?: Servent.CallOptions): void;

    /** Exposes a function, or an object of functions, to this peer alone: see {@link Servent.expose}. */
    expose(name: string, func: Exposed.Func): void;
    expose(name: string, functions: Exposed.Functions): void;
    expose(name: string, functions: object): void;

    /** Ends the connection; neither side dials the other again. Whether there was one. */
    destroy(): boolean;

    toString(): string;
    toJSON(): { id: string; host?: string; port?: number; destroyed: boolean };
  }

  namespace Peer {
    type Message =
      | { type: 'event'; name: string; args?: unknown[] }
      | { type: 'rpc'; method: string; params?: unknown[] }
      | { type: 'rpc'; data: { method: string; params?: unknown[] } };
  }

  /** Work of one kind: the function that does this node's part, and jobs that have all nodes do it. */
  class Worker<Args extends unknown[] = any[], R = any> {
    /** The same as {@link Servent.createWorker}. */
    constructor(servent: Servent, name: string, func?: Worker.Func<Args, R>);

    /** That of its jobs. */
    readonly name: string;
    /** Whose part it does. */
    readonly servent: Servent;
    /** What does this node's part. It may be replaced. */
    func: Worker.Func<Args, R> | undefined;
    /** Jobs that run, by id. */
    readonly incomplete: Readonly<Record<string, Job<Args, R>>>;

    /** Makes a job, to be run once. The callback gets it too, before this returns. */
    distribute(callback?: (job: Job<Args, R>) => void): Job<Args, R>;

    toString(): string;

    /** Kept like `Collective.TYPES`. */
    static readonly REQUEST_NAMESPACE: 'PIO::REQUEST::';
    /** Kept like `Collective.TYPES`. */
    static readonly RESPONSE_NAMESPACE: 'PIO::RESPONSE::';
  }

  namespace Worker {
    type Func<Args extends unknown[], R> = any[] extends Args
      ? (this: Call, ...args: any[]) => unknown
      : (this: Call, ...args: [...params: Args, callback: Callback<R>]) => void | PromiseLike<R>;

    /** The first answer counts; a later one is a `warning`. A true `error` is this node's error. */
    type Callback<R = any> = (error?: unknown, data?: R) => void;

    /** `this` in a worker's function: an object of its own for each call. */
    interface Call extends Worker {
      /** Aborted when nobody waits for the answer any more. */
      readonly signal: AbortSignal;
      /** Until when it must have answered, in ms since 1970. */
      readonly deadline: number;
      /** The node that runs the job. */
      readonly caller: Origin;
    }
  }

  /**
   * Asks every node that is alive, this one too. It ends when each has answered, failed or gone, at
   * the latest when its time is over.
   *
   * Its events come after `run` has returned, in the async context of `run`; nothing after `end`.
   */
  class Job<Args extends unknown[] = any[], R = any> extends EventEmitter<Job.Events<R>> {
    private constructor();

    /** 24 upper-case hexadecimal digits. */
    readonly id: string;
    /** Whose job it is. */
    readonly worker: Worker<Args, R>;
    /** How many nodes were asked, this one included. */
    readonly peers: number;
    /** How many of them have answered or failed. */
    readonly responses: number;

    /**
     * Limits its time: from `run` on, or from now on if it runs. Default 10 minutes.
     *
     * @throws {TypeError} `ERR_INVALID_ARGUMENT`
     */
    setTTL(ms: number): this;

    /**
     * Asks, once.
     *
     * @param params Whatever JSON can hold; `undefined` arrives as `null`.
     * @throws `ERR_INVALID_STATE` the second time, `ERR_INVALID_VALUE`, `ERR_VALUE_TOO_LARGE`,
     *   `ERR_TOO_DEEP`, `ERR_BUSY`, `ERR_CLOSED`; then nothing was sent.
     */
    run(...params: Args): this;

    /** Ends it now: who has not answered is missing. */
    end(): this;
    /** The same; functions that still run get the reason as `this.signal.reason`. */
    abort(reason?: unknown): this;

    toString(): string;
  }

  namespace Job {
    interface Events<R = any> {
      /** It was sent. */
      start: [];
      /** A node has answered. */
      data: [value: R, origin: Origin];
      /** A node has failed. Without a listener it is in the summary alone. */
      error: [error: NodeError, origin: Origin];
      /** It is over. */
      end: [summary: Summary];
    }

    interface Summary {
      /** All nodes have answered, failed or gone; its time was over; the program has ended it. */
      reason: 'complete' | 'timeout' | 'aborted';
      /** How many nodes were asked. */
      asked: number;
      /** Who has answered. */
      answered: Origin[];
      /** Who has failed or gone. */
      failed: Failure<'error' | 'no-worker' | 'lost' | 'busy'>[];
      /** Who had not answered at the end. */
      missing: Failure<'timeout' | 'aborted'>[];
      /** How long it took. */
      ms: number;
    }

    interface Failure<Status extends string = string> extends Origin {
      /** As of an {@link Collective.Outcome}. */
      status: Status;
      /** Why there is no value. */
      error: NodeError;
    }
  }

  /** A node. */
  interface Origin {
    /** Its id. */
    readonly node: string;
    /** Not there for the own node. */
    readonly peer: Peer | undefined;
  }

  /** What went wrong on a node. */
  interface NodeError extends Error, Origin {
    /** That of the function's error, if it had one; else ours. */
    code?: string | number;
    /** Whether the function has run. */
    executed: 'yes' | 'no' | 'unknown';
  }

  /** `this` in an exposed function. What the function returns, or its promise gives, is sent too. */
  interface Exposed {
    /** Of the call; its callback gets the same. */
    readonly id: string;
    /** The name that was called. */
    readonly method: string;
    /** What it was called with. */
    readonly params: any[];
    /** Who calls. */
    readonly peer: Peer;
    /** Aborted when the caller does not wait any more. */
    readonly signal: AbortSignal;
    /** Until when it must have answered, in ms since 1970. */
    readonly deadline: number;

    /** Sets a member of the result. */
    set(key: string, value: unknown): this;
    /** Sets a member of the result. */
    add(key: string, value: unknown): this;
    /** A member of the result. */
    get(key: string): any;
    /** Sends the members that were set, once; with two arguments sets one first. */
    send(): this;
    send(key: string, value: unknown): this;
    /** Sends a value instead. */
    send(value: unknown): this;
    /** The same as `send`. */
    end: Exposed['send'];
    /** Sends an error. The default code is 1000. */
    error(message: string, code?: number | string): this;
    /** Calls a function on all peers: see {@link Servent.broadcastInvoke}. */
    broadcast(method: string, params?: readonly unknown[], callback?: Servent.BroadcastCallback): this;
  }

  namespace Exposed {
    type Func = (this: Exposed, ...params: any[]) => unknown;

    /** What is neither a function nor an object is left out. */
    interface Functions {
      [name: string]: Func | Functions | string | number | boolean | bigint | symbol | null | undefined;
    }
  }
}

export = Collective;
