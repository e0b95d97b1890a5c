'use strict';

/**
 * Moleculer over its TCP transporter. It has no "ask every node", so a gather is what its manual
 * would have one write: a call to each node that the registry has.
 */

const { ServiceBroker } = require('moleculer');

class Moleculer {
  constructor(local, all, callback) {
    const nodeID = nameOf(local);
    this.broker = new ServiceBroker({
      nodeID,
      logger: false,
      metrics: false,
      transporter: {
        type: 'TCP',
        options: {
          udpDiscovery: false,
          port: local.port,
          urls: all.map((address) => `tcp://${address.host}:${address.port}/${nameOf(address)}`),
        },
      },
    });
    this.broker.createService({
      name: 'echo',
      actions: { run: (context) => context.params.value },
    });
    this.others = all.map(nameOf).filter((name) => name !== nodeID);
    this.nodes = [nodeID, ...this.others];
    this.broker.start().then(() => callback(), (error) => this.onError?.(error));
  }

  /** The peers whose service is known. */
  get active() {
    const endpoints = this.broker.registry.actions.get('echo.run')?.endpoints ?? [];
    return endpoints.filter((endpoint) => this.others.includes(endpoint.id)).length;
  }

  gather(value, callback) {
    const calls = this.nodes.map((nodeID) => this.broker.call('echo.run', { value }, { nodeID }));
    Promise.all(calls).then(callback);
  }

  /** Asks one node. */
  call(address, value) {
    return this.broker.call('echo.run', { value }, { nodeID: nameOf(address) });
  }

  on(event, listener) {
    this.onError = listener;
  }
}

function nameOf({ host, port }) {
  return `n${host.replaceAll('.', '-')}-${port}`;
}

module.exports = Moleculer;
