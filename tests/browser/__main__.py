"""The page of `dbt-relay report` in headless Chromium: console, keys, times and screenshots.

    .venv/bin/python tests/browser [FOLDER]

Writes screenshots and a PDF to FOLDER, by default a new one. Ends with 1 if something is wrong.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser.webdriver import Browser, browser
from support.projects import Project, put_run
from support.records import node

DOWN, RIGHT, HOME, ESCAPE = "\ue015", "\ue014", "\ue011", "\ue00c"
LONGEST_OPENING = 1.0
"""Seconds from the start of the navigation until the page of 5,000 nodes is drawn."""
LONGEST_FRAME = 0.05
"""Seconds to put new rows into the table after a scroll, and to draw the graph once."""
HOSTILE = (
    "</script><script>window.broken=1</script><img src=x onerror='window.broken=1'><!-- \u2028"
)


def report(folder: Path, size: int, failing: int) -> Path:
    """The page of a project's second run."""
    project = Project(size)
    project.write_manifest(folder / "target")
    for broken, speed in ((0, -0.3), (failing, 0.3)):
        records = project.records(broken, speed)
        put_run(folder / "state", records, folder / "target", exit_code=int(bool(broken)))
    return written(folder)


def written(folder: Path) -> Path:
    page = folder / "run.html"
    command = [sys.executable, "-m", "dbt_relay", "report", "--state-dir", str(folder / "state")]
    began = time.monotonic()
    subprocess.run([*command, "--out", str(page)], check=True, stdout=subprocess.PIPE)
    print(f"{page}: {page.stat().st_size / 1e6:.2f} MB, {time.monotonic() - began:.2f} s")
    return page


def opening(chromium: Browser, page: Path) -> float:
    """Seconds until the page is drawn; the median of five."""

    def once() -> float:
        chromium.open(page)
        script = (
            "const done = arguments[0];"
            "requestAnimationFrame(() => setTimeout(() => done(performance.now() / 1000)))"
        )
        return float(chromium.wait(script))

    return statistics.median(once() for _ in range(5))


def frames(chromium: Browser) -> dict[str, float]:
    """Seconds of the script's work: the table after a scroll, both canvases, a search."""
    script = """
        const median = (act) => {
          const times = [...Array(15)].map((_, n) => {
            const began = performance.now();
            act(n);
            return performance.now() - began;
          });
          return times.sort((a, b) => a - b)[7] / 1000;
        };
        return {
          scroll: median((n) => { views.table.frame.scrollTop = n * 9000; views.table.draw(); }),
          graph: median(() => views.graph.draw()),
          timeline: median(() => views.timeline.draw()),
          search: median((n) => {
            views.table.inputs[0].value = `orders ${n}`;
            views.table.update();
          }),
        };
    """
    return chromium.run(script)


def keys(chromium: Browser) -> list[str]:
    """What is wrong with the keyboard."""
    wrong: list[str] = []
    for place in ("#timeline-plot", "#graph-plot", "#table"):
        chromium.run("select(null)")
        chromium.press(place, DOWN, DOWN, RIGHT)
        if not chromium.run("return selected && !document.getElementById('detail').hidden"):
            wrong.append(f"arrow keys select nothing in {place}")
        chromium.press(place, ESCAPE)
        if chromium.run("return selected !== null"):
            wrong.append(f"Escape closes nothing in {place}")
    chromium.press("#table", "/")
    if chromium.run("return document.activeElement.id") != "search":
        wrong.append("/ does not lead to the search")
    chromium.press("#search", *"mar_")
    shown, every = chromium.run("return [views.table.shown.length, nodes.length]")
    if not 0 < shown < every:
        wrong.append(f"the search finds {shown} of {every} nodes")
    return wrong


def hostile(chromium: Browser, folder: Path) -> list[str]:
    records = [
        node(f"model.a.{HOSTILE}", "error", message=HOSTILE, name=HOSTILE, relation=HOSTILE),
        node("model.a.b", "skipped", caused_by=f"model.a.{HOSTILE}"),
    ]
    put_run(folder / "state", records)
    chromium.open(written(folder))
    chromium.run("for (const node of nodes) select(node)")
    is_broken = chromium.run("return window.broken || document.images.length > 0")
    return ["a text of dbt became HTML"] if is_broken else []


def pictures(chromium: Browser, page: Path, out: Path) -> None:
    for scheme in ("light", "dark"):
        chromium.prefer(scheme)
        chromium.resize(1200, 900)
        chromium.open(page)
        chromium.screenshot(out / f"{page.parent.name}-{scheme}.png", whole=True)
        chromium.press("#timeline-plot", HOME, DOWN, RIGHT, RIGHT)
        chromium.screenshot(out / f"{page.parent.name}-{scheme}-selected.png")
    chromium.prefer("light")
    chromium.resize(390, 800)
    chromium.open(page)
    chromium.screenshot(out / f"{page.parent.name}-phone.png", whole=True)
    chromium.resize(1200, 900)
    chromium.open(page)
    chromium.print(out / f"{page.parent.name}.pdf")


def main() -> int:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="report-"))
    out.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name, browser() as chromium:
        folder = Path(name)
        chromium.resize(1200, 900)
        small, large = report(folder / "small", 90, 1), report(folder / "large", 5000, 4)
        seconds = opening(chromium, large)
        print(f"5,000 nodes are drawn after {seconds:.2f} s")
        wrong += ["the page opens slowly"] if seconds > LONGEST_OPENING else []
        for what, took in frames(chromium).items():
            print(f"5,000 nodes: {what} takes {took * 1000:.1f} ms")
            wrong += [f"{what} is slow"] if took > LONGEST_FRAME else []
        for page in (small, large):
            chromium.open(page)
            wrong += keys(chromium)
            pictures(chromium, page, out)
        wrong += hostile(chromium, folder / "hostile")
        wrong += chromium.complaints()
    for line in wrong:
        print(f"WRONG: {line}")
    print(f"Look at {out}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
