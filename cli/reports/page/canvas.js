// A canvas that can be moved and zoomed with a pointer, with buttons and with keys. A subclass says
// how large its picture is (`width` and `height`, in pixels at zoom 1), draws it, finds the node at
// a point, and steps from node to node.

class Plot {
  constructor(id) {
    this.canvas = document.getElementById(id);
    this.brush = this.canvas.getContext("2d");
    this.left = 0; // what of the picture is at the canvas's left and upper edge
    this.top = 0;
    this.zoom = 1;
    this.isAsked = false;
    this.measure();
    this.addTools(document.querySelector(`[data-for="${id}"]`));
    this.listen();
    watchers.push((node) => {
      if (node && this.isFocused) this.reveal(node);
      this.ask();
    });
    new ResizeObserver(() => this.resized()).observe(this.canvas);
  }

  get isFocused() {
    return document.activeElement === this.canvas;
  }

  // To ask the document for each bar would take most of the time of a drawing.
  measure() {
    this.viewWidth = this.canvas.clientWidth;
    this.viewHeight = this.canvas.clientHeight;
  }

  resized() {
    this.measure();
    if (!this.viewWidth) return;
    const ratio = Math.max(window.devicePixelRatio, document.documentElement.dataset.print ? 2 : 1);
    this.canvas.width = Math.round(this.viewWidth * ratio);
    this.canvas.height = Math.round(this.viewHeight * ratio);
    this.brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (!this.isMoved) this.fit();
    this.draw();
  }

  // Draw before the next frame.
  ask() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.draw();
    });
  }

  draw() {
    this.brush.clearRect(0, 0, this.viewWidth, this.viewHeight);
    this.paint(this.brush);
  }

  moveBy(x, y) {
    this.isMoved = true;
    this.left -= x;
    this.top -= y;
    this.keepInside();
    this.ask();
  }

  addTools(tools) {
    const add = (label, name, act) => {
      const button = make("button", { type: "button", "aria-label": name, title: name }, label);
      button.addEventListener("click", act);
      tools.append(button);
    };
    add("+", "Zoom in", () => this.zoomBy(1.5));
    add("−", "Zoom out", () => this.zoomBy(1 / 1.5));
    add("All", "Show all", () => this.showAll());
  }

  showAll() {
    this.isMoved = false;
    this.resized();
  }

  listen() {
    const { canvas } = this;
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, y: event.clientY, isDrag: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return this.hover(event);
      const [x, y] = [event.clientX - from.x, event.clientY - from.y];
      if (!from.isDrag && Math.hypot(x, y) < 4) return;
      this.moveBy(x, y);
      from = { x: event.clientX, y: event.clientY, isDrag: true };
    });
    canvas.addEventListener("pointerup", (event) => {
      if (from && !from.isDrag) select(this.nodeAt(event.offsetX, event.offsetY));
      from = null;
    });
    canvas.addEventListener("pointercancel", () => (from = null));
    canvas.addEventListener("pointerleave", () => showTip(null));
    canvas.addEventListener(
      "wheel",
      (event) => {
        // The plain wheel scrolls the page.
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.zoomBy(Math.exp(-event.deltaY / 200), event.offsetX, event.offsetY);
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  hover(event) {
    const node = this.nodeAt(event.offsetX, event.offsetY);
    this.canvas.style.cursor = node ? "pointer" : "grab";
    showTip(node, event.clientX, event.clientY);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in arrows) select(this.step(selected, ...arrows[event.key]) ?? selected);
    else if (event.key === "Home") select(this.first());
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.5);
    else if (event.key === "-") this.zoomBy(1 / 1.5);
    else if (event.key === "0") this.showAll();
    else return;
    event.preventDefault();
  }
}

function showTip(node, x, y) {
  const tip = document.getElementById("tip");
  tip.hidden = !node;
  if (!node) return;
  const took = node.seconds === null ? "" : `, ${duration(node.seconds)}`;
  tip.textContent = `${node.id}: ${node.status}${took}`;
  tip.style.left = `${Math.min(x + 12, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(y + 16, innerHeight - tip.offsetHeight - 8)}px`;
}

// Write a text into a box, cut to about its width.
function write(brush, text, x, y, width) {
  if (width < 14) return;
  const whole = brush.measureText(text).width;
  const fitting = Math.floor((text.length * width) / whole) - 1;
  if (whole <= width) brush.fillText(text, x, y);
  else if (fitting > 1) brush.fillText(`${text.slice(0, fitting)}…`, x, y);
}
