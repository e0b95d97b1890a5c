'use strict';

const dgram = require('node:dgram');
const { once } = require('node:events');

const HEADER_BYTES = 12;
const SRV = 33;
const INTERNET = 1;
/** A response to a recursive question, which was found, or was not. */
const FOUND = 0x8580;
const NOT_FOUND = 0x8583;

/** A name server on 127.0.0.1 that knows SRV records. */
class NameServer {
  #socket = dgram.createSocket('udp4');
  /** By name: where its records point. A name that is not there does not exist. */
  services = new Map();

  static async start(t) {
    const server = new NameServer();
    await server.#listen();
    t.after(() => server.#socket.close());
    return server;
  }

  get address() {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  async #listen() {
    this.#socket.on('message', (query, { port }) => this.#socket.send(this.#answer(query), port, '127.0.0.1'));
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
  }

  #answer(query) {
    const { name, end } = readName(query, HEADER_BYTES);
    const targets = this.services.get(name);
    const header = Buffer.alloc(HEADER_BYTES);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(targets ? FOUND : NOT_FOUND, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(targets?.length ?? 0, 6);
    const question = query.subarray(HEADER_BYTES, end + 4);
    return Buffer.concat([header, question, ...(targets ?? []).map(record)]);
  }
}

/** One SRV record, for the name in the question. */
function record({ name, port }) {
  const target = Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.from([0]),
  ]);
  const fixed = Buffer.alloc(18);
  fixed.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  fixed.writeUInt16BE(SRV, 2);
  fixed.writeUInt16BE(INTERNET, 4);
  fixed.writeUInt16BE(6 + target.length, 10);
  fixed.writeUInt16BE(port, 16);
  return Buffer.concat([fixed, target]);
}

function readName(message, start) {
  const labels = [];
  let at = start;
  while (message[at] !== 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]));
    at += 1 + message[at];
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

module.exports = { NameServer };
