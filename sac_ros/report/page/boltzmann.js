// The Boltzmann policy of the run's own critics along one action dimension.

const COLDEST = -5; // log10 of the temperature
const HOTTEST = 2;

sections.push({ id: 'boltzmann', title: 'Boltzmann policy', build: buildBoltzmann });

function buildBoltzmann(root, part) {
  const q = floats(part.q);
  const tops = floats(part.q_max).values;
  const [, joints, size] = q.shape;
  const step = 2 / (size - 1);
  const grid = Array.from({ length: size }, (_, i) => -1 + i * step);
  const view = { state: part.first[0], joint: part.first[1], log: 0 };
  const ownLog = () => Math.max(COLDEST, Math.min(HOTTEST, Math.log10(part.alpha[view.state])));
  view.log = ownLog();
  const what = part.residual ? 'residual' : 'action';

  root.append(element('p', { text: `What the critics of step ${part.step} (${part.learner}) believe about one ${what} at a recorded state, with the other joints at the actor's mean. `
    + 'Grey: Q, the minimum of the critics. Gold: the soft-optimal policy exp(Q/α)/Z that this Q induces at temperature α. The dotted curve is the density that the actor has learned.' }));
  root.append(element('p', { class: 'soft small', text: part.residual
    ? 'The policy is a residual on a base controller: executed action = clip(base + authority × residual, −1, 1), times the torque limit. The axis is the residual, which the actor draws and whose entropy counts; Q is that of the executed action. Near the goal the authority is small and Q is flat; α at a state is that of the learner times the share of authority there.'
    : 'The axis is the action, which is executed as it is.' }));

  const thumbnails = element('div', { class: 'thumbnails' });
  const episodes = [...new Set(part.states.map((s) => s.episode))];
  const episode = element('select', { id: 'boltzmann-episode', onchange: () => { view.state = statesOf(Number(episode.value))[0]; showStates(); draw(); } },
    ...episodes.map((n) => element('option', { value: n, text: n })));
  const statesOf = (n) => part.states.flatMap((s, i) => (s.episode === n ? [i] : []));
  const jointChoice = choose(part.joints, view.joint, (i) => { view.joint = i; draw(); });

  const slider = range(COLDEST, HOTTEST, 0.01, view.log, (value) => { view.log = value; draw(); });
  slider.id = 'temperature';
  slider.setAttribute('aria-label', 'temperature alpha, logarithmic');
  const mark = element('span', { class: 'mark' });
  const placeMark = () => {
    const share = (ownLog() - COLDEST) / (HOTTEST - COLDEST);
    mark.textContent = `▲ α of the run here, ${number(part.alpha[view.state])}`;
    mark.style.left = `calc(${100 * share}% + ${8 - 16 * share}px)`;
  };
  const own = element('button', { type: 'button', id: 'own-alpha', text: 'α of the run', onclick: () => { view.log = ownLog(); slider.value = view.log; draw(); } });

  const area = plotArea('tall');
  area.id = 'boltzmann-plot';
  const labels = [['alpha', 'temperature α'], ['entropy', 'entropy H [nat]'], ['value', 'soft value V = α log Z'], ['max', 'max Q'], ['best', 'P(best basin)'], ['worse', 'P(worse basin)']];
  const tiles = element('div', { class: 'tiles' }, ...labels.map(([id, label]) => tile(label, '–', `boltzmann-${id}`)));
  const note = element('p', { class: 'soft small', id: 'boltzmann-note' });
  root.append(element('div', { class: 'card' },
    element('div', { class: 'controls' }, element('label', {}, 'episode ', episode), element('span', { class: 'soft', text: `joint of the ${what}` }), jointChoice),
    thumbnails, tiles, area,
    element('div', { class: 'controls' }, element('span', { text: 'cold' }), element('div', { class: 'slider' }, slider, mark), element('span', { text: 'hot' }), own), note));

  function showStates() {
    const shown = statesOf(part.states[view.state].episode);
    episode.value = part.states[view.state].episode;
    const buttons = shown.map((i) => {
      const button = element('button', { type: 'button', 'aria-pressed': i === view.state, onclick: () => { view.state = i; showStates(); draw(); } });
      if (part.links) {
        const canvas = element('canvas');
        button.append(canvas);
        requestAnimationFrame(() => drawArm(canvas, part.links[i].points, part.links[i].goal, { height: 96 }));
      }
      button.append(element('span', { class: 'small', text: `step ${part.states[i].step}` }));
      return button;
    });
    thumbnails.replaceChildren(...buttons);
  }

  function draw() {
    placeMark();
    const c = colors();
    const [s, j] = [view.state, view.joint];
    const top = tops[s * joints + j];
    const curve = Array.from(q.values.subarray((s * joints + j) * size, (s * joints + j + 1) * size));
    const alpha = 10 ** view.log;
    const basins = part.basins[s][j];
    const soft = softPolicy(curve, step, alpha, basins);
    const actor = grid.map((a) => squashedNormal(a, part.mean[s][j], part.log_std[s][j]));
    const greedy = grid[curve.indexOf(0)];
    const values = { alpha, entropy: soft.entropy, value: top + soft.value, max: top, best: soft.probability[0], worse: soft.probability[1] };
    for (const [id] of labels) {
      const share = id === 'best' || id === 'worse';
      const node = document.getElementById(`boltzmann-${id}`);
      node.textContent = share ? percent(values[id]) : number(values[id], 5);
      node.dataset.value = values[id] === undefined ? '' : values[id];
    }
    const height = Math.max(...soft.density);
    const most = Math.max(height, Math.min(Math.max(...actor.filter((d) => d !== null)), 10 * height));
    const sum = curve.map((value) => top + value);
    const torque = (r) => executed(part, s, j, r);
    plot(area, [
      { x: grid, y: soft.density, name: 'soft policy exp(Q/α)/Z', yaxis: 'y2', fill: 'tozeroy', fillcolor: faded(c.gold, 0.45), line: { color: c.gold, width: 2 } },
      { x: grid, y: actor, name: 'density of the actor', yaxis: 'y2', line: { color: c.series[0], width: 2, dash: 'dot' } },
      { x: grid, y: sum, name: 'Q, minimum of the critics', line: { color: c.soft, width: 3 }, customdata: grid.map(torque), hovertemplate: `Q %{y:.5g}, executed %{customdata:.3g} ${part.unit}<extra></extra>` },
      { x: [greedy, greedy], y: [0, 1.08 * most], yaxis: 'y2', mode: 'lines', name: 'greedy action', line: { color: c.text, dash: 'dash', width: 1.5 }, hoverinfo: 'skip' },
    ], {
      xaxis: { title: { text: plain(`${what} of ${part.joints[j]}`) }, range: [-1.02, 1.02] },
      yaxis: { title: { text: 'Q' }, overlaying: 'y2', side: 'left', showgrid: false, zeroline: false, tickmode: 'auto', nticks: 7 },
      yaxis2: { title: { text: 'density' }, side: 'right', range: [0, 1.1 * most], showgrid: false },
      margin: { l: 60, r: 60, t: 10, b: 45 }, hovermode: 'x',
    });
    note.textContent = `Greedy ${what} ${number(greedy)}, executed torque ${number(torque(greedy))} ${part.unit} of ${number(part.torque_limit[j])}. `
      + (part.residual ? `Authority of the residual in this state: ${percent(part.authority[s])} of the torque limit. ` : '')
      + (basins.length < 2 ? 'Q has one basin here, so there is no worse one.' : 'Basins are separated at the lowest Q between the two highest peaks.');
  }

  showStates();
  draw();
}

// Return the executed torque of a residual r of joint j in state s.
function executed(part, s, j, r) {
  const share = part.residual ? Math.min(1, Math.max(-1, part.base[s][j] + part.authority[s] * r)) : r;
  return share * part.torque_limit[j];
}
