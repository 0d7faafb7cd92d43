// The table of nodes. Only the rows in sight are in the document, so 5,000 scroll as well as 50.

const SEVERITY = ["failure", "interrupted", "warning", "skipped", "success"];

class NodeTable {
  static ROW = 30;
  static MOST_PRINTED = 300;

  static COLUMNS = [
    { title: "Node", value: (n) => n.name, text: (n) => n.name },
    { title: "Type", value: (n) => n.kind, text: (n) => n.kind },
    { title: "Status", value: (n) => SEVERITY.indexOf(n.outcome), text: (n) => n.status, css: statusClass },
    { title: "Start", value: (n) => n.from, text: (n) => seconds(n.from), css: () => "number" },
    { title: "Time", value: (n) => n.seconds, text: (n) => seconds(n.seconds), css: () => "number", isDown: true },
    { title: "Change", value: change, text: changeText, css: changeClass, isDown: true },
    { title: "Rows", value: (n) => n.rows, text: (n) => n.rows?.toLocaleString("en") ?? "", css: () => "number", isDown: true },
    { title: "Relation", value: (n) => n.relation, text: (n) => n.relation },
    { title: "Message", value: messageOf, text: messageOf },
  ];

  constructor() {
    this.frame = document.getElementById("table");
    this.outcomes = new Set();
    this.sort = { column: NodeTable.COLUMNS[2], isDown: false };
    this.head = make("div", { class: "row head", role: "row" });
    this.body = make("div", { class: "body", role: "rowgroup" });
    this.frame.append(this.head, this.body);
    this.addHead();
    this.addFilters();
    this.frame.addEventListener("scroll", () => this.draw());
    this.frame.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.frame);
    watchers.push((node) => {
      if (node) this.reveal(node);
      this.draw();
    });
    this.update();
  }

  addHead() {
    for (const column of NodeTable.COLUMNS) {
      const button = make("button", { type: "button" }, column.title);
      column.cell = make("div", { role: "columnheader", class: column.css?.(nodes[0] ?? {}) ?? null }, button);
      button.addEventListener("click", () => {
        const isSame = this.sort.column === column;
        this.sort = { column, isDown: isSame ? !this.sort.isDown : Boolean(column.isDown) };
        this.update();
      });
      if (column.css) column.cell.className = column.title === "Status" ? "" : "number";
      this.head.append(column.cell);
    }
  }

  addFilters() {
    const get = (id) => document.getElementById(id);
    this.inputs = ["search", "kind", "least-seconds", "least-rows"].map(get);
    for (const kind of [...new Set(nodes.map((node) => node.kind))].sort()) {
      if (kind) this.inputs[1].append(make("option", { value: kind }, kind));
    }
    get("filters").addEventListener("input", () => this.update());
    get("filters").addEventListener("submit", (event) => event.preventDefault());
    for (const button of document.querySelectorAll("[data-outcome]")) {
      button.addEventListener("click", () => {
        const { outcome } = button.dataset;
        if (!this.outcomes.delete(outcome)) this.outcomes.add(outcome);
        button.setAttribute("aria-pressed", this.outcomes.has(outcome));
        this.update();
      });
    }
  }

  // Filter and sort anew.
  update() {
    const [search, kind, leastSeconds, leastRows] = this.inputs.map((input) => input.value);
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const isShown = (node) =>
      (!this.outcomes.size || this.outcomes.has(node.outcome)) &&
      (!kind || node.kind === kind) &&
      (!leastSeconds || (node.seconds ?? -1) >= Number(leastSeconds)) &&
      (!leastRows || (node.rows ?? -1) >= Number(leastRows)) &&
      words.every((word) => searchable(node).includes(word));
    const { column, isDown } = this.sort;
    this.shown = nodes.filter(isShown).sort((a, b) => compare(column.value(a), column.value(b), isDown));
    for (const one of NodeTable.COLUMNS) {
      const way = one === column ? (isDown ? "descending" : "ascending") : "none";
      one.cell.setAttribute("aria-sort", way);
      one.cell.firstChild.textContent = one.title + (one === column ? (isDown ? " ↓" : " ↑") : "");
    }
    const all = nodes.length.toLocaleString("en");
    const some = `${this.shown.length.toLocaleString("en")} of ${all}`;
    document.getElementById("count").textContent = this.shown.length < nodes.length ? some : all;
    this.frame.setAttribute("aria-rowcount", this.shown.length + 1);
    this.draw();
  }

  // Put the rows in sight into the document.
  draw() {
    const height = this.frame.clientHeight || 600;
    const isPrinted = document.documentElement.dataset.print;
    const first = isPrinted ? 0 : Math.max(0, Math.floor(this.frame.scrollTop / NodeTable.ROW) - 5);
    const many = isPrinted ? NodeTable.MOST_PRINTED : Math.ceil(height / NodeTable.ROW) + 10;
    this.body.style.height = `${this.shown.length * NodeTable.ROW}px`;
    const rows = this.shown.slice(first, first + many).map((node, at) => this.row(node, first + at));
    if (!this.shown.length) rows.push(make("p", { class: "nothing" }, "No node matches."));
    const left = this.shown.length - NodeTable.MOST_PRINTED;
    if (isPrinted && left > 0) rows.push(make("p", {}, `… and ${left} more`));
    this.body.replaceChildren(...rows);
  }

  row(node, place) {
    const row = make("div", {
      class: "row",
      role: "row",
      id: `row-${node.index}`,
      "aria-rowindex": place + 2,
      "aria-selected": node === selected,
    });
    for (const { text, css } of NodeTable.COLUMNS) {
      row.append(make("div", { role: "gridcell", class: css?.(node) ?? null }, text(node)));
    }
    row.style.transform = `translateY(${place * NodeTable.ROW}px)`;
    row.addEventListener("click", () => select(node));
    return row;
  }

  reveal(node) {
    const place = this.shown.indexOf(node);
    if (place < 0) return this.frame.removeAttribute("aria-activedescendant");
    this.frame.setAttribute("aria-activedescendant", `row-${node.index}`);
    const [top, view] = [place * NodeTable.ROW, this.frame.clientHeight - 2 * NodeTable.ROW];
    if (top < this.frame.scrollTop) this.frame.scrollTop = top;
    if (top > this.frame.scrollTop + view) this.frame.scrollTop = top - view;
  }

  key(event) {
    if (event.target !== this.frame || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.floor(this.frame.clientHeight / NodeTable.ROW) - 2;
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || !this.shown.length) return;
    event.preventDefault();
    const place = this.shown.indexOf(selected);
    const next = place < 0 ? 0 : place + steps[event.key];
    select(this.shown[Math.max(0, Math.min(next, this.shown.length - 1))]);
  }
}

function seconds(value) {
  return value === null ? "" : duration(value);
}

function change(node) {
  return node.before === null || node.seconds === null ? null : node.seconds - node.before;
}

function changeText(node) {
  const by = change(node);
  if (by === null || Math.abs(by) < 0.005) return "";
  return `${by > 0 ? "+" : "−"}${duration(Math.abs(by))}`;
}

function changeClass(node) {
  const by = change(node) ?? 0;
  const isLarge = Math.abs(by) >= Math.max(0.5, 0.2 * (node.before ?? 0));
  return `number ${isLarge ? (by > 0 ? "worse" : "better") : ""}`;
}

function statusClass(node) {
  return `status ${node.outcome}`;
}

function messageOf(node) {
  if (node.causeName) return `skipped because of ${node.causeName}`;
  return node.message.replace(/\s+/g, " ").slice(0, 300);
}

function searchable(node) {
  const { id, kind, status, outcome, relation, message, causeName } = node;
  node.words ??= [id, kind, status, outcome, relation, message, causeName].join("\n").toLowerCase();
  return node.words;
}

// What is absent comes last, whichever way.
function compare(a, b, isDown) {
  const isAbsent = (value) => value === null || value === "";
  if (isAbsent(a) || isAbsent(b)) return isAbsent(a) - isAbsent(b);
  const order = typeof a === "string" ? (a < b ? -1 : a > b ? 1 : 0) : a - b;
  return isDown ? -order : order;
}
