'use strict';

/** A function that gives integers below its argument, the same for the same seed. */
function chance(seed) {
  let state = BigInt(seed);
  return (below) => {
    // SplitMix64.
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let mixed = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return Number((mixed ^ (mixed >> 31n)) % BigInt(below));
  };
}

/** A seed for a run that was not given one. */
function anySeed() {
  return String(Date.now() % 1e9);
}

module.exports = { chance, anySeed };
