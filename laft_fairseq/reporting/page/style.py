"""The page's style: system fonts, light and dark, narrow and wide, on paper."""

STYLE = """
:root { --ink: #1c2530; --soft: #586472; --paper: #ffffff; --band: #f2f5f8; --line: #d5dce3;
  --main: #0b62a8; --rival: #6b7785; --floor: #a06a00; --good: #14703a; --bad: #a32424;
  --open: #8a5a00; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #a3afbb; --paper: #12171d;
  --band: #1c242d; --line: #36414d; --main: #6cb6f5; --rival: #97a4b1; --floor: #d9a441;
  --good: #5fca8b; --bad: #f08a8a; --open: #e0b050; } }
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Liberation Sans", sans-serif; background: var(--paper); color: var(--ink); }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 82rem; }
[lang|="zh"] { font-family: "Noto Sans SC", "Noto Sans CJK SC", "PingFang SC",
  "Microsoft YaHei", "WenQuanYi Micro Hei", "Droid Sans Fallback", system-ui, sans-serif; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 .5rem;
  text-wrap: balance; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 2.75rem 0 .75rem; }
p, li { max-width: 72ch; }
p { margin: .5rem 0; }
ul { padding-left: 1.2rem; margin: .35rem 0 .75rem; }
a { color: var(--main); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible, pre:focus-visible {
  outline: 3px solid var(--main); outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { position: static; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; padding: .6rem 0;
  margin: .75rem 0 0; border-block: 1px solid var(--line); font-size: .92rem; }
section { scroll-margin-top: 1rem; }
.callout { border: 1px solid var(--line); border-left: .45rem solid var(--open);
  background: var(--band); border-radius: .35rem; padding: .9rem 1.2rem; margin: 0 0 1rem; }
.callout .word { font-size: 1.5rem; line-height: 1.25; font-weight: 700; color: var(--open);
  margin: 0 0 .4rem; }
.callout.good { border-left-color: var(--good); } .callout.good .word { color: var(--good); }
.callout.bad { border-left-color: var(--bad); } .callout.bad .word { color: var(--bad); }
.scroll { overflow-x: auto; margin: 1rem 0 1.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem;
  min-width: 100%; }
caption { text-align: left; font-weight: 600; padding-bottom: .45rem; position: sticky; left: 0; }
th, td { padding: .35rem .75rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { font-weight: 500; }
thead th { color: var(--soft); font-size: .86rem; vertical-align: bottom; line-height: 1.3;
  border-bottom: 2px solid var(--line); min-width: 6.2rem; }
th[scope="row"], thead th:first-child { text-align: left; min-width: 11rem; }
td { white-space: nowrap; }
td small, th small { display: block; color: var(--soft); font-size: .8rem; font-weight: 400; }
td small { white-space: pre; }
.prose td, .prose thead th { text-align: left; white-space: normal; }
.prose td { min-width: 8rem; }
.prose th[scope="row"] { width: 16rem; } .prose td small { white-space: normal; }
.block th { text-align: left; background: var(--band); font-weight: 600; }
.muted { color: var(--soft); }
details { border-bottom: 1px solid var(--line); padding: .15rem 0; }
details > summary { cursor: pointer; padding: .4rem 0; }
details[open] > summary { font-weight: 600; }
details details { margin-left: 1rem; }
pre { overflow-x: auto; background: var(--band); padding: .7rem .9rem; border-radius: .3rem;
  font-size: .8rem; line-height: 1.45; white-space: pre-wrap; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: 1.25rem 2.5rem; }
figure { margin: .5rem 0; }
figcaption { color: var(--soft); font-size: .88rem; }
.row > figure { flex: 1 1 20rem; max-width: 36rem; }
.row > figure:has(.curve) { flex: 0 1 20rem; }
figure.wide img { max-width: 100%; height: auto; background: #ffffff; border-radius: .3rem; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, "Noto Sans", "Liberation Sans", sans-serif; fill: var(--ink); }
svg .tick { fill: var(--soft); font-size: 10.5px; }
svg .grid, svg .axis { stroke: var(--line); stroke-width: 1; fill: none; }
.dots g line { stroke-width: 2.5; stroke: var(--rival); } .dots g circle { fill: var(--rival); }
.dots .main line { stroke: var(--main); } .dots .main circle { fill: var(--main); }
.dots .main text { fill: var(--main); font-weight: 700; }
.dots .floor line { stroke: var(--floor); stroke-dasharray: 3 2; }
.dots .single circle { fill: var(--paper); stroke: var(--rival); stroke-width: 2; }
.dots .main.single circle { stroke: var(--main); }
svg .mark { stroke: var(--floor); stroke-width: 1.2; stroke-dasharray: 4 3; }
.dots .floor circle { fill: var(--floor); } .dots .floor text { fill: var(--floor); }
.curve polyline { fill: none; stroke-width: 1.8; stroke: var(--main); }
.curve polyline.train { stroke: var(--rival); stroke-dasharray: 4 3; }
.curve circle { fill: var(--main); } .curve circle.train { fill: var(--rival); }
@media print { nav, .skip { display: none; } .scroll { overflow: visible; } }
"""
