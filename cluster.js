'use strict';

const { run } = require('./lib/cluster.js');

module.exports = { run };
