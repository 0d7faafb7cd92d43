// The graph: a layer for each depth, from left to right. A long layer takes several columns, so that
// the whole graph has about the form of the canvas.

class Graph extends Plot {
  static COLUMN = 190;
  static ROW = 24;
  static BOX = [160, 18];
  static HEIGHT = 540; // of the canvas, at most
  static MOST_EDGES = 6000; // more are a blot: then only the selected node's edges are drawn

  constructor() {
    super("graph-plot");
    this.box = document.getElementById("with-tests");
    this.box.checked = nodes.length <= 150;
    this.box.addEventListener("change", () => {
      this.place();
      this.showAll();
    });
    this.place();
  }

  // Give each shown node its place.
  place() {
    const layers = [];
    this.shown = nodes.filter((node) => this.box.checked || !node.isTest || isBad(node));
    for (const node of this.shown) (layers[node.layer] ??= []).push(node);
    const filled = layers.filter(Boolean);
    for (const layer of filled) layer.sort((a, b) => a.order - b.order);
    const perColumn = this.rowsFor(filled, (this.viewWidth || 1000) / Graph.HEIGHT);
    let column = 0;
    this.grid = [];
    for (const layer of filled) {
      const columns = Math.ceil(layer.length / perColumn);
      const rows = Math.ceil(layer.length / columns);
      layer.forEach((node, number) => {
        const at = column + Math.floor(number / rows);
        (this.grid[at] ??= []).push(node);
        node.x = at * Graph.COLUMN;
        node.y = ((number % rows) + (perColumn - rows) / 2) * Graph.ROW;
      });
      column += columns;
    }
    const drawn = new Set(this.shown);
    this.edges = this.shown.flatMap((node) =>
      node.parents.filter((parent) => drawn.has(parent)).map((parent) => [parent, node]),
    );
    this.width = Math.max(1, column) * Graph.COLUMN;
    this.height = Math.max(1, perColumn) * Graph.ROW;
    const zoom = Math.min(1, ((this.viewWidth || 1000) - 24) / this.width);
    const height = Math.min(Graph.HEIGHT, Math.max(160, this.height * zoom + 40));
    this.canvas.style.height = `${height}px`;
  }

  // The rows of a column with which the whole has the form (width by height).
  rowsFor(layers, form) {
    const longest = Math.max(1, ...layers.map((layer) => layer.length));
    for (let rows = 1; rows < longest; rows += 1) {
      const columns = layers.reduce((sum, layer) => sum + Math.ceil(layer.length / rows), 0);
      if ((columns * Graph.COLUMN) / (rows * Graph.ROW) <= form) return rows;
    }
    return longest;
  }

  fit() {
    const zooms = [(this.viewWidth - 24) / this.width, (this.viewHeight - 24) / this.height];
    this.zoom = Math.min(1, ...zooms);
    this.left = (this.width * this.zoom - this.viewWidth) / 2;
    this.top = (this.height * this.zoom - this.viewHeight) / 2;
  }

  keepInside() {
    const [width, height] = [this.width * this.zoom, this.height * this.zoom];
    const within = (value, size, view) => Math.max(-view + 60, Math.min(value, size - 60));
    this.left = within(this.left, width, this.viewWidth);
    this.top = within(this.top, height, this.viewHeight);
  }

  zoomBy(factor, x = this.middle(selected, "x"), y = this.middle(selected, "y")) {
    this.isMoved = true;
    const zoom = Math.max(0.02, Math.min(this.zoom * factor, 2.5));
    this.left = ((x + this.left) * zoom) / this.zoom - x;
    this.top = ((y + this.top) * zoom) / this.zoom - y;
    this.zoom = zoom;
    this.keepInside();
    this.ask();
  }

  // Where a node is on the canvas, or else the canvas's middle.
  middle(node, axis) {
    const [start, size] = axis === "x" ? [this.left, this.viewWidth] : [this.top, this.viewHeight];
    return node?.[axis] === undefined ? size / 2 : node[axis] * this.zoom - start;
  }

  reveal(node) {
    if (node.x === undefined) return;
    const [x, y] = [this.middle(node, "x"), this.middle(node, "y")];
    if (x < 0 || x > this.viewWidth - 60) this.left += x - this.viewWidth / 2;
    if (y < 0 || y > this.viewHeight - 20) this.top += y - this.viewHeight / 2;
  }

  nodeAt(x, y) {
    const [column, row] = [(x + this.left) / this.zoom, (y + this.top) / this.zoom];
    const near = (node) => node.x <= column && column <= node.x + Graph.COLUMN - 10;
    const found = this.grid[Math.floor(column / Graph.COLUMN)] ?? [];
    return found.find((n) => near(n) && n.y <= row && row < n.y + Graph.ROW) ?? null;
  }

  first() {
    return this.grid[0]?.[0] ?? null;
  }

  step(node, x, y) {
    const column = this.grid.find((one) => one.includes(node));
    if (!column) return this.first();
    if (y) return column[column.indexOf(node) + y] ?? null;
    const next = (x < 0 ? node.parents : node.children).filter((one) => this.shown.includes(one));
    const nearest = (a, b) => (Math.abs(b.y - node.y) < Math.abs(a.y - node.y) ? b : a);
    return next.length ? next.reduce(nearest) : null;
  }

  paint(brush) {
    brush.textBaseline = "middle";
    if (!data.hasGraph) {
      brush.font = "12px system-ui, sans-serif";
      brush.fillStyle = colours.faint;
      brush.fillText("There is no manifest.json of this run, so the edges are not known.", 12, 18);
    }
    const strong = selected ? related(selected) : critical;
    brush.save();
    brush.translate(-this.left, -this.top);
    brush.scale(this.zoom, this.zoom);
    this.paintEdges(brush, strong);
    this.paintNodes(brush, strong);
    brush.restore();
  }

  paintEdges(brush, strong) {
    const isStrong = ([from, to]) => strong.has(from) && strong.has(to);
    brush.lineWidth = Math.min(1 / this.zoom, 2);
    if (this.edges.length <= Graph.MOST_EDGES && !selected) {
      brush.strokeStyle = colours.edge;
      this.paintLines(brush, this.edges);
    }
    brush.lineWidth *= 1.6;
    brush.strokeStyle = selected ? colours.accent : colours.critical;
    this.paintLines(brush, this.edges.filter(isStrong));
  }

  paintLines(brush, edges) {
    const [width, height] = Graph.BOX;
    brush.beginPath();
    for (const [from, to] of edges) {
      const [x, y, x2, y2] = [from.x + width, from.y + height / 2, to.x, to.y + height / 2];
      const bend = Math.max(15, (x2 - x) / 2);
      brush.moveTo(x, y);
      brush.bezierCurveTo(x + bend, y, x2 - bend, y2, x2, y2);
    }
    brush.stroke();
  }

  paintNodes(brush, strong) {
    const [width, height] = Graph.BOX;
    const isLegible = this.zoom * 12 >= 7;
    const [right, bottom] = [this.left + this.viewWidth, this.top + this.viewHeight];
    brush.font = "12px system-ui, sans-serif";
    for (const node of this.shown) {
      const [x, y] = [node.x * this.zoom, node.y * this.zoom];
      if (x > right || y > bottom) continue;
      if (x + width * this.zoom < this.left || y + height * this.zoom < this.top) continue;
      brush.globalAlpha = selected && !strong.has(node) ? 0.2 : 1;
      brush.fillStyle = colours[node.outcome];
      brush.fillRect(node.x, node.y, width, height);
      if (isLegible) {
        brush.fillStyle = colours.on;
        write(brush, node.name, node.x + 5, node.y + height / 2 + 1, width - 10);
      }
      if (node === selected || (!selected && critical.has(node))) {
        brush.strokeStyle = node === selected ? colours.accent : colours.critical;
        brush.lineWidth = Math.max(2, 1.5 / this.zoom);
        brush.strokeRect(node.x, node.y, width, height);
      }
    }
    brush.globalAlpha = 1;
  }
}

function isBad(node) {
  return node.outcome === "failure" || node.outcome === "interrupted";
}
