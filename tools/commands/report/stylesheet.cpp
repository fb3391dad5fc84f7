#include "tools/commands/report/stylesheet.h"

namespace vitrine {

// Colours of lines: Okabe & Ito's, which colour-blind people tell apart, darker or lighter where the background needs
// it (contrast 3:1).
const char* const kStylesheet = R"css(
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --ink: #1c1b19; --soft: #66625b; --rule: #dedad2; --grid: #ebe8e1; --shade: #f3f0ea;
  --shade-odd: #ebe7de; --mark: #1c1b19;
  --c0: #0072b2; --c1: #d55e00; --c2: #00805d; --c3: #b0568c; --c4: #2e8fc9; --c5: #b07900; --c6: #4a4a4a; --c7: #7b2d52;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171614; --ink: #e9e6df; --soft: #a39e94; --rule: #3a3733; --grid: #2b2926; --shade: #1f1d1b;
    --shade-odd: #282623; --mark: #f5f2ea;
    --c0: #5ab4f0; --c1: #ff8f52; --c2: #3fcfa5; --c3: #e79bc6; --c4: #a9dcfb; --c5: #f2c14e; --c6: #cfccc5; --c7: #d1839f;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif;
}
main { max-width: 92rem; margin: 0 auto; padding: clamp(1.25rem, 4vw, 4rem) clamp(1rem, 5vw, 5rem); }
h1, h2, .lead { font-family: ui-serif, Iowan Old Style, Palatino Linotype, Palatino, Georgia, serif; font-weight: 400; }
h1 { font-size: clamp(1.8rem, 4vw, 2.6rem); line-height: 1.15; margin: 0 0 .6rem; }
h2 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; }
h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
.lead { font-size: 1.2rem; line-height: 1.5; max-width: 66ch; margin: 0 0 1.2rem; }
p { max-width: 66ch; margin: 0 0 .9rem; }
.soft, figcaption span, footer, nav { color: var(--soft); }
.soft, footer, nav { font-size: .9rem; }
nav a { margin-right: 1.1rem; display: inline-block; }
a { color: inherit; text-decoration-color: var(--rule); text-underline-offset: .2em; }
section { margin-top: 3.2rem; padding-top: 1.6rem; border-top: 1px solid var(--rule); }
footer { margin-top: 4rem; }
ul.notes { columns: 30rem 2; column-gap: 3.5rem; padding-left: 1.1rem; }
ul.notes li { margin-bottom: .35rem; break-inside: avoid; }
.columns ul.notes { columns: auto; }

.columns {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 0 3.5rem; align-items: start;
}
.columns.narrow { grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.columns > * { min-width: 0; }
.columns table { width: 100%; }
.columns th:last-child, .columns td:last-child, section > .scroll th:last-child, section > .scroll td:last-child { padding-right: 0; }
.columns h3 { margin-top: .5rem; }
.scroll { overflow-x: auto; max-width: 100%; margin: 0 0 1.2rem; }
section > .scroll > table { width: 100%; }
table { border-collapse: collapse; font-size: .92rem; line-height: 1.4; }
th, td { text-align: left; vertical-align: baseline; padding: .38rem 1.6rem .38rem 0; border-bottom: 1px solid var(--grid);
  overflow-wrap: break-word;
}
thead th { border-bottom-color: var(--rule); vertical-align: bottom; }
tbody th { font-weight: 400; color: var(--soft); }
.n { text-align: right; font-variant-numeric: tabular-nums lining-nums; white-space: nowrap; }
.w { min-width: 11rem; }
.r { text-align: right; max-width: 13rem; }
.best { font-weight: 650; }
.best::before { content: "\25b8\2009"; color: var(--soft); font-weight: 400; }
small { color: var(--soft); font-size: .85em; font-weight: 400; display: block; }
details { margin: 0 0 1rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; margin-bottom: .6rem; }

.charts + p { margin-top: 1.6rem; }
.charts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 2.2rem 2.6rem;
  margin-top: 1.4rem;
}
figure { margin: 0; min-width: 0; }
figcaption { font-size: .92rem; margin-bottom: .3rem; }
figcaption b { font-weight: 600; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: 0 0 .3rem; padding: 0; font-size: .85rem; }
.legend li { display: flex; align-items: baseline; min-width: 0; }
.legend svg { flex: none; width: 30px; height: 10px; margin-right: .4rem; }
.chart > svg { display: block; width: 100%; height: auto; overflow: hidden; }
.chart text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
text.y, text.end { text-anchor: end; }
text.x { text-anchor: middle; }
text.phase { font-style: italic; font-size: 11.5px; }
rect.phase { fill: var(--shade); }
rect.phase.odd { fill: var(--shade-odd); }
.grid, .axis { fill: none; stroke: var(--grid); stroke-width: 1; }
.axis { stroke: var(--soft); }
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; stroke-linecap: butt; }
.band { opacity: .16; stroke: none; }
.mark { fill: none; stroke-width: 1.5; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
.c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
.band.c0, .dots.c0, .lane.c0 { fill: var(--c0); } .band.c1, .dots.c1, .lane.c1 { fill: var(--c1); }
.band.c2, .dots.c2, .lane.c2 { fill: var(--c2); } .band.c3, .dots.c3, .lane.c3 { fill: var(--c3); }
.band.c4, .dots.c4, .lane.c4 { fill: var(--c4); } .band.c5, .dots.c5, .lane.c5 { fill: var(--c5); }
.band.c6, .dots.c6, .lane.c6 { fill: var(--c6); } .band.c7, .dots.c7, .lane.c7 { fill: var(--c7); }
.dots { stroke: none; }
.lane { stroke: none; opacity: .9; }
.lane.odd { opacity: .45; }
.d1 { stroke-dasharray: 7 3; } .d2 { stroke-dasharray: 2 2.5; } .d3 { stroke-dasharray: 9 3 2 3; }

.pictures {
  list-style: none; margin: 0 0 1.5rem; padding: 0; display: grid; gap: 1.8rem 2.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr));
}
.pictures .row { display: flex; gap: .35rem; margin-bottom: .4rem; }
.pictures .row div { flex: 1 1 0; min-width: 0; max-width: 8.5rem; }
.pictures img { display: block; width: 100%; height: auto; background: var(--shade); }
.pictures p { font-size: .88rem; line-height: 1.4; margin: 0; }
.pictures .row span { display: block; margin-top: .2rem; font-size: .75rem; line-height: 1.25; color: var(--soft); }

@media (max-width: 34rem) {
  th, td { padding-right: 1rem; }
  tbody th { min-width: 7.5rem; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #444; }
  main { max-width: none; padding: 0; }
  nav, summary { display: none; }
  .charts { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; }
  figure, tr, .pictures li { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  section { margin-top: 1.6rem; }
}
)css";

}  // namespace vitrine
