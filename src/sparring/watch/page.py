"""The look of ``report.html``: one page, nothing fetched from anywhere, light and dark, wide and narrow."""

STYLE = """
:root{color-scheme:light dark;--page:#f6f6f3;--card:#fff;--ink:#16181d;--soft:#5d636e;--faint:#e4e4df;--bar:#2a78d6;
--c0:#2a78d6;--c1:#e2621b;--c2:#128a60;--c3:#a8469c;--c4:#b98300;--c5:#6a58d6;
--good:#0f7b4d;--good-bg:#e5f5ec;--warn:#8a5a00;--warn-bg:#fdf2d8;--critical:#b3261e;--critical-bg:#fde9e7;
--shadow:0 1px 2px rgb(0 0 0/.05),0 4px 16px rgb(0 0 0/.04)}
@media(prefers-color-scheme:dark){:root{--page:#121316;--card:#1b1d22;--ink:#eceded;--soft:#9ba1ad;--faint:#2d3037;
--bar:#5b9ff0;--c0:#5b9ff0;--c1:#f08a4b;--c2:#3fbf8f;--c3:#d983cf;--c4:#dcae3c;--c5:#9b8cff;
--good:#63d39d;--good-bg:#14301f;--warn:#f0c25e;--warn-bg:#352a0f;--critical:#ff8f86;--critical-bg:#3b1a17;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 56px}
h1{font-size:clamp(24px,4vw,34px);line-height:1.2;letter-spacing:-.02em;margin:0;overflow-wrap:anywhere}
h1 small{font-weight:400;color:var(--soft);font-size:.62em;letter-spacing:0}
h2{font-size:20px;letter-spacing:-.01em;margin:40px 0 14px}
h3{font-size:15px;margin:0 0 10px}h3::first-letter{text-transform:uppercase}
.note,.soft{color:var(--soft);font-weight:400;font-size:13px}
.card{background:var(--card);border-radius:12px;box-shadow:var(--shadow);padding:18px;margin:0;min-width:0}
.progress{height:8px;border-radius:4px;background:var(--faint);margin:18px 0 6px;overflow:hidden}
.progress i{display:block;height:100%;border-radius:4px;background:var(--bar)}
.state{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 16px;color:var(--soft);font-size:14px}
.state b{color:var(--ink)}
.verdict{border-radius:12px;padding:14px 18px;margin:20px 0;background:var(--card);box-shadow:var(--shadow);
border-left:5px solid var(--soft);overflow-wrap:anywhere}
.verdict b{display:block;font-size:17px}
.verdict.good{background:var(--good-bg);border-color:var(--good)}.verdict.good b{color:var(--good)}
.verdict.warn{background:var(--warn-bg);border-color:var(--warn)}.verdict.warn b{color:var(--warn)}
.verdict.critical{background:var(--critical-bg);border-color:var(--critical)}.verdict.critical b{color:var(--critical)}
.pictures{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:18px;align-items:start}
.pictures .card>img{width:100%}
.alone{grid-template-columns:minmax(0,620px)}
img{display:block;border-radius:6px;max-width:100%;
background:repeating-conic-gradient(#ccc 0 25%,#fff 0 50%) 0 0/16px 16px}
.strip{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:12px 10px}
.below{display:grid;gap:18px;margin-top:18px}.below .strip{grid-template-columns:repeat(auto-fit,minmax(100px,1fr))}
.strip figure{margin:0;line-height:2;text-align:center;font-size:12px;color:var(--soft)}.strip img{width:100%}
.findings{display:grid;gap:18px}
.finding{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:18px;align-items:stretch}
.finding .card.good{border-left:5px solid var(--good)}.finding .card.warn{border-left:5px solid var(--warn)}
.finding .card.critical{border-left:5px solid var(--critical)}.finding p{margin:8px 0;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(120px,1fr));gap:12px;margin:20px 0}
.tiles div{background:var(--card);border-radius:12px;box-shadow:var(--shadow);padding:12px 16px}
.tiles span{display:block;color:var(--soft);font-size:13px}
.tiles b{font-size:22px;font-weight:600;letter-spacing:-.01em;white-space:nowrap}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:18px}
.chart{display:flex;flex-direction:column}
.plot{display:grid;grid-template-columns:46px minmax(0,1fr);grid-template-rows:190px 18px;font-size:11.5px;
color:var(--soft);font-variant-numeric:tabular-nums}
.ys,.xs,.area{position:relative}
.ys span{position:absolute;right:8px;transform:translateY(50%);line-height:1}
.xs{grid-column:2;grid-row:2;margin-right:16px}
.xs span{position:absolute;top:5px;transform:translateX(-50%);line-height:1}
.area{margin-right:16px;touch-action:pan-y}
.unit{grid-column:1;grid-row:2;justify-self:end;line-height:1;padding:5px 14px 0 0}
svg{display:block;width:100%;height:100%;overflow:hidden}
path{fill:none;vector-effect:non-scaling-stroke;stroke-linecap:round;stroke-linejoin:round}
.grid{stroke:var(--faint);stroke-width:1}.line{stroke-width:2}.dashed{stroke-dasharray:6 5}
path.c0{stroke:var(--c0)}path.c1{stroke:var(--c1)}path.c2{stroke:var(--c2)}
path.c3{stroke:var(--c3)}path.c4{stroke:var(--c4)}path.c5{stroke:var(--c5)}
i.c0{background:var(--c0)}i.c1{background:var(--c1)}i.c2{background:var(--c2)}
i.c3{background:var(--c3)}i.c4{background:var(--c4)}i.c5{background:var(--c5)}
.end{position:absolute;width:8px;height:8px;border-radius:50%;transform:translate(-50%,50%)}
.hair{position:absolute;top:0;bottom:0;width:1px;background:var(--soft);pointer-events:none}
.tip{position:absolute;top:4px;z-index:1;pointer-events:none;background:var(--card);color:var(--ink);white-space:nowrap;
border:1px solid var(--faint);border-radius:8px;padding:6px 10px;box-shadow:0 4px 14px rgb(0 0 0/.18);font-size:12px}
.tip b{display:block;font-weight:600}
.key i,.tip i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:7px}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th,td{text-align:left;font-weight:400;padding:4px 12px 4px 0;vertical-align:top;overflow-wrap:anywhere}
.key{margin:14px 0 8px;font-variant-numeric:tabular-nums}
.key th{padding:2px 0}
.key td,.key thead th{text-align:right;padding:2px 0 2px 12px;white-space:nowrap;color:var(--soft)}
.key td:nth-child(2){color:var(--ink);font-weight:600}.key thead th{font-size:12px}
figcaption{color:var(--soft);font-size:13.5px;margin-top:auto;padding-top:6px}
.tables{columns:2 400px;column-gap:18px}.tables .card{break-inside:avoid;margin-bottom:18px}
.facts th{color:var(--soft);width:38%}.facts td{padding-right:0}
.facts tr+tr>*,.events tbody tr>*{border-top:1px solid var(--faint)}
.events td:first-child,.events td:nth-child(2){white-space:nowrap;color:var(--soft)}
.events thead th{color:var(--soft);font-size:12.5px}
.tag{display:inline-block;border-radius:6px;padding:0 7px;background:var(--faint);font-size:12.5px;white-space:nowrap}
.tag.good{background:var(--good-bg);color:var(--good)}.tag.warn{background:var(--warn-bg);color:var(--warn)}
.tag.critical{background:var(--critical-bg);color:var(--critical)}
footer{margin-top:36px;color:var(--soft);font-size:13px}
@media(max-width:760px){main{padding:20px 14px 40px}.pictures{grid-template-columns:minmax(0,1fr)}
.charts,.pictures{gap:14px}.card{padding:14px}.events td:first-child,.events th:first-child{display:none}}
"""

# Shows the values under the pointer. The page says everything without it.
SCRIPT = """
for (const area of document.querySelectorAll(".area")) {
  const {x: [low, high], curves} = JSON.parse(area.dataset.hover);
  const make = (tag, kind = "", text = "") =>
    Object.assign(document.createElement(tag), {className: kind, textContent: text});
  const hair = make("div", "hair"), tip = make("div", "tip");
  const leave = () => { hair.remove(); tip.remove(); };
  area.addEventListener("pointerleave", leave);
  area.addEventListener("pointermove", event => {
    const box = area.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
    if (share < 0 || share > 1) return leave();
    const at = low + share * (high - low);
    const near = points => points.reduce((a, b) => Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a);
    const rows = curves.filter(curve => curve.points.length).map(curve => [curve, near(curve.points)]);
    if (!rows.length) return;
    const kimg = rows[0][1][0], left = (kimg - low) / (high - low) * box.width;
    tip.replaceChildren(make("b", "", kimg + " kimg"), ...rows.map(([curve, point]) => {
      const row = make("div");
      row.append(make("i", "c" + curve.colour), curve.name + "  " + (point[1] === null ? "not finite" : point[1]));
      return row;
    }));
    hair.style.left = left + "px";
    area.append(hair, tip);
    const beside = left + 12 + tip.offsetWidth > box.width ? left - 12 - tip.offsetWidth : left + 12;
    tip.style.left = Math.max(-40, beside) + "px";
  });
}
"""

# The browser itself refuses whatever is not in the page.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, body: str, refresh_seconds: int) -> str:
    """A whole page around ``body`` (HTML); ``title`` is already escaped. Reloads itself unless the seconds are 0."""
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' if refresh_seconds else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">{refresh}
<link rel="icon" href="data:,"><title>{title}</title><style>{STYLE}</style></head>
<body><main>{body}</main><script>{SCRIPT}</script></body></html>
"""
