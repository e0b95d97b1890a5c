'use strict';

const { Collective } = require('./lib/collective');
const { Job } = require('./lib/job');
const { join } = require('./lib/join');
const { Node } = require('./lib/node');
const { observe } = require('./lib/observer');
const { Peer } = require('./lib/peer');
const { Servent } = require('./lib/servent');
const { Worker } = require('./lib/worker');
const { version } = require('./package.json');

module.exports = Collective;
module.exports.Collective = Collective;
module.exports.default = Collective;
module.exports.join = join;
module.exports.observe = observe;
module.exports.Node = Node;
module.exports.Servent = Servent;
module.exports.Peer = Peer;
module.exports.Worker = Worker;
module.exports.Job = Job;
module.exports.version = version;
