// The policy on the arm: playback, distance, torques, joint ranges, smoothness, map of goals.

sections.push({ id: 'arm', title: 'Policy on the arm', build: buildArm });

function buildArm(root, part) {
  const failed = part.episodes.filter((e) => !e.success);
  root.append(element('p', { text: `${part.episodes.length} episodes of ${part.policy}; ${failed.length ? `${failed.length} fail` : 'none fails'}.` }));
  const cards = element('div', { class: 'cards' });
  root.append(cards);
  playback(cards, part);
  torqueShares(cards, part);
  jointRanges(cards, part);
  if (part.has_goal) goalMap(cards, part, failed);
}

function playback(cards, part) {
  const names = Object.keys(part.playback);
  const view = { name: names[0], frame: 0, playing: false, ...VIEW };
  const canvas = element('canvas', { id: 'playback' });
  const time = element('span', { class: 'soft', id: 'playback-time' });
  const play = element('button', { type: 'button', id: 'play', text: 'play', onclick: () => { view.playing = !view.playing; if (view.playing) run(); show(); } });
  const slider = range(0, 1, 1, 0, (value) => { view.playing = false; view.frame = value; show(); });
  slider.id = 'playback-frame';
  const all = Object.values(part.playback).flatMap((e) => e.points.flat());
  const extent = Math.max(...all.flatMap((p) => p.map(Math.abs)));
  const distance = plotArea();
  const torque = plotArea();
  const choice = choose(names.map((name) => `${name} (episode ${part.playback[name].number})`), 0, (i) => { view.name = names[i]; view.frame = 0; open(); });
  const player = card('Playback', choice, canvas, element('div', { class: 'controls' }, play, slider, time),
    element('p', { class: 'soft small', text: 'Drag to turn. Green: goal and success radius; gold: path of the tip.' }));
  cards.append(player);
  slider.style.flex = 1;
  const charts = element('div', { class: 'card' });
  if (part.has_goal) charts.append(element('h3', { text: 'Distance to the goal [mm], all episodes' }), distance);
  charts.append(element('h3', { text: 'Executed torque [N·m] of the episode played; dashed: limit' }), torque);
  cards.append(charts);
  turnable(canvas, view, show);
  open();

  function open() {
    const episode = part.playback[view.name];
    slider.max = episode.points.length - 1;
    const c = colors();
    const seconds = (values) => values.map((_, i) => i * part.period);
    if (part.has_goal) {
      const traces = part.distances.map((d, i) => ({ x: seconds(d), y: d, mode: 'lines', name: `episode ${part.episodes[i].number}`, showlegend: false, line: { color: faded(c.soft, 0.35), width: 1 } }));
      const d = part.distances[part.episodes.findIndex((e) => e.number === episode.number)];
      traces.push({ x: seconds(d), y: d, mode: 'lines', name: `episode ${episode.number}`, line: { color: c.series[1], width: 2.5 } });
      traces.push({ x: [0, (d.length - 1) * part.period], y: [1e3 * part.radius, 1e3 * part.radius], mode: 'lines', name: 'success radius', line: { color: c.good, dash: 'dash' } });
      plot(distance, traces, { xaxis: { title: { text: 'time [s]' } }, yaxis: { type: 'log' } });
    }
    const torques = part.joints.map((joint, j) => ({ x: seconds(episode.torque), y: episode.torque.map((row) => row[j] * part.torque_limit[j]), name: plain(joint), mode: 'lines', line: { color: c.series[j % c.series.length], dash: j < c.series.length ? 'solid' : 'dot' } }));
    const limits = part.joints.flatMap((joint, j) => [-1, 1].map((sign) => ({ x: [0, episode.torque.length * part.period], y: [sign * part.torque_limit[j], sign * part.torque_limit[j]], mode: 'lines', showlegend: false, hoverinfo: 'skip', line: { color: faded(c.series[j % c.series.length], 0.5), dash: 'dash', width: 1 } })));
    plot(torque, [...torques, ...limits], { xaxis: { title: { text: 'time [s]' } } });
    show();
  }

  function show() {
    const episode = part.playback[view.name];
    slider.value = view.frame;
    play.textContent = view.playing ? 'pause' : 'play';
    const points = episode.points[view.frame];
    const tip = points[points.length - 1];
    const goal = part.has_goal ? episode.goals[view.frame] : null;
    const away = goal ? `, ${number(1e3 * Math.hypot(...tip.map((v, i) => v - goal[i])))} mm from the goal` : '';
    time.textContent = `${(view.frame * part.period).toFixed(2)} s${away}`;
    const trail = episode.points.slice(0, view.frame + 1).map((p) => p[p.length - 1]);
    drawArm(canvas, points, goal, { height: 430, extent, trail, view, radius: part.radius });
  }

  function run() {
    const begun = performance.now() - 1e3 * part.period * view.frame;
    const last = part.playback[view.name].points.length - 1;
    const tick = (now) => {
      if (!view.playing || !canvas.isConnected) return;
      const frame = Math.floor((now - begun) / (1e3 * part.period));
      if (frame > last + 0.7 / part.period) { view.frame = 0; run(); return; }
      view.frame = Math.max(0, Math.min(last, frame));
      show();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
}

function torqueShares(cards, part) {
  const area = plotArea();
  const bins = part.torque_histogram[0].length;
  const used = table(['joint', 'limit [N·m]', 'steps at the limit'], part.joints.map((joint, j) => [joint, number(part.torque_limit[j]), percent(part.at_limit[j])]));
  cards.append(card('Torque used, as a share of the limit', area, used));
  const middle = Array.from({ length: bins }, (_, i) => (i + 0.5) / bins);
  plot(area, [{ type: 'heatmap', x: middle, y: part.joints.map(plain), z: part.torque_histogram.map((row) => row.map((v) => (v > 0 ? 100 * v : null))), colorscale: 'Cividis', colorbar: { title: { text: '% of steps' } }, hovertemplate: '%{y}, %{x:.3f} of the limit: %{z:.1f} % of steps<extra></extra>' }],
    { xaxis: { title: { text: '|torque| / limit' }, range: [0, 1] }, yaxis: { type: 'category', autorange: 'reversed' } });
}

function jointRanges(cards, part) {
  const c = colors();
  const area = plotArea();
  const r = part.range;
  const names = part.joints.map(plain);
  const bar = (low, high, name, color, width) => ({ type: 'bar', orientation: 'h', y: names, base: low, x: high.map((v, i) => v - low[i]), name, width, marker: { color }, customdata: high, hovertemplate: '%{base:.3f} to %{customdata:.3f}<extra></extra>' });
  const limited = r.lower.map((v, i) => (v === null || r.upper[i] === null ? [r.used_lower[i], r.used_upper[i]] : [v, r.upper[i]]));
  const box = card('Joint ranges used, against the limits [rad or m]', area);
  cards.append(box);
  plot(area, [
    bar(limited.map((p) => p[0]), limited.map((p) => p[1]), 'limits', faded(c.soft, 0.3), 0.7),
    bar(r.used_lower, r.used_upper, 'used', faded(c.series[0], 0.55), 0.45),
    bar(r.middle_lower, r.middle_upper, 'used, middle 90 %', c.series[0], 0.25),
  ], { barmode: 'overlay', yaxis: { type: 'category', autorange: 'reversed' } });
  smoothness(box, part);
}

function smoothness(box, part) {
  const c = colors();
  const area = plotArea();
  const names = part.joints.map(plain);
  box.append(element('h3', { text: 'Smoothness: change of the torque per step, share of the limit' }), area);
  plot(area, [
    { type: 'bar', x: names, y: part.smoothness.mean, name: 'mean', marker: { color: c.series[0] } },
    { type: 'bar', x: names, y: part.smoothness.p95, name: '95th percentile', marker: { color: c.series[1] } },
  ], { xaxis: { type: 'category' } });
}

function goalMap(cards, part, failed) {
  const c = colors();
  const area = plotArea('tall');
  const box = card('Goals in the workspace', area, failed.length
    ? table(['episode', 'goal [m]', 'distance [mm]', 'fault'], failed.map((e) => [e.number, e.goal.map((v) => v.toFixed(3)).join(', '), number(e.distance), e.fault || '–']))
    : element('p', { class: 'soft', text: 'No failure in these episodes.' }));
  box.classList.add('wide');
  cards.append(box);
  const points = (episodes, name, color, symbol) => ({
    type: 'scatter3d', mode: 'markers', name, marker: { color, size: 6, symbol },
    x: episodes.map((e) => e.goal[0]), y: episodes.map((e) => e.goal[1]), z: episodes.map((e) => e.goal[2]),
    text: episodes.map((e) => plain(`episode ${e.number}, ${number(e.distance)} mm${e.fault ? `, ${e.fault}` : ''}`)), hovertemplate: '%{text}<extra></extra>',
  });
  const still = Object.values(part.playback)[0].points[0];
  plot(area, [
    points(part.episodes.filter((e) => e.success), 'reached', c.series[2], 'circle'),
    points(failed, 'failed', c.series[1], 'x'),
    { type: 'scatter3d', mode: 'lines+markers', name: 'arm', x: still.map((p) => p[0]), y: still.map((p) => p[1]), z: still.map((p) => p[2]), line: { color: c.soft, width: 10 }, marker: { size: 4, color: c.text }, hoverinfo: 'skip' },
  ], { scene: { camera: { eye: { x: 1.3, y: 1.3, z: 0.6 }, center: { x: 0, y: 0, z: -0.1 } } }, margin: { l: 0, r: 0, t: 0, b: 0 } });
}
