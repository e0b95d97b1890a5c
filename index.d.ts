import { EventEmitter } from 'node:events';

/**
 * A nested object that all processes of a cluster share: the drop-in successor of collective.js.
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
   * @param local Where this node listens. Anything but this machine's loopback needs
   *   {@link Collective.Options.insecure}, else the event `error` tells `ERR_INSECURE_BIND`.
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

  /** `new Collective.Collective()`, for those who like to destructure. */
  static readonly Collective: typeof Collective;
  /** The same, for `import` through a bundler. */
  static readonly default: typeof Collective;
  /** The version of this package. */
  static readonly version: string;

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
   *   `ERR_KEY_TOO_LONG`, `ERR_TOO_DEEP`, `ERR_VALUE_TOO_LARGE`, `ERR_CLOSED`.
   */
  set(key: string, value: unknown, operation?: Collective.Operation | null): void;

  /**
   * The value at a dotted key, an object for an inner node, `undefined` where there is none.
   *
   * An object is this node's decoded copy, shared until something in it changes: change it only to
   * `set` it again.
   */
  get<T = any>(key: string): T | undefined;

  /** Counters of this node: connections, bytes, writes, memory. */
  stats(): Collective.Stats;

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
    host?: string;
    port: number | string;
  }

  interface Operations {
    readonly SET: 0;
    readonly INCREMENT: 1;
    readonly DELETE: 2;
  }

  type Operation = Operations[keyof Operations];

  /** What `data` holds: whatever JSON can. */
  type Data = Record<string, any>;

  /** A live peer. */
  interface Connection {
    /** Its identity, another one after each start. */
    readonly id: string;
    readonly host: string;
    readonly port: number;
  }

  interface Options {
    /** Listen on any host in the clear. Default: `COLLECTIVE_INSECURE=1` in the environment. */
    insecure?: boolean;
    /** Nodes of another cluster name are refused. Default `'collective'`. */
    cluster?: string;
    /** Must be equal on all nodes. */
    limits?: Limits;
    /** Ready at the latest so many ms after listening. Default 5000. */
    readyTimeout?: number;
    /** How many ms a node may be away and lose nothing. Default 30 days. */
    forgetAfter?: number;
    /** How often, in ms, peers hear from this node. Default 1000. */
    heartbeatInterval?: number;
    /** A peer that was silent for so many ms is lost. Default 5000. */
    lossTimeout?: number;
  }

  interface Limits {
    /** Bytes of a key. Default 4096. */
    keyBytes?: number;
    /** Parts of a key plus levels of its value. Default 64. */
    depth?: number;
    /** Bytes of a value as JSON text. Default 1 MiB. */
    valueBytes?: number;
  }

  interface Stats {
    /** Decoded values that reads are served from. */
    cachedKeys: number;
    [name: string]: any;
  }

  /** The address a node listens on, as Node.js's `server.address()`. */
  interface ListeningAddress {
    address: string;
    family: string;
    port: number;
  }

  /** An error with a stable `code`: ours begin with `ERR_`, the system's are as Node.js has them. */
  interface CodedError extends Error {
    code: string;
    syscall?: string;
    address?: string;
    port?: number;
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
}

export = Collective;
