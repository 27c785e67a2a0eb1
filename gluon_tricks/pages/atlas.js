"use strict";
/* The atlas: filter and sort the list of runs, overlay two to six of them and logs from the reader's disk.

   The list stands in the page's HTML; the curves are in the JSON "atlas-data":
   runs: { name: { dataset, model, metric, mixup, usable, measured, val1, val5, train } }, curves a figure per epoch in
   percent of accuracy (or RMSE x 100), null where there is none. What is shown can be linked to: atlas.html#search=resnet50*&show=NAME,NAME
*/
(() => {
  const data = Shell.json("atlas-data");
  const find = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll(".run")];
  const rowOf = Object.fromEntries(rows.map((row) => [row.dataset.name, row]));
  const slots = new Array(data.styles.length).fill(null);      // names of the overlaid runs; the place is the colour
  const ownLogs = [];                                          // { name, curves }, drawn in the colour of the text
  let isOpening = false;                                       // the overlay is the page's choice

  const CURVES = {
    val1: { title: "validation accuracy, top-1, %", of: (run) => run.val1 },
    val5: { title: "validation accuracy, top-5, %", of: (run) => run.val5 },
    train: { title: "training accuracy, %", of: (run) => (run.metric === "rmse" ? [] : run.train) },
    rmse: { title: "training RMSE x 100", of: (run) => (run.metric === "rmse" ? run.train : []) },
  };

  // --- The list ---------------------------------------------------------------------------------------------

  function pattern(word) {
    const escaped = word.replace(/[.+^${}()|\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".").replace(/\[!/g, "[^");
    try { return new RegExp(`^${escaped}$`); } catch { return null; }        // a bracket without its partner
  }

  // A word with * ? [ must fit a whole name; any other word may stand anywhere in name, model and tricks
  function fits(row, word) {
    const names = [row.dataset.name.toLowerCase(), row.dataset.model.toLowerCase()];
    const expression = /[*?[]/.test(word) ? pattern(word) : null;
    if (expression) return names.some((name) => expression.test(name));
    return [...names, row.dataset.tricks].some((text) => text.includes(word));
  }

  function filter() {
    const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const dataset = find("dataset").value;
    const tricks = [...document.querySelectorAll("#tricks input:checked")].map((box) => box.value);
    const usable = find("usable").checked;
    let count = 0;
    for (const row of rows) {
      const has = row.dataset.tricks.split(" ");
      row.hidden = !(words.every((word) => fits(row, word)) && (!dataset || row.dataset.dataset === dataset)
        && tricks.every((trick) => has.includes(trick)) && (!usable || "usable" in row.dataset));
      count += !row.hidden;
    }
    find("count").textContent = `${count} of ${rows.length} runs`;
    find("none").hidden = count > 0;
    remember();
  }

  function sort() {
    const key = find("sort").value;
    const text = (row) => row.dataset.name;
    const number = (row) => +(row.dataset[key] || 0);
    const order = (a, b) => (key === "name" ? 0 : number(b) - number(a)) || (text(a) < text(b) ? -1 : 1);
    find("runs").append(...[...rows].sort(order));
  }

  // --- The overlay ------------------------------------------------------------------------------------------

  function toggle(name, on) {
    const place = slots.indexOf(on ? null : name);
    if (place < 0 || (on && slots.includes(name))) return;
    slots[place] = on ? name : null;
    isOpening = false;
    overlay();
  }

  function trace(name, run, style, kind) {
    const values = CURVES[kind].of(run);
    const known = kind.startsWith("val") ? "validation" : "training";
    const doubtful = run.measured && ![known, "both"].includes(run.measured);
    return {
      name: name + (doubtful ? " (no measurement)" : ""), x: values.map((_, epoch) => epoch), y: values, connectgaps: true,
      mode: "lines+markers", ...style, marker: { ...style.marker, maxdisplayed: 25 }, hovertemplate: "%{y:.2f}",
    };
  }

  function traces(kind) {
    const chosen = slots.flatMap((name, i) => (name ? [trace(name, data.runs[name], data.styles[i], kind)] : []));
    const own = ownLogs.map((log, i) => {
      const { line, marker } = data.styles[i % data.styles.length];
      return trace(log.name, log.curves, { line: { ...line, color: "var(--ink)", width: 3 }, marker }, kind);
    });
    return [...chosen, ...own];
  }

  // Up to the last epoch of the reader's logs and a few more, and without the depths of the first tenth
  function ranges(lines) {
    const longest = (some) => Math.max(0, ...some.map((line) => line.y.length));
    const own = longest(lines.slice(lines.length - ownLogs.length));
    const isShort = ownLogs.length && find("short").checked;
    const last = isShort ? own + Math.max(2, own / 10) : longest(lines);
    const seen = lines.flatMap((line) => line.y.slice(isShort ? 0 : Math.floor(last / 10), Math.ceil(last) + 1))
      .filter((value) => value !== null);
    if (!seen.length) return [[0, 1], [0, 100]];
    const [low, high] = [Math.min(...seen), Math.max(...seen)];
    const space = 0.05 * (high - low || 1);
    return [[-0.01 * last, last], [low - space, high + space]];
  }

  // Plotly reads tags in names
  const withoutTags = (name) => name.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function overlay() {
    const kind = find("curve").value;
    const lines = traces(kind);
    const drawn = lines.filter((line) => line.y.some((value) => value !== null));
    const [x, y] = ranges(lines);
    Shell.draw(find("overlay"), drawn.map((line) => ({ ...line, name: withoutTags(line.name) })), {
      xaxis: { title: { text: "epoch" }, range: x, unifiedhovertitle: { text: "epoch %{x}" } }, yaxis: { title: { text: CURVES[kind].title }, range: y }, showlegend: true,
    });
    find("overlay").setAttribute("aria-label", `${CURVES[kind].title}, over the epochs, of ${drawn.map((line) => line.name).join(", ")}`);
    const without = lines.filter((line) => !drawn.includes(line)).map((line) => line.name);
    find("without").textContent = without.length ? `Without ${CURVES[kind].title.split(",")[0]}: ${without.join(", ")}.` : "";
    describe(drawn, kind === "rmse" ? -1 : 1);
    marks();
    remember();
  }

  // The same as a table, for those who cannot see the chart
  function describe(lines, sign) {
    const cell = (text, kind) => Object.assign(document.createElement("td"), { textContent: text, className: kind });
    find("described").replaceChildren(...lines.map((line) => {
      const points = line.y.flatMap((value, epoch) => (value === null ? [] : [[value, epoch]]));
      const [best, at] = points.reduce((found, point) => (sign * point[0] > sign * found[0] ? point : found));
      const [last, end] = points[points.length - 1];
      const row = document.createElement("tr");
      row.append(cell(line.name, ""), ...[end, last.toFixed(2), best.toFixed(2), at].map((text) => cell(text, "number")));
      return row;
    }));
  }

  // Boxes, line samples and buttons say what is overlaid
  function marks() {
    const isFull = !slots.includes(null);
    for (const row of rows) {
      const place = slots.indexOf(row.dataset.name);
      const box = row.querySelector("input");
      box.checked = place >= 0;
      box.disabled = isFull && place < 0;
      row.classList.toggle("shown", place >= 0);
      row.style.setProperty("--mark", place < 0 ? "transparent" : data.styles[place].line.color);
    }
    find("full").hidden = !isFull;
    const names = [...slots.filter(Boolean), ...ownLogs.map((log) => log.name)];
    find("chosen").replaceChildren(...names.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${name} ×`;
      button.setAttribute("aria-label", `remove ${name}`);
      button.addEventListener("click", () => remove(name));
      return button;
    }));
    find("clear").hidden = names.length === 0;
    find("short-label").hidden = ownLogs.length === 0;
  }

  function remove(name) {
    const place = ownLogs.findIndex((log) => log.name === name);
    if (place < 0) return toggle(name, false);
    ownLogs.splice(place, 1);
    return overlay();
  }

  function clear() {
    slots.fill(null);
    ownLogs.length = 0;
    overlay();
  }

  // --- The reader's own logs --------------------------------------------------------------------------------

  const percent = (value) => (value === undefined || Number.isNaN(value) ? null : Math.round(1e4 * value) / 100);

  // Epochs as a published run has them
  function curvesOf(log) {
    const curves = { metric: log.epochs[0].metric, val1: [], val5: [], train: [] };
    for (const record of log.epochs) {
      const train = record.metric === "err-top1" ? 1 - record.train : record.train;
      const figures = { val1: record.val1, val5: record.val5, train };
      for (const [name, value] of Object.entries(figures)) {
        while (curves[name].length < record.epoch) curves[name].push(null);
        curves[name].push(percent(value));
      }
    }
    return curves;
  }

  // The published run of the same net, by the log's header
  function nameOfSame(log) {
    const model = (/[( ]model='([\w.]+)'/.exec(log.header) || [])[1];
    const mixup = log.epochs[0].metric === "rmse";
    return Object.keys(data.runs).find((name) => {
      const run = data.runs[name];
      return run.usable && run.model === model && run.dataset === log.style && run.mixup === mixup;
    });
  }

  async function textOf(file) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    return new TextDecoder(isUtf16 ? (bytes[0] === 0xff ? "utf-16le" : "utf-16be") : "utf-8").decode(bytes);
  }

  function propose(name) {
    if (isOpening) slots.fill(null);
    isOpening = false;
    if (!slots.includes(name) && slots.includes(null)) slots[slots.indexOf(null)] = name;
  }

  function freeName(name) {
    const isTaken = (wanted) => ownLogs.some((log) => log.name === wanted);
    for (let i = 1; ; i += 1) {
      const wanted = i === 1 ? name : `${name} (${i})`;
      if (!isTaken(wanted)) return wanted;
    }
  }

  async function take(files) {
    const said = [];
    for (const file of files) {
      const log = await textOf(file).then((text) => readLog(text, data.grammar)).catch(() => ({ epochs: [] }));
      if (!log.epochs.length || log.epochs[log.epochs.length - 1].epoch > 100000) {
        said.push(`${file.name}: no finished epoch in it; give the .log file of a classification run.`);
        continue;
      }
      ownLogs.push({ name: freeName(file.name), curves: curvesOf(log) });
      const same = nameOfSame(log);
      if (same) propose(same);
      said.push(`${file.name}: ${log.epochs.length} epochs` + (same ? `; the published run of this net is ${same}.` : "."));
    }
    find("said").textContent = said.join(" ");
    overlay();
  }

  // --- Links, copies ----------------------------------------------------------------------------------------

  function remember() {
    const parts = { search: find("search").value, show: slots.filter(Boolean).join(","), curve: find("curve").value };
    const words = Object.entries(parts).filter(([name, value]) => value && value !== "val1")
      .map(([name, value]) => `${name}=${encodeURIComponent(value).replace(/%2C/g, ",")}`);
    try { history.replaceState(null, "", `#${words.join("&")}`); } catch { /* some browsers refuse it for files */ }
  }

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1).replace(/\+/g, "%2B"));
    isOpening = !parts.has("show");
    const names = isOpening ? data.opening : parts.get("show").split(",");
    names.filter((name) => name in data.runs).slice(0, slots.length).forEach((name, i) => { slots[i] = name; });
    find("search").value = parts.get("search") || "";
    if (parts.get("curve") in CURVES) find("curve").value = parts.get("curve");
  }

  async function copy(button) {
    const text = button.closest(".run").querySelector("pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(button.closest(".run").querySelector("pre"));
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy command"; }, 1500);
  }

  // --- Start ------------------------------------------------------------------------------------------------

  recall();
  for (const id of ["search", "dataset", "usable"]) find(id).addEventListener("input", filter);
  find("tricks").addEventListener("input", filter);
  find("sort").addEventListener("input", sort);
  find("short").addEventListener("input", overlay);
  find("clear").addEventListener("click", clear);
  find("curve").addEventListener("input", () => { Plotly.purge(find("overlay")); overlay(); });
  find("files").addEventListener("change", (event) => { take([...event.target.files]); event.target.value = ""; });
  find("runs").addEventListener("change", (event) => toggle(event.target.closest(".run").dataset.name, event.target.checked));
  find("runs").addEventListener("click", (event) => { if (event.target.matches(".copy")) copy(event.target); });
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
  document.addEventListener("dragover", () => document.body.classList.add("dragging"));
  document.addEventListener("dragleave", () => document.body.classList.remove("dragging"));
  document.addEventListener("drop", (event) => { document.body.classList.remove("dragging"); take([...event.dataTransfer.files]); });
  filter();
  overlay();
})();
