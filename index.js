'use strict';

const { Collective } = require('./lib/collective');
const { version } = require('./package.json');

module.exports = Collective;
module.exports.Collective = Collective;
module.exports.default = Collective;
module.exports.version = version;
