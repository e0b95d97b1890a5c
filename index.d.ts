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
    kind: 'set';
    /** The key of the SET: above `key` if this is a piece of a larger value. */
    setAt: string;
    shape: 'scalar' | 'object' | 'array';
    /** Of an array. */
    length?: number;
    /** JSON text of what is left of it, at most 200 characters, then `…`. */
    json: string;
  }

  /** All increments of one node that count. The write is the last of them. */
  interface IncrementsThing extends ThingBase {
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
    kind: 'mark';
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
