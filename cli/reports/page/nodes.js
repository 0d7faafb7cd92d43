// The nodes of the run, as the parts of the page share them. No text of dbt becomes HTML: `make`
// and `textContent` are all that writes to the page.

const data = JSON.parse(document.getElementById("data").textContent);

const columns = Object.entries(data.nodes);
const nodes = data.nodes.id.map((_, index) => {
  const node = { index, children: [] };
  for (const [name, values] of columns) node[name] = values[index];
  node.isTest = node.id.startsWith("test.") || node.id.startsWith("unit_test.");
  return node;
});
for (const node of nodes) {
  node.parents = node.parents.map((index) => nodes[index]);
  for (const parent of node.parents) parent.children.push(node);
  node.waitedFor = nodes[node.waitedFor] ?? null;
  node.cause = nodes[node.cause] ?? null;
}
const byId = new Map(nodes.map((node) => [node.id, node]));
const critical = new Set(data.critical.map((index) => nodes[index]));

// The selected node, and what has to know of it.
let selected = null;
const watchers = [];

function select(node) {
  selected = node;
  for (const watch of watchers) watch(node);
  const hash = node ? `#node=${encodeURIComponent(node.id)}` : location.pathname + location.search;
  try {
    history.replaceState(null, "", hash);
  } catch {
    // A page in a sandbox has no history of its own.
  }
}

// A node with all that it depends on and all that depends on it.
function related(node) {
  const found = new Set([node]);
  for (const way of ["parents", "children"]) {
    const todo = [node];
    while (todo.length) {
      for (const next of todo.pop()[way]) {
        if (!found.has(next)) {
          found.add(next);
          todo.push(next);
        }
      }
    }
  }
  return found;
}

// The node and what it waited for, back to the start of the run.
function chain(node) {
  const found = [];
  for (let at = node; at && !found.includes(at); at = at.waitedFor) found.push(at);
  return found;
}

function duration(seconds) {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} m ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} m`;
}

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function linkTo(node) {
  const link = make("button", { type: "button", class: "link" }, node.id);
  link.addEventListener("click", () => select(node));
  return link;
}

// The colours of the style sheet, for the canvases.
let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["card", "text", "faint", "line", "edge", "band", "accent", "on", "critical"];
  names.push("success", "warning", "failure", "skipped", "interrupted");
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`)]));
}
