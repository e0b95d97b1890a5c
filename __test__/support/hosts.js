'use strict';

const { execFile, spawnSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');
const { promisify } = require('node:util');

const exec = promisify(execFile);

const HOSTS = 3;

/**
 * Three hosts on one machine, each a network namespace of Linux, on one network: a fourth namespace
 * with a bridge. What is done to them is done to nothing else.
 */
class Hosts {
  #names;
  #switch;
  #addresses;
  #secret = randomBytes(32).toString('base64');
  #hasLoss = false;

  /** Why this machine has none; nothing if it does. */
  static missing() {
    if (process.platform !== 'linux') return 'only Linux has network namespaces';
    if (process.getuid() !== 0) return 'only root may make network namespaces';
    const name = `collective-${process.pid}-try`;
    const tried = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
    if (tried.status !== 0) return `\`ip netns add\` fails: ${tried.error?.message ?? tried.stderr.trim()}`;
    const veth = spawnSync('ip', ['-n', name, 'link', 'add', 'name', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1'], { encoding: 'utf8' });
    spawnSync('ip', ['netns', 'del', name]);
    return veth.status === 0 ? undefined : `there is no veth: ${veth.stderr.trim()}`;
  }

  /** @param ends has the method `after` of a test context */
  static async open(ends) {
    const hosts = new Hosts();
    ends.after(() => hosts.#close());
    await hosts.#make();
    return hosts;
  }

  constructor() {
    const name = (what) => `collective-${process.pid}-${what}`;
    this.#switch = name('switch');
    this.#names = Array.from({ length: HOSTS }, (_, host) => name(host));
    this.#addresses = this.#names.map((_, host) => `10.77.0.${host + 1}`);
  }

  /** What nodes there must be opened with. */
  get options() {
    return { secret: this.#secret };
  }

  /** As `linkedMesh` gives, for nodes of which each third is on one host. */
  mesh(ports) {
    const all = ports.map((port, index) => ({ host: this.#addresses[index % HOSTS], port }));
    const alls = all.map((own) => [own, ...all.filter((other) => other !== own)]);
    return { alls, links: [], between: () => [] };
  }

  /** How `fork` starts a node there. */
  launcher(index) {
    return { execPath: 'ip', execArgv: ['netns', 'exec', this.#names[index % HOSTS], process.execPath] };
  }

  /**
   * Something goes wrong with a network, and is mended.
   *
   * @param {(below: number) => number} random
   * @param {(kind: string, text: string) => void} tell
   */
  async fault(random, tell) {
    const host = random(HOSTS);
    const other = (host + 1 + random(HOSTS - 1)) % HOSTS;
    const ms = 200 + random(3000);
    const name = this.#names[host];
    const during = async (kind, text, begin, end) => {
      tell(kind, `host ${host}: ${text} for ${ms} ms`);
      // Another fault may have taken the same thing away.
      await this.#try(begin);
      await sleep(ms);
      await this.#try(end);
    };
    const link = (state) => ['ip', '-n', name, 'link', 'set', 'eth0', state];
    const route = (verb) => ['ip', '-n', name, 'route', verb, 'blackhole', `${this.#addresses[other]}/32`];
    const queue = (verb, ...rest) => ['tc', '-n', name, 'qdisc', verb, 'dev', 'eth0', 'root', ...rest];
    switch (random(this.#hasLoss ? 4 : 3)) {
      case 0:
        return during('interface down', 'its interface is down', link('down'), link('up'));
      case 1:
        return during('one way', `nothing of its gets to host ${other}`, route('add'), route('del'));
      case 2:
        return during('narrow', 'its link has 400 kbit/s',
          queue('replace', 'tbf', 'rate', '400kbit', 'burst', '16k', 'latency', '400ms'), queue('del'));
      default:
        return during('loss', 'it loses a tenth of what it sends', queue('replace', 'netem', 'loss', '10%'), queue('del'));
    }
  }

  /** Puts right what faults have left. */
  async heal() {
    for (const name of this.#names) {
      await this.#try(['ip', '-n', name, 'link', 'set', 'eth0', 'up']);
      await this.#try(['tc', '-n', name, 'qdisc', 'del', 'dev', 'eth0', 'root']);
      for (const address of this.#addresses) {
        await this.#try(['ip', '-n', name, 'route', 'del', 'blackhole', `${address}/32`]);
      }
    }
  }

  /** Whether this machine can lose packets. */
  get hasLoss() {
    return this.#hasLoss;
  }

  async #make() {
    const within = (name, ...args) => exec('ip', ['-n', name, ...args]);
    await exec('ip', ['netns', 'add', this.#switch]);
    await within(this.#switch, 'link', 'add', 'name', 'bridge0', 'type', 'bridge');
    await within(this.#switch, 'link', 'set', 'bridge0', 'up');
    for (const [host, name] of this.#names.entries()) {
      await exec('ip', ['netns', 'add', name]);
      await within(this.#switch, 'link', 'add', 'name', `port${host}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
      await within(this.#switch, 'link', 'set', `port${host}`, 'master', 'bridge0', 'up');
      await within(name, 'addr', 'add', `${this.#addresses[host]}/24`, 'dev', 'eth0');
      await within(name, 'link', 'set', 'eth0', 'up');
      await within(name, 'link', 'set', 'lo', 'up');
    }
    const netem = ['tc', '-n', this.#names[0], 'qdisc', 'add', 'dev', 'eth0', 'root', 'netem', 'loss', '1%'];
    this.#hasLoss = await this.#try(netem);
    await this.heal();
  }

  async #try([command, ...args]) {
    return exec(command, args).then(() => true, () => false);
  }

  async #close() {
    for (const name of [...this.#names, this.#switch]) await this.#try(['ip', 'netns', 'del', name]);
  }
}

module.exports = { Hosts };
