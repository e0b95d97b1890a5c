/* Elements. Text goes in as text: there is no way from a value to HTML. */

const SVG = 'http://www.w3.org/2000/svg';

/** Makes an element with attributes and children, which are elements or texts. */
export function make(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in a picture. */
export function draw(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes = {}, children) {
  set(element, attributes);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Sets attributes that have changed; null takes one away. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? '' : value);
  }
}

/** Sets a text that has changed. Whether it had. */
export function write(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}

/**
 * Makes the children of an element those of a list, one for each item. A child stays the same, with
 * its focus, as long as there is an item of its key.
 */
export function keep(parent, items, { key, create, update }) {
  parent.kept ??= new Map();
  const keys = new Set(items.map(key));
  for (const [id, child] of parent.kept) {
    if (keys.has(id)) continue;
    child.remove();
    parent.kept.delete(id);
  }
  let next = parent.firstChild;
  for (const item of items) {
    const id = key(item);
    let child = parent.kept.get(id);
    if (child === undefined) {
      child = create(item);
      parent.kept.set(id, child);
    }
    update(child, item);
    if (child === next) next = next.nextSibling;
    else parent.insertBefore(child, next);
  }
}
