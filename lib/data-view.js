'use strict';

const { inspect } = require('node:util');

const { codedError } = require('./errors.js');

/** What `shape` says of a key; an array is `SHAPE_ARRAY` plus its length. */
const SHAPE_ABSENT = 0;
const SHAPE_SCALAR = 1;
const SHAPE_OBJECT = 2;
const SHAPE_ARRAY = 3;

/**
 * The objects behind `collective.data`: every object and array of the document as a Proxy that
 * reads through to it and writes what is assigned. Nothing is copied before it is looked at.
 *
 * @typedef {object} Document
 * @property {(key: string | null) => number} shape
 * @property {(key: string) => number} keptShape the same, kept for the next time
 * @property {(key: string | null) => string[]} names of the members of an object
 * @property {(key: string) => unknown} get
 * @property {(key: string | null) => unknown} peek
 * @property {(key: string, value: unknown) => void} set
 * @property {(key: string) => void} delete
 */
class DataViews {
  #document;
  /** One view a path, for as long as somebody holds it, so that `data.a === data.a`. */
  #views = new Map();
  #gone = new FinalizationRegistry((id) => {
    if (this.#views.get(id)?.deref() === undefined) this.#views.delete(id);
  });

  /** @param {Document} document */
  constructor(document) {
    this.#document = document;
    this.root = this.#make(null, false);
  }

  /** The view of the object or array at `key`. */
  at(key, isArray) {
    // A path that turns from object to array gets another view: a Proxy can't change its mind.
    const id = isArray ? `[${key}` : `{${key}`;
    let view = this.#views.get(id)?.deref();
    if (view === undefined) {
      view = this.#make(key, isArray);
      this.#views.set(id, new WeakRef(view));
      this.#gone.register(view, id);
    }
    return view;
  }

  #make(key, isArray) {
    const target = isArray ? [] : {};
    const plain = () => this.#document.peek(key) ?? (isArray ? [] : {});
    // Inspecting a Proxy looks at its target and nowhere else.
    Object.defineProperty(target, inspect.custom, { value: plain, configurable: true });
    return new Proxy(target, new ViewHandler(this, this.#document, key, isArray, plain));
  }
}

/**
 * The traps. Names of a view are strings; its symbols are those of a plain object or array. A name
 * with a dot can stand inside a value but can't be a key, so it can be read here and not written.
 */
class ViewHandler {
  #views;
  #document;
  #key;
  #isArray;
  #plain;

  constructor(views, document, key, isArray, plain) {
    this.#views = views;
    this.#document = document;
    this.#key = key;
    this.#isArray = isArray;
    this.#plain = plain;
  }

  get(target, name, receiver) {
    if (typeof name === 'string') {
      if (this.#isArray && name === 'length') return this.#length();
      const value = this.#member(name, false);
      if (value !== undefined) return value;
      // One crossing instead of one for each member. Not an own property, so nobody else sees it.
      if (name === 'toJSON') return this.#plain;
    }
    return Reflect.get(Object.getPrototypeOf(target), name, receiver);
  }

  set(_target, name, value) {
    if (typeof name !== 'string') return false;
    if (this.#isArray && name === 'length') return this.#setLength(value);
    this.#document.set(this.#writable(name), value);
    return true;
  }

  defineProperty(target, name, descriptor) {
    return 'value' in descriptor && this.set(target, name, descriptor.value);
  }

  deleteProperty(_target, name) {
    if (typeof name !== 'string') return true;
    if (this.#isArray && name === 'length') return false;
    if (this.#has(name)) this.#document.delete(this.#writable(name));
    return true;
  }

  has(target, name) {
    if (typeof name === 'string' && this.#has(name)) return true;
    return Reflect.has(Object.getPrototypeOf(target), name);
  }

  ownKeys() {
    if (!this.#isArray) return this.#document.names(this.#key);
    const names = Array.from({ length: this.#length() }, (_, index) => String(index));
    names.push('length');
    return names;
  }

  getOwnPropertyDescriptor(_target, name) {
    if (typeof name !== 'string') return undefined;
    if (this.#isArray && name === 'length') {
      return { value: this.#length(), writable: true, enumerable: false, configurable: false };
    }
    const value = this.#member(name, true);
    if (value === undefined) return undefined;
    return { value, writable: true, enumerable: true, configurable: true };
  }

  setPrototypeOf(target, prototype) {
    return prototype === Object.getPrototypeOf(target);
  }

  preventExtensions() {
    return false;
  }

  /** @param walking whether somebody is listing members: then the cache is left alone */
  #member(name, walking) {
    if (!isSegment(name)) return this.#memberOfValue(name);
    const key = this.#child(name);
    const shape = walking ? this.#document.shape(key) : this.#document.keptShape(key);
    if (shape >= SHAPE_OBJECT) return this.#views.at(key, shape >= SHAPE_ARRAY);
    if (shape === SHAPE_SCALAR) return walking ? this.#document.peek(key) : this.#document.get(key);
    return this.#isHole(name) ? null : undefined;
  }

  #has(name) {
    if (!isSegment(name)) return this.#memberOfValue(name) !== undefined;
    return this.#document.shape(this.#child(name)) !== SHAPE_ABSENT || this.#isHole(name);
  }

  /** A member that only stands in a value that was SET whole: the top has none, keys are split. */
  #memberOfValue(name) {
    if (this.#key === null) return undefined;
    const value = this.#document.peek(this.#key);
    return Object.hasOwn(Object(value), name) ? value[name] : undefined;
  }

  #isHole(name) {
    return this.#isArray && /^(0|[1-9]\d*)$/.test(name) && Number(name) < this.#length();
  }

  #length() {
    return Math.max(0, this.#document.shape(this.#key) - SHAPE_ARRAY);
  }

  /** Shortening replaces the array, as no other write takes elements away. */
  #setLength(length) {
    const now = this.#length();
    if (!Number.isInteger(length) || length < 0) throw new RangeError('Invalid array length');
    if (length < now) this.#document.set(this.#key, this.#plain().slice(0, length));
    if (length > now) this.#document.set(this.#child(String(length - 1)), null);
    return true;
  }

  #writable(name) {
    if (isSegment(name)) return this.#child(name);
    throw codedError('ERR_INVALID_KEY', `${inspect(name)} cannot be a part of a key`);
  }

  #child(name) {
    return this.#key === null ? name : `${this.#key}.${name}`;
  }
}

function isSegment(name) {
  return !name.includes('.') && name.isWellFormed();
}

module.exports = { DataViews, SHAPE_ABSENT, SHAPE_SCALAR, SHAPE_OBJECT, SHAPE_ARRAY };
