// The replay: sources, age, acting policies, coverage, rewards, damage.

sections.push({ id: 'replay', title: 'Replay', build: buildReplay });

function buildReplay(root, part) {
  const seconds = part.recorded_seconds;
  root.append(element('div', { class: 'tiles' },
    tile('transitions', part.records.toLocaleString('en')), tile('episodes', part.lengths.length),
    tile('damaged records', part.damaged), tile('torn records', part.torn),
    tile('recorded over', seconds < 120 ? `${number(seconds)} s` : `${number(seconds / 60)} min`),
    tile('interruptions', part.interruptions), tile('on disk', bytes(part.disk_bytes))));
  const cards = element('div', { class: 'cards' });
  root.append(cards);
  const total = part.records;
  cards.append(card('Where the samples come from',
    table(['source', 'transitions', 'share'], Object.entries(part.sources).map(([name, n]) => [name, n, percent(n / total)])),
    table(['policy that acted (hash)', 'transitions', 'share'], Object.entries(part.policies).map(([name, n]) => [name, n, percent(n / total)])),
    table(['end of an episode', 'episodes'], [['terminated', part.terminated], ['truncated', part.truncated], ['open or broken off', Math.max(0, part.lengths.length - part.terminated - part.truncated)]]),
    element('p', { class: 'soft small', text: 'Recorded over: time between records, without pauses of a minute and more or restarts of the machine, which count as interruptions.' })));
  const c = colors();
  const returns = plotArea();
  cards.append(card('Return of each episode, oldest first', returns));
  plot(returns, [{ y: part.returns, x: part.returns.map((_, i) => i), mode: 'markers', marker: { color: c.series[0], size: 5 }, text: part.lengths.map((n) => `${n} steps`) }],
    { xaxis: { title: { text: 'episode' } }, yaxis: { title: { text: 'return' } } });
  const rewards = plotArea();
  cards.append(card('Rewards', rewards));
  const { edges, counts } = part.reward;
  plot(rewards, [{ type: 'bar', x: counts.map((_, i) => (edges[i] + edges[i + 1]) / 2), y: counts, width: counts.map((_, i) => edges[i + 1] - edges[i]), marker: { color: c.series[0] } }],
    { xaxis: { title: { text: 'reward' } }, yaxis: { title: { text: 'transitions' } }, bargap: 0 });
  const coverage = plotArea();
  cards.append(card('Coverage of joint positions or observed quantities', coverage,
    element('p', { class: 'soft small', text: `Each row is one quantity from its lower to its upper limit. Empty: never visited. Outside the limits: ${part.coverage.map((q) => q.outside).reduce((a, b) => a + b, 0)} values.` })));
  const bins = part.coverage[0].counts.length;
  plot(coverage, [{
    type: 'heatmap', y: part.coverage.map((q) => plain(q.name)), x: Array.from({ length: bins }, (_, i) => (i + 0.5) / bins),
    z: part.coverage.map((q) => q.counts.map((n) => (n ? Math.log10(n) : null))), text: part.coverage.map((q) => q.counts.map((n, i) => `${number(q.low + ((i + 0.5) / bins) * (q.high - q.low))} ${q.unit}: ${n}`)),
    hovertemplate: '%{y}, %{text}<extra></extra>', colorscale: 'Cividis', colorbar: { title: { text: 'log10 of<br>transitions' } },
  }], { xaxis: { title: { text: 'share of the range' }, range: [0, 1] }, yaxis: { type: 'category', autorange: 'reversed' } });
  if (part.tips) tipMap(cards, part.tips);
}

function tipMap(cards, tips) {
  const area = plotArea('tall');
  const box = card('Coverage of the workspace: positions of the tip, by age', area);
  box.classList.add('wide');
  cards.append(box);
  const column = (k) => tips.points.map((p) => p[k]);
  plot(area, [{
    type: 'scatter3d', mode: 'markers', x: column(0), y: column(1), z: column(2), text: tips.record.map((n) => `transition ${n}`),
    marker: { size: 3, color: tips.record, colorscale: 'Cividis', opacity: 0.8, colorbar: { title: { text: 'transition' } } },
    hovertemplate: '%{text}<br>%{x:.3f}, %{y:.3f}, %{z:.3f} m<extra></extra>',
  }], { scene: { camera: { eye: { x: 1.3, y: 1.3, z: 0.6 }, center: { x: 0, y: 0, z: -0.1 } } }, margin: { l: 0, r: 0, t: 0, b: 0 } });
}
