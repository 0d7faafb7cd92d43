// The timeline: a row for each thread, a bar for each node. It zooms in time only.

class Timeline extends Plot {
  static AXIS = 24;

  constructor() {
    super("timeline-plot");
    this.rows = data.lanes.map(() => []);
    for (const node of nodes) if (node.lane >= 0) this.rows[node.lane].push(node);
    for (const row of this.rows) row.sort((a, b) => a.from - b.from);
    this.rowHeight = data.lanes.length > 24 ? 16 : 26;
    const height = Timeline.AXIS + this.rows.length * this.rowHeight + 6;
    this.canvas.style.height = `${Math.max(height, 60)}px`;
    this.seconds = Math.max(data.seconds, 0.001);
  }

  get gutter() {
    return this.viewWidth < 600 ? 58 : 120;
  }

  get scale() {
    return ((this.viewWidth - this.gutter - 12) / this.seconds) * this.zoom;
  }

  x(seconds) {
    return this.gutter + seconds * this.scale - this.left;
  }

  y(lane) {
    return Timeline.AXIS + lane * this.rowHeight;
  }

  fit() {
    this.zoom = 1;
    this.left = 0;
  }

  keepInside() {
    this.top = 0;
    const most = this.seconds * this.scale - (this.viewWidth - this.gutter - 12);
    this.left = Math.max(0, Math.min(this.left, most));
  }

  zoomBy(factor, x = selected?.from == null ? this.viewWidth / 2 : this.x(selected.from)) {
    this.isMoved = true;
    const seconds = (x - this.gutter + this.left) / this.scale;
    this.zoom = Math.max(1, Math.min(this.zoom * factor, this.seconds * 2000));
    this.left = seconds * this.scale - (x - this.gutter);
    this.keepInside();
    this.ask();
  }

  reveal(node) {
    if (node.from === null) return;
    const x = this.x(node.from);
    if (x < this.gutter || x > this.viewWidth - 20) this.left += x - this.viewWidth / 2;
    this.keepInside();
  }

  nodeAt(x, y) {
    const row = this.rows[Math.floor((y - Timeline.AXIS) / this.rowHeight)];
    if (!row || x < this.gutter) return null;
    const near = 3 / this.scale;
    const seconds = (x - this.gutter + this.left) / this.scale;
    return row.find((node) => node.from - near <= seconds && seconds <= node.to + near) ?? null;
  }

  first() {
    return this.rows.find((row) => row.length)?.[0] ?? null;
  }

  step(node, x, y) {
    if (!node || node.lane < 0) return this.first();
    if (x) return this.rows[node.lane][this.rows[node.lane].indexOf(node) + x] ?? null;
    for (let lane = node.lane + y; this.rows[lane]; lane += y) {
      const distance = (other) => Math.max(other.from - node.from, node.from - other.to, 0);
      const row = this.rows[lane];
      if (row.length) return row.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    }
    return null;
  }

  paint(brush) {
    brush.font = "12px system-ui, sans-serif";
    brush.textBaseline = "middle";
    if (!this.rows.length) {
      brush.fillStyle = colours.faint;
      brush.fillText("No node of this run has a time.", 12, 30);
      return;
    }
    this.paintAxis(brush);
    brush.save();
    brush.beginPath();
    brush.rect(this.gutter, 0, this.viewWidth - this.gutter, this.viewHeight);
    brush.clip();
    this.rows.forEach((row, lane) => this.paintRow(brush, row, lane));
    for (const node of critical) this.outline(brush, node, colours.critical);
    if (selected && selected.lane >= 0) {
      this.paintWaits(brush, chain(selected));
      this.outline(brush, selected, colours.accent);
    }
    brush.restore();
    this.paintNames(brush);
  }

  paintAxis(brush) {
    const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60];
    steps.push(120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400);
    const step = steps.find((one) => one * this.scale >= 80) ?? 86400;
    brush.fillStyle = colours.faint;
    brush.strokeStyle = colours.line;
    brush.lineWidth = 1;
    for (let t = Math.floor(this.left / this.scale / step) * step; t <= this.seconds; t += step) {
      const x = this.x(t);
      if (x < this.gutter - 1) continue;
      if (x > this.viewWidth) break;
      brush.beginPath();
      brush.moveTo(Math.round(x) + 0.5, Timeline.AXIS - 6);
      brush.lineTo(Math.round(x) + 0.5, this.viewHeight);
      brush.stroke();
      if (x < this.viewWidth - 40) brush.fillText(roundDuration(t), x + 3, Timeline.AXIS / 2);
    }
  }

  paintNames(brush) {
    this.rows.forEach((row, lane) => {
      const busy = row.reduce((sum, node) => sum + node.to - node.from, 0) / this.seconds;
      const share = `${Math.round(busy * 100)} %`;
      const y = this.y(lane) + this.rowHeight / 2;
      brush.fillStyle = colours.text;
      if (this.gutter > 100) write(brush, data.lanes[lane] || `${lane + 1}`, 8, y, 68);
      brush.fillStyle = colours.faint;
      brush.textAlign = "right";
      brush.fillText(share, this.gutter - 8, y);
      brush.textAlign = "left";
    });
  }

  paintRow(brush, row, lane) {
    const [y, height] = [this.y(lane) + 2, this.rowHeight - 4];
    brush.fillStyle = colours.band;
    brush.fillRect(this.x(0), y, this.seconds * this.scale, height);
    let drawnTo = -1;
    for (const node of row) {
      const from = this.x(node.from);
      const to = Math.max(this.x(node.to), from + 1);
      // Thousands of bars narrower than a pixel look like one. A failure is drawn in any case.
      if (to < this.gutter || (to <= drawnTo + 0.5 && node.outcome === "success")) continue;
      if (from > this.viewWidth) break;
      drawnTo = to;
      brush.fillStyle = colours[node.outcome];
      brush.fillRect(from, y, Math.max(1, to - from - (to - from > 3 ? 1 : 0)), height);
      if (to - from > 44 && height > 14) {
        brush.fillStyle = colours.on;
        const x = Math.max(from, this.gutter);
        write(brush, node.name, x + 4, y + height / 2 + 1, to - x - 8);
      }
    }
  }

  // From each node to the node that it waited for: up to there it could not start, and what is
  // dashed it waited for a thread.
  paintWaits(brush, shown) {
    brush.strokeStyle = colours.accent;
    brush.lineWidth = 2;
    for (let at = 0; at + 1 < shown.length; at += 1) {
      const [node, before] = [shown[at], shown[at + 1]];
      if (node.lane < 0 || before.lane < 0) continue;
      const middle = (one) => this.y(one.lane) + this.rowHeight / 2;
      const [ended, began] = [this.x(before.to), this.x(node.from)];
      brush.beginPath();
      brush.moveTo(ended, middle(before));
      brush.lineTo(ended, middle(node));
      brush.stroke();
      brush.setLineDash([3, 3]);
      brush.beginPath();
      brush.moveTo(ended, middle(node));
      brush.lineTo(began, middle(node));
      brush.stroke();
      brush.setLineDash([]);
    }
  }

  outline(brush, node, colour) {
    const from = this.x(node.from);
    brush.strokeStyle = colour;
    brush.lineWidth = 2;
    brush.strokeRect(
      from,
      this.y(node.lane) + 2,
      Math.max(2, this.x(node.to) - from),
      this.rowHeight - 4,
    );
  }
}

// A time on the axis, which is a round one: `20 s`, `2 m`.
function roundDuration(seconds) {
  return seconds ? duration(seconds).replace(".0 s", " s").replace(/ 00 [sm]$/, "") : "0";
}
