// Page: unpacks data and library, theme, helpers for elements and plots.

const sections = []; // {id, title, build(root, part)}; each file adds its own
const state = { run: 0 };
let page = null;

async function unpack(id) {
  const text = document.getElementById(id).textContent;
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).text();
}

async function start() {
  if (!('DecompressionStream' in window)) {
    document.getElementById('loading').textContent = 'This browser is too old: it has no DecompressionStream.';
    return;
  }
  page = JSON.parse(await unpack('data'));
  const script = document.createElement('script');
  script.textContent = await unpack('plotly');
  document.head.append(script);
  const dark = window.matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  document.getElementById('theme').onclick = () => {
    const root = document.documentElement;
    root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
    render();
  };
  document.getElementById('title').textContent = document.title;
  const choice = document.getElementById('run');
  page.runs.forEach((run, i) => choice.append(element('option', { value: i, text: run.name })));
  document.getElementById('choice').hidden = page.runs.length < 2;
  choice.onchange = () => { state.run = Number(choice.value); render(); };
  for (const { id, title } of sections) {
    document.getElementById('nav').append(element('a', { href: `#${id}`, text: title }));
  }
  render();
  document.documentElement.dataset.ready = 'true';
}

function render() {
  const main = document.getElementById('main');
  for (const plotted of main.querySelectorAll('.js-plotly-plot')) Plotly.purge(plotted);
  const top = window.scrollY;
  main.replaceChildren();
  for (const { id, title, build } of sections) {
    const root = element('section', { id }, element('h2', { text: title }));
    main.append(root);
    const part = id === 'curves' ? page.curves : page.runs[state.run].parts[id];
    if (part.missing && Object.keys(part).length === 1) root.append(missing(part.missing));
    else build(root, part);
  }
  window.scrollTo(0, top);
}

// Elements hold text only as text: names in files are not markup.
function element(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === 'text') node.textContent = value;
    else if (name === 'class') node.className = value;
    else if (name.startsWith('on')) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function missing(reason) {
  return element('p', { class: 'missing', text: `Not in this report: ${reason}` });
}

function card(title, ...children) {
  return element('div', { class: 'card' }, element('h3', { text: title }), ...children);
}

function tile(label, value, id) {
  const number = element('b', { text: value });
  if (id) number.id = id;
  return element('div', { class: 'tile' }, number, element('span', { text: label }));
}

function table(head, rows, numeric = true) {
  const cell = (tag, value, i) => element(tag, { class: i && numeric ? 'number' : '', text: value });
  return element('table', {},
    ...(head ? [element('tr', {}, ...head.map((value, i) => cell('th', value, i)))] : []),
    ...rows.map((row) => element('tr', {}, ...row.map((value, i) => cell('td', value, i)))));
}

function choose(names, chosen, pick) {
  const buttons = names.map((name, i) => element('button', {
    type: 'button', text: name, 'aria-pressed': i === chosen,
    onclick: () => { buttons.forEach((b, k) => b.setAttribute('aria-pressed', k === i)); pick(i); },
  }));
  return element('span', { class: 'controls' }, ...buttons);
}

function range(low, high, step, value, pick) {
  const input = element('input', { type: 'range', min: low, max: high, step, value });
  input.oninput = () => pick(Number(input.value));
  return input;
}

function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

function percent(share) { return share === null || share === undefined ? '–' : `${number(100 * share)} %`; }

function floats({ f32, shape }) {
  const bytes = Uint8Array.from(atob(f32), (c) => c.charCodeAt(0));
  return { values: new Float32Array(bytes.buffer), shape };
}

// Colors by Okabe and Ito, which color-blind people tell apart; lighter ones on a dark page.
function colors() {
  const dark = document.documentElement.dataset.theme === 'dark';
  const of = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return {
    series: dark
      ? ['#56b4e9', '#e69f00', '#2fc79a', '#cc79a7', '#f0e442', '#ff8a4c', '#9aa7b8']
      : ['#0072b2', '#d55e00', '#009e73', '#b0578d', '#b88a00', '#56b4e9', '#5b6675'],
    gold: '#e69f00', text: of('--text'), soft: of('--soft'), line: of('--line'), card: of('--card'), good: of('--good'), bad: of('--bad'),
  };
}

function faded(color, share) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  return `rgba(${r},${g},${b},${share})`;
}

// Plotly reads a few tags in its texts; a name with < stays text.
function plain(text) {
  return String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

function plot(node, traces, layout = {}) {
  const c = colors();
  const axis = { gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, automargin: true };
  const themed = {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', colorway: c.series,
    font: { color: c.text, size: 12, family: 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif' },
    margin: { l: 50, r: 15, t: 10, b: 40 }, legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 },
    hoverlabel: { bgcolor: c.card, font: { color: c.text } }, ...layout,
  };
  for (const name of ['xaxis', 'yaxis', 'yaxis2']) if (name !== 'yaxis2' || layout.yaxis2) themed[name] = { ...axis, ...layout[name] };
  if (layout.scene) {
    const side = { ...axis, backgroundcolor: 'rgba(0,0,0,0)', color: c.text };
    themed.scene = { aspectmode: 'data', xaxis: { title: { text: 'x [m]' }, ...side }, yaxis: { title: { text: 'y [m]' }, ...side }, zaxis: { title: { text: 'z [m]' }, ...side }, ...layout.scene };
  }
  Plotly.react(node, traces, themed, { displaylogo: false, modeBarButtonsToRemove: ['lasso2d', 'select2d'] });
}

// Return an empty plot, which keeps the size of its card.
function plotArea(kind = '') {
  const node = element('div', { class: `plot ${kind}` });
  new ResizeObserver(() => { if (node.layout && node.clientWidth) Plotly.Plots.resize(node); }).observe(node);
  return node;
}
