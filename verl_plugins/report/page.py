"""The HTML page around a report: one file, no scripts, nothing loaded from elsewhere."""

from html import escape

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1a1d21; --quiet: #565d66; --line: #d9dde2;
  --curve: #1f5fbf; --warn: #8a4b00; --mark: #f5a623; --alarm: #d9304f; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --card: #1d2125; --ink: #e8eaed; --quiet: #a4abb4; --line: #363c43; --curve: #7db3ff;
    --warn: #ffb866; --mark: #9a6200; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 40px 0 10px; }
h3 { font-size: 1rem; line-height: 1.4; margin: 0 0 4px; overflow-wrap: anywhere; }
.card h3 { font-size: 0.925rem; font-weight: 500; }
p { margin: 0 0 10px; max-width: 75ch; }
code, pre { font: 0.8rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
.quiet, .rank, figcaption { color: var(--quiet); font-size: 0.875rem; }
.notes { color: var(--warn); font-size: 0.875rem; padding-left: 1.2em; }
.overview { display: flex; flex-wrap: wrap; gap: 16px 32px; }
.overview > * { min-width: 0; }
.scroll { overflow-x: auto; margin-bottom: 10px; }
table { border-collapse: collapse; font-size: 0.925rem; background: var(--card); border: 1px solid var(--line); }
th, td { padding: 6px 14px; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
th { font-weight: 600; }
.facts td { overflow-wrap: anywhere; }
.summary td:nth-child(n + 2):nth-child(-n + 4), .summary th:nth-child(n + 2):nth-child(-n + 4) {
  text-align: right; font-variant-numeric: tabular-nums; }
.charts, .cards { display: grid; gap: 16px; margin-bottom: 14px; }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 265px), 1fr)); }
.cards { grid-template-columns: repeat(auto-fill, minmax(min(100%, 460px), 1fr)); }
.chart, .card { margin: 0; padding: 14px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.chart code { display: block; }
.chart svg { display: block; width: 100%; height: auto; margin: 6px 0; overflow: visible; }
.chart text { fill: var(--quiet); font: 13px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.chart .alarm { fill: var(--alarm); fill-opacity: 0.22; }
.chart .axis { fill: none; stroke: var(--quiet); }
.chart .grid { stroke: var(--line); }
.chart .curve { fill: none; stroke: var(--curve); stroke-width: 2; stroke-linejoin: round; }
.chart circle { fill: var(--curve); stroke: transparent; stroke-width: 10; pointer-events: all; }
.chart .dense circle { opacity: 0; }
.chart circle:hover { opacity: 1; stroke: var(--ink); stroke-width: 2; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
.triple { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 12px; margin-bottom: 10px; }
.pair figure, .triple figure { margin: 0; }
.pair svg { display: block; width: 100%; height: auto; max-height: 420px; }
.halo, .true-box, .predicted-box { fill: none; vector-effect: non-scaling-stroke; }
.halo { stroke: #ffffff; stroke-width: 5; }
.true-box { stroke: #111111; stroke-width: 2.5; }
.predicted-box { stroke: #e6007e; stroke-width: 2.5; stroke-dasharray: 7 5; }
.legend svg { width: 36px; height: 10px; margin-left: 4px; }
.pictures img { display: block; width: 100%; image-rendering: pixelated; }
.tokens { font: 0.875rem/2 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.token { padding: 2px 0; background: color-mix(in srgb, var(--mark) var(--score, 0%), transparent); }
.token.kept { outline: 2px solid var(--ink); outline-offset: -1px; border-radius: 2px; padding: 2px 1px; }
@media (max-width: 560px) { th, td { padding: 5px; } table { font-size: 0.8rem; } }
details { margin-top: 8px; font-size: 0.875rem; }
details p { margin: 8px 0 2px; color: var(--quiet); }
pre { margin: 0; padding: 8px; background: var(--page); white-space: pre-wrap; max-height: 18em; overflow-y: auto; }
"""


def page(title: str, sections: list[str]) -> str:
    """A whole HTML document; the sections are HTML, the title is text."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head>",
            f"<body><main><h1>{escape(title)}</h1>",
            *sections,
            "</main></body></html>\n",
        ]
    )


def table(rows: list[list[str]], style: str, headings: list[str] | None = None) -> str:
    """An HTML table of plain text; the first cell of a row is its heading."""
    head = ""
    if headings:
        head = "<thead><tr>" + "".join(f'<th scope="col">{escape(text)}</th>' for text in headings) + "</tr></thead>"
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return f'<div class="scroll"><table class="{style}">{head}<tbody>{body}</tbody></table></div>'
