// The twin critics: the clean case of a true value of zero, and the run's own critics.

const DRAWS = 1000; // of each press of the button

sections.push({ id: 'critics', title: 'Twin critics', build: buildCritics });

function buildCritics(root, part) {
  root.append(element('p', { text: 'Bootstrapping leans high, because it seeks out the most generous error. The minimum of two critics leans low, and the two pull against each other.' }));
  const cards = element('div', { class: 'cards' });
  root.append(cards);
  cleanCase(cards);
  ownCritics(cards, part);
}

// Mulberry32: a small generator, so that the same draws come at every opening.
function generator(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function cleanCase(cards) {
  const view = { c: 1 };
  const area = plotArea();
  area.id = 'clean-plot';
  const labels = [['draws', 'draws'], ['single', 'single critic'], ['minimum', 'minimum of two'], ['limit', '−c/3']];
  const width = element('span', { id: 'clean-c' });
  const slider = range(0.1, 3, 0.1, view.c, (value) => { view.c = value; restart(); });
  slider.id = 'noise';
  cards.append(card('Clean case: the true value is 0',
    element('p', { class: 'small', text: 'Each critic reports 0 plus noise, uniform in [−c, c]. The mean of one critic settles on 0, that of the minimum of two on −c/3.' }),
    element('div', { class: 'controls' },
      element('button', { type: 'button', id: 'more-draws', text: `${DRAWS} more draws`, onclick: () => more(DRAWS) }),
      element('button', { type: 'button', text: 'start again', onclick: () => restart() }),
      element('label', {}, 'noise ', slider, ' ', width)),
    element('div', { class: 'tiles' }, ...labels.map(([id, label]) => tile(label, '–', `clean-${id}`))), area));
  restart();

  function restart() {
    Object.assign(view, { random: generator(1), draws: 0, single: 0, minimum: 0, x: [], one: [], two: [] });
    width.textContent = `c = ${number(view.c)}`;
    more(DRAWS);
  }

  function more(count) {
    for (let i = 0; i < count; i += 1) {
      const first = view.c * (2 * view.random() - 1);
      const second = view.c * (2 * view.random() - 1);
      view.draws += 1;
      view.single += first;
      view.minimum += Math.min(first, second);
      if (view.draws < 100 || view.draws % 10 === 0) {
        view.x.push(view.draws);
        view.one.push(view.single / view.draws);
        view.two.push(view.minimum / view.draws);
      }
    }
    const values = { draws: view.draws, single: view.single / view.draws, minimum: view.minimum / view.draws, limit: -view.c / 3 };
    for (const [id] of labels) {
      const node = document.getElementById(`clean-${id}`);
      node.textContent = id === 'draws' ? values[id] : values[id].toFixed(3);
      node.dataset.value = values[id];
    }
    const c = colors();
    const line = (y, name, color) => ({ x: [1, view.draws], y: [y, y], name, mode: 'lines', line: { color, dash: 'dash', width: 1.5 }, hoverinfo: 'skip' });
    plot(area, [
      { x: view.x, y: view.one, name: 'single critic', line: { color: c.series[0] } },
      { x: view.x, y: view.two, name: 'minimum of two', line: { color: c.series[1] } },
      line(0, 'true value', c.soft), line(-view.c / 3, '−c/3', c.text),
    ], { xaxis: { type: 'log', title: { text: 'draws' } }, yaxis: { title: { text: 'running mean' }, range: [-0.75 * view.c, 0.5 * view.c] } });
  }
}

function ownCritics(cards, part) {
  if (!part.q) { cards.append(card('The critics of the run', missing(part.missing))); return; }
  const c = colors();
  const newest = part.over_training[part.over_training.length - 1];
  const low = Math.min(...part.returns, ...part.q.flat());
  const high = Math.max(...part.returns, ...part.q.flat());
  const least = part.returns.map((_, i) => Math.min(...part.q.map((q) => q[i])));
  const scatter = plotArea();
  const points = (y, name, color, size, symbol) => ({ x: part.returns, y, name, mode: 'markers', marker: { color, size, symbol, opacity: 0.7 } });
  cards.append(card('The critics of the run: Q against what followed',
    element('p', { class: 'small', text: `${part.states} states of ${part.episodes} episodes of the stochastic policy of step ${part.step}. What followed: rewards, discounted by ${part.gamma}, and the entropy bonus at α = ${number(part.alpha)}. On the line a critic is right; below it, pessimistic.` }),
    element('div', { class: 'tiles' }, tile('mean of min Q − return', number(newest.bias), 'critics-bias'), tile('standard error', number(newest.error)), tile('mean size of a return', number(part.return_size))), scatter));
  plot(scatter, [
    ...(part.q.length > 1 ? part.q.map((q, i) => points(q, `critic ${i + 1}`, c.series[i === 0 ? 0 : 2], 5, i ? 'cross-thin-open' : 'circle-open')) : []),
    points(least, part.q.length > 1 ? 'minimum' : 'critic', c.series[1], 5, 'circle'),
    { x: [low, high], y: [low, high], mode: 'lines', name: 'Q = return', line: { color: c.soft, dash: 'dash' }, hoverinfo: 'skip' },
  ], { xaxis: { title: { text: 'discounted soft return that followed' } }, yaxis: { title: { text: 'Q' } } });
  const over = plotArea();
  const steps = part.over_training.map((row) => row.step);
  const box = card('Bias over training', element('p', { class: 'small', text: `Mean of Q − return for each learner that the run keeps: ${part.over_training.map((row) => `${row.file} of step ${row.step}`).join(', ')}. Bars: standard error over episodes.` }), over,
    ...part.missing.map((text) => missing(text)));
  cards.append(box);
  const series = (y, name, color, error) => ({ x: steps, y, name, mode: 'lines+markers', line: { color }, marker: { size: 8 }, ...(error ? { error_y: { array: error, color } } : {}) });
  plot(over, [
    ...(part.q.length > 1 ? part.q.map((_, i) => series(part.over_training.map((row) => row.single[i]), `critic ${i + 1}`, c.series[i === 0 ? 0 : 2])) : []),
    series(part.over_training.map((row) => row.bias), part.q.length > 1 ? 'minimum' : 'critic', c.series[1], part.over_training.map((row) => row.error)),
    { x: [Math.min(...steps, 0), Math.max(...steps)], y: [0, 0], mode: 'lines', name: 'no bias', line: { color: c.soft, dash: 'dash' }, hoverinfo: 'skip' },
  ], { xaxis: { title: { text: 'environment steps' } }, yaxis: { title: { text: 'Q − return' } } });
}
