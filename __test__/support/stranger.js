'use strict';

const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');

/** See docs/protocol.md. */
const KIND = { hello: 1, writes: 3 };
const PART_BYTES_MAX = 1 << 20;
/** More parts of the message follow. */
const MORE = 2 ** 31;
const LIMITS = [4096, 64, 1 << 20];

/**
 * A peer that a test speaks for, byte by byte: what no node of ours would say can be said.
 */
class Stranger {
  #socket;
  #replica;
  #counter = 0n;

  /** Connects, and says a hello that is accepted. One that was sent away may come again. */
  static async meet(port, replica = randomBytes(8).readBigUInt64BE()) {
    const stranger = new Stranger(net.connect(port, '127.0.0.1'), replica);
    await once(stranger.#socket, 'connect');
    stranger.#send(KIND.hello, [
      Buffer.from('CLIO'), varint(1), varint(0), varint(stranger.#replica), randomBytes(12), bytes('collective'),
      Buffer.from([0]), ...LIMITS.map(varint),
    ]);
    return stranger;
  }

  constructor(socket, replica) {
    this.#replica = replica;
    this.#socket = socket.on('error', () => {}).resume();
  }

  get isClosed() {
    return this.#socket.closed;
  }

  /** SETs a key of one segment to what these bytes say, JSON or not. */
  set(key, json) {
    this.#counter++;
    const stamp = BigInt(Date.now()) << 16n;
    const path = [varint(1), bytes(key)];
    const write = [varint(1), varint(stamp), ...path, varint(0), bytes(json), varint(0), varint(0)];
    this.#send(KIND.writes, [varint(this.#replica), varint(this.#counter), varint(0), ...write]);
  }

  leave() {
    this.#socket.destroy();
  }

  #send(kind, fields) {
    const message = Buffer.concat([Buffer.from([kind]), ...fields]);
    for (let start = 0; start < message.length; start += PART_BYTES_MAX) {
      const part = message.subarray(start, start + PART_BYTES_MAX);
      const header = Buffer.alloc(4);
      header.writeUInt32LE(part.length + (start + part.length < message.length ? MORE : 0));
      this.#socket.write(Buffer.concat([header, part]));
    }
  }
}

function bytes(content) {
  const buffer = Buffer.from(content);
  return Buffer.concat([varint(buffer.length), buffer]);
}

function varint(number) {
  const made = [];
  for (let rest = BigInt(number); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...made, Number(rest)]);
    made.push(Number(rest & 127n) | 128);
  }
}

module.exports = { Stranger };
