"use strict";
/* Draws the page's charts in the colours of its theme.

   Shell.draw(element, traces, layout)   draws or draws again; colours may be var(--NAME) of the style sheet
   Shell.json(id)                        the data in <script type="application/json" id="...">
   Shell.onTheme(callback)               calls back when the theme changes
*/
const Shell = (() => {
  const charts = new Map();                    // element -> [traces, layout]
  const listeners = [];
  let isPrinting = false;
  const root = document.documentElement;
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const isNarrow = window.matchMedia("(max-width: 600px)");

  // The choice lasts as long as the window: also when the page loads again by itself
  function stored() { try { return sessionStorage.getItem("theme"); } catch { return null; } }
  function store(theme) { try { sessionStorage.setItem("theme", theme); } catch { /* no storage: until it reloads */ } }

  function setTheme(theme) {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = theme === "dark" ? "Light colours" : "Dark colours";
    for (const [element, [traces, layout]] of charts) draw(element, traces, layout);
    for (const callback of listeners) callback(theme);
  }
  const wantedTheme = () => isPrinting ? "light" : stored() || (prefersDark.matches ? "dark" : "light");

  // A deep copy with colours for the names of colours
  function resolved(value, style) {
    if (typeof value === "string") {
      const match = /^var\((--[\w-]+)\)$/.exec(value);
      return match ? style.getPropertyValue(match[1]).trim() : value;
    }
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((one) => resolved(one, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolved(one, style)]));
    }
    return value;
  }

  const axis = { gridcolor: "var(--grid)", zerolinecolor: "var(--grid)", linecolor: "var(--line)", automargin: true };
  function common(narrow) {
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: narrow ? 12 : 13, color: "var(--ink)" },
      margin: { l: narrow ? 44 : 56, r: 12, t: 8, b: 40 }, hovermode: "x unified", dragmode: narrow ? false : "zoom",
      hoverlabel: { bgcolor: "var(--paper)", bordercolor: "var(--line)", font: { color: "var(--ink)", size: 12 }, namelength: -1 },
      modebar: { bgcolor: "var(--panel)", color: "var(--soft)", activecolor: "var(--ink)" },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: narrow ? 11 : 12 } },
    };
  }
  function merged(base, over) {
    const out = { ...base };
    for (const [name, value] of Object.entries(over || {})) {
      const deep = value && typeof value === "object" && !Array.isArray(value) && base[name];
      out[name] = deep ? merged(base[name], value) : value;
    }
    return out;
  }

  function draw(element, traces, layout) {
    charts.set(element, [traces, layout]);
    const narrow = isNarrow.matches && !isPrinting;
    const style = getComputedStyle(root);
    const axes = Object.fromEntries(["xaxis", "yaxis", ...Object.keys(layout || {}).filter((name) => /^[xy]axis\d*$/.test(name))]
      .map((name) => [name, axis]));
    const full = { ...merged({ ...common(narrow), ...axes }, layout), uirevision: "kept" };   // zoom outlives the theme
    if (isPrinting) Object.assign(full, { width: 680, autosize: false });
    const config = {
      responsive: true, displaylogo: false, showLink: false, plotlyServerURL: "", scrollZoom: false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
      displayModeBar: narrow ? false : "hover",
    };
    return Plotly.react(element, resolved(traces, style), resolved(full, style), config);
  }

  const json = (id) => JSON.parse(document.getElementById(id).textContent);

  function start() {
    for (const element of document.querySelectorAll(".chart[data-figure]")) {
      const figure = json(element.dataset.figure);
      charts.set(element, [figure.traces, figure.layout]);
    }
    setTheme(wantedTheme());
    const button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      store(theme);
      setTheme(theme);
    });
    for (const query of [prefersDark, isNarrow]) query.addEventListener("change", () => setTheme(wantedTheme()));
    function printing(now) {
      isPrinting = now;
      setTheme(wantedTheme());
      if (now) for (const details of document.querySelectorAll("details.print")) details.open = true;
    }
    window.addEventListener("beforeprint", () => printing(true));
    window.addEventListener("afterprint", () => printing(false));
  }
  root.dataset.theme = wantedTheme();          // before the first paint
  document.addEventListener("DOMContentLoaded", start);
  return { draw, json, onTheme: (callback) => listeners.push(callback) };
})();
