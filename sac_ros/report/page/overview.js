// Overview: what was trained, the result, warnings, settings, files.

const FIGURES = [
  ['episodes', 'episodes', number],
  ['success', 'success', percent],
  ['mean_return', 'mean return', number],
  ['distance_median', 'final distance, median [mm]', number],
  ['distance_p95', 'final distance, 95th percentile [mm]', number],
  ['time_to_goal_median', 'time to goal, median [s]', number],
  ['tip_speed', 'tip speed at rest [mm/s]', number],
  ['chatter', 'chatter at rest [share of the limit per step]', number],
  ['peak_speed', 'peak joint speed [of the limit]', number],
  ['faults', 'faults', number],
];

sections.push({ id: 'overview', title: 'Overview', build: buildOverview });

function buildOverview(root, part) {
  const result = part.result;
  const passes = Object.entries(result.passes || {});
  if (result.verdict) {
    root.append(element('p', { class: `verdict ${result.accepted ? 'accepted' : 'rejected'}`, text: result.verdict }));
  }
  if (passes.length) {
    const figures = passes[0][1];
    const shown = [
      ['success', percent(figures.success)], ['mean return', number(figures.mean_return)],
      ['median final distance', `${number(figures.distance_median)} mm`],
      ['95th percentile', `${number(figures.distance_p95)} mm`],
      ['tip speed at rest', `${number(figures.tip_speed)} mm/s`],
    ].filter(([, value]) => !value.startsWith('–'));
    root.append(element('div', { class: 'tiles' }, ...shown.map(([label, value]) => tile(label, value))));
  }
  if (part.warnings.length) {
    root.append(element('ul', { class: 'warnings' }, ...part.warnings.map((text) => element('li', { text }))));
  }
  const cards = element('div', { class: 'cards' }, card('Run', table(null, part.facts, false)));
  if (passes.length) {
    const rows = FIGURES.map(([key, label, show]) => [label, ...passes.map(([, figures]) => show(figures[key]))])
      .filter((row) => row.slice(1).some((value) => value !== '–'));
    const step = result.step === null || result.step === undefined ? '' : `, learner of step ${result.step}`;
    cards.append(card('Result', table(['', ...passes.map(([name]) => name)], rows),
      element('p', { class: 'soft small', text: `From ${result.source}${step}.` })));
  } else cards.append(card('Result', missing('no evaluation has been recorded')));
  const settings = part.settings.map((item) => [item.name, item.value, item.default === '' ? 'none' : item.default, item.text]);
  const changed = card('Settings that differ from the default', settings.length
    ? table(['setting', 'value', 'default', ''], settings, false)
    : element('p', { class: 'soft', text: 'None, or they are not known.' }));
  changed.classList.add('wide');
  cards.append(changed, card('Files', table(['', 'size'], part.files.map(([name, size]) => [name, bytes(size)]))));
  if (part.missing.length) {
    cards.append(card('Not found, or of no use', element('ul', {}, ...part.missing.map((text) => element('li', { text })))));
  }
  root.append(cards);
}

function bytes(size) {
  if (size < 1e3) return `${size} B`;
  return size < 1e6 ? `${number(size / 1e3)} kB` : `${number(size / 1e6)} MB`;
}
