// What holds the parts together: the selected node's details, keys, colours and print.

function showDetail(node) {
  const detail = document.getElementById("detail");
  detail.hidden = !node;
  if (!node) return;
  // Beside the node's bar, as well as can be.
  detail.classList.toggle("left", node.from > data.seconds / 2);
  const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => select(null));
  const facts = make("dl");
  const tell = (name, ...values) => {
    const told = values.filter((value) => value !== null && value !== "");
    if (told.length) facts.append(make("dt", {}, name), make("dd", {}, ...told));
  };
  const links = (list) => list.slice(0, 30).flatMap((one) => [linkTo(one), make("br")]);
  const more = (list) => (list.length > 30 ? `… and ${list.length - 30} more` : null);
  tell("Time", node.seconds === null ? null : duration(node.seconds));
  tell("Ran", node.from === null ? null : `${duration(node.from)} to ${duration(node.to)}`);
  tell("Before", node.before === null ? null : duration(node.before));
  tell("Thread", data.lanes[node.lane] ?? null);
  if (node.waitedFor) tell("Waited for", linkTo(node.waitedFor));
  tell("Then queued", node.queued ? `${duration(node.queued)} for a thread` : null);
  tell("Cause", node.cause ? linkTo(node.cause) : node.causeName);
  tell("Error", node.kindOfError);
  tell("Rows", node.rows === null ? null : node.rows.toLocaleString("en"));
  tell("Batches", node.batches);
  tell("Relation", node.relation);
  tell("File", node.file);
  tell("From", node.resumedFrom === null ? null : `try ${node.resumedFrom}`);
  tell("Renewed", node.renewed ? "run again by itself, later" : null);
  tell("Reads", ...links(node.parents), more(node.parents));
  tell("Read by", ...links(node.children), more(node.children));
  const title = make("h3", {}, node.id, " ");
  title.append(make("span", { class: `badge ${node.outcome}` }, node.status));
  const message = node.message ? make("pre", {}, node.message) : null;
  detail.replaceChildren(...[close, title, facts, message].filter(Boolean));
  detail.scrollTop = 0;
}

let views = null;

function start() {
  readColours();
  views = { timeline: new Timeline(), graph: new Graph(), table: new NodeTable() };
  watchers.push(showDetail);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-node]");
    const node = link && byId.get(link.dataset.node);
    if (node) select(node);
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, select");
    if (event.key === "Escape") select(null);
    else if (event.key === "/" && !isTyping) {
      event.preventDefault();
      document.getElementById("search").focus();
    }
  });

  const redraw = () => {
    readColours();
    views.timeline.resized();
    views.graph.resized();
    views.table.draw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  printWell(redraw);

  const asked = /^#node=(.*)/.exec(location.hash);
  const node = asked && byId.get(decodeURIComponent(asked[1]));
  if (node) select(node);
}

// Paper is light.
function printWell(redraw) {
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "yes";
    redraw();
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    redraw();
  });
}

start();
