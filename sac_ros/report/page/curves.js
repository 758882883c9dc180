// Learning curves: every run, and mean and spread of runs that differ in the seed alone.

const DASHES = ['solid', 'dash', 'dot'];

sections.push({ id: 'curves', title: 'Learning curves', build: buildCurves });

function buildCurves(root, part) {
  if (!part.charts.length) { root.append(missing('no figure of the training has been recorded')); return; }
  root.append(element('p', { class: 'soft', text: 'Drag to zoom, double-click to zoom out; a click on the legend hides a curve.' }));
  const cards = element('div', { class: 'cards dense' });
  root.append(cards);
  for (const chart of part.charts) {
    const area = plotArea();
    cards.append(card(chart.unit ? `${chart.title} [${chart.unit}]` : chart.title, area));
    drawChart(area, chart, part.groups);
  }
}

function drawChart(area, chart, groups) {
  const c = colors();
  const several = page.runs.length > 1;
  const kinds = [...new Set(chart.series.map((s) => s.name))];
  const traces = chart.series.map((s) => ({
    x: s.x, y: s.y, name: plain(several ? `${page.runs[s.run].name}: ${s.name}` : s.name),
    mode: s.measured || s.x.length < 3 ? 'lines+markers' : 'lines',
    line: {
      color: c.series[(several ? s.run : kinds.indexOf(s.name)) % c.series.length],
      dash: several ? DASHES[kinds.indexOf(s.name) % DASHES.length] : 'solid', width: several ? 1.3 : 2,
    },
  }));
  for (const mean of chart.means) {
    const color = c.text;
    const name = plain(`${groups[mean.group]}: ${mean.name}`);
    traces.push({ x: [...mean.x, ...[...mean.x].reverse()], y: [...mean.high, ...[...mean.low].reverse()], fill: 'toself', fillcolor: faded(color, 0.15), line: { width: 0 }, hoverinfo: 'skip', legendgroup: name, name: `${name}, ± 1 standard deviation`, showlegend: false });
    traces.push({ x: mean.x, y: mean.y, name, legendgroup: name, mode: 'lines', line: { color, width: 3, dash: DASHES[kinds.indexOf(mean.name) % DASHES.length] } });
  }
  const ends = chart.series.flatMap((s) => [s.x[0], s.x[s.x.length - 1]]);
  for (const level of chart.levels || []) {
    traces.push({ x: [Math.min(...ends), Math.max(...ends)], y: [level.value, level.value], name: level.name, mode: 'lines', line: { color: c.soft, dash: 'dash' } });
  }
  plot(area, traces, {
    xaxis: { title: { text: 'environment steps' } }, yaxis: { type: chart.log ? 'log' : 'linear', ...(chart.unit === 'share' ? { range: [-0.03, 1.05] } : {}) },
    showlegend: traces.length > 1, hovermode: 'x unified',
  });
}
