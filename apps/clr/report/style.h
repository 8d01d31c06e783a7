// The page's style: light, dark and print; a column on a phone.
#pragma once

namespace reprise::clr {

inline constexpr const char* report_style = R"(
:root{color-scheme:light dark;--page:#fff;--ink:#1c1e21;--quiet:#5b6169;--line:#d5d9de;--soft:#f4f6f8;--shade:#0072b2;--on-shade:#fff;
--series0:#0072b2;--series1:#b84a00;--series2:#00795a;--series3:#a0528a;--series4:#6b6b00;--series5:#555;--positive:#b84a00;--negative:#0072b2}
@media(prefers-color-scheme:dark){:root{--page:#15181c;--ink:#e6e8eb;--quiet:#a0a7b0;--line:#3a4048;--soft:#1e2329;--shade:#4aa8dd;--on-shade:#06121a;
--series0:#56b4e9;--series1:#f0a050;--series2:#3fc79a;--series3:#e39bcb;--series4:#d6d24a;--series5:#b0b0b0;--positive:#f0a050;--negative:#56b4e9}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2rem 1.2rem 4rem;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.8rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
.task{font-size:1.05rem;font-weight:600;margin-right:.6rem}h3{font-size:1.05rem;margin:1.4rem 0 .4rem}h4{font-size:.95rem;margin:1.4rem 0 .4rem}h4.run{margin-top:2rem;padding-top:.6rem;border-top:1px solid var(--line)}
p{margin:.4rem 0 .8rem;max-width:46rem}.quiet,figcaption{color:var(--quiet);font-size:.875rem}.lead{font-size:1.1rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:middle;overflow-wrap:anywhere}
th{font-weight:600}.number{text-align:right;white-space:nowrap}th.number,.share{white-space:normal;overflow-wrap:break-word}tfoot td,tfoot th{border-bottom:0;border-top:2px solid var(--line);font-weight:600}
figure{margin:.6rem 0 1.2rem;overflow-x:auto}svg{max-width:100%;height:auto;display:block;overflow:visible}td svg{min-width:10rem}th[scope=row]{min-width:7.5rem}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}svg text.small{font-size:10px;fill:var(--quiet)}svg text.on-shade{fill:var(--on-shade)}
.grid{stroke:var(--line);stroke-width:1}.chance{stroke:var(--quiet);stroke-width:1.5;stroke-dasharray:2 3}.minus{stroke:var(--page);stroke-width:1.5}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;margin:.4rem 0 .8rem;list-style:none;font-size:.9rem}.legend li{display:flex;align-items:center;gap:.4rem}
.small-multiples{display:grid;grid-template-columns:repeat(auto-fill,minmax(11.5rem,1fr));gap:1rem}.small-multiples figure{margin:0}.small-multiples figcaption{color:var(--ink)}
.pictures{display:flex;flex-wrap:wrap;gap:.8rem;list-style:none;padding:0;margin:.3rem 0}.pictures li{width:6.6rem;font-size:.8rem;line-height:1.3;overflow-wrap:anywhere}
.pictures span{display:block}.pictures img,.absent{display:block;width:64px;height:64px;border:1px solid var(--line);image-rendering:auto}.absent{font-size:.7rem;color:var(--quiet);padding:.4rem}
details{border:1px solid var(--line);border-radius:6px;padding:.5rem .9rem;margin:.5rem 0}details[open]{padding-bottom:1rem}
summary{cursor:pointer;overflow-wrap:anywhere}
code,pre{font:13px/1.45 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;background:var(--soft);border-radius:4px;overflow-wrap:anywhere}code{padding:.1em .3em}
pre{padding:.7rem .9rem;white-space:pre-wrap}dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;font-size:.9rem;margin:.4rem 0}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
a{color:var(--series0)}
@media(max-width:40rem){body{padding:1.2rem .9rem 3rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}th,td{padding-right:.5rem}}
@media print{.scroll,figure{overflow:visible}table{font-size:8pt}:root{--page:#fff;--ink:#000;--quiet:#444;--line:#bbb;--soft:#fff}body{max-width:none;font-size:10pt;padding:0}details,figure,tr{break-inside:avoid}details::details-content{content-visibility:visible;block-size:auto}h2,h3,h4{break-after:avoid}}
)";

}  // namespace reprise::clr
