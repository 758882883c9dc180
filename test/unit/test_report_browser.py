# Copyright 2026 sac_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The report in a real browser: right figures, no error, no request."""

import base64
import math
import shutil

import numpy as np
import pytest
import torch
from report_runs import JOINTS, train_arm

from sac_ros.report.boltzmann import boltzmann, recorded_states
from sac_ros.report.page import write_page
from sac_ros.report.run import open_run

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
FLAGS = [
    '--no-sandbox',
    '--use-gl=angle',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
]
TIMEOUT = 200_000  # [ms] software rendering is slow where other programs keep the processor busy
FINE = 20_001  # grid points of the independent integration


@pytest.fixture(scope='module')
def browser():
    """Start Chromium, or skip where there is none."""
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f'no browser: none of {", ".join(BROWSERS)} is installed')
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return open_run(train_arm(tmp_path_factory.mktemp('runs') / '<b>one & only', seed=0))


@pytest.fixture(scope='module')
def page(browser, run, tmp_path_factory):
    """Open the report of two runs; at the end nothing may have failed or been fetched."""
    other = train_arm(run.path.parent / 'two', seed=1)
    path = tmp_path_factory.mktemp('page') / 'report.html'
    write_page([run.path, other], path)
    page = browser.new_page(viewport={'width': 1200, 'height': 900}, color_scheme='light')
    page.set_default_timeout(TIMEOUT)
    errors, fetched = [], []
    page.on('console', lambda m: errors.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.on('request', lambda r: fetched.append(r.url))
    page.goto(path.as_uri())
    page.wait_for_selector('html[data-ready=true]')
    yield page
    assert errors == []
    assert [url for url in fetched if not url.startswith(('data:', 'blob:'))] == [path.as_uri()]


def move(page, selector, value):
    """Move a slider as a person does, up to the rounding of its steps."""
    page.locator(selector).fill(str(value))


def shown(page, name):
    return float(page.locator(f'#{name}').get_attribute('data-value'))


def fine_curve(run, state, joint):
    """Return residuals and Q of the executed action, from the networks themselves."""
    sac, learner = run.learner.sac, run.learner
    row = torch.from_numpy(recorded_states(run.replay)[1][state : state + 1])
    grid = np.linspace(-1, 1, FINE)
    with torch.no_grad():
        residual = torch.tanh(sac.distribution(learner.state, row)[0]).repeat(FINE, 1)
        residual[:, joint] = torch.from_numpy(grid).float()
        rows = row.expand(FINE, -1)
        q = sac.value(learner.state, rows, sac.to_action(rows, residual)).amin(0)
    return grid, q.numpy().astype(np.float64)


def integrals(grid, q, alpha, valley):
    """Return V, H and the mass left of a valley, by the trapezoidal rule on a fine grid."""
    weight = np.exp((q - q.max()) / alpha)
    z = np.trapezoid(weight, grid)
    density = weight / z
    log_density = (q - q.max()) / alpha - math.log(z)
    left = grid <= valley
    return (
        q.max() + alpha * math.log(z),
        -np.trapezoid(density * log_density, grid),
        np.trapezoid(density[left], grid[left]),
    )


@pytest.mark.parametrize('log_alpha', [-2.5, 'own', 1.0])
def test_the_boltzmann_widget_agrees_with_integration(page, run, log_alpha):
    part = boltzmann(run)
    state, joint = part['first']
    grid, q = fine_curve(run, state, joint)
    if log_alpha == 'own':
        page.click('#own-alpha')
        assert shown(page, 'boltzmann-alpha') == pytest.approx(part['alpha'][part['first'][0]])
    else:
        move(page, '#temperature', log_alpha)
        assert shown(page, 'boltzmann-alpha') == pytest.approx(10**log_alpha, rel=1e-6)
    alpha = shown(page, 'boltzmann-alpha')
    found = part['basins'][state][joint]
    valley = max(basin[0] for basin in found)
    value, entropy, left = integrals(grid, q, alpha, -1 + valley / 60)
    assert shown(page, 'boltzmann-value') == pytest.approx(value, rel=0.01)
    # V - max Q is what the temperature adds; it may be far smaller than V.
    extra = shown(page, 'boltzmann-value') - shown(page, 'boltzmann-max')
    assert extra == pytest.approx(value - q.max(), rel=0.01, abs=1e-5)
    assert shown(page, 'boltzmann-entropy') == pytest.approx(entropy, rel=0.01, abs=0.01)
    best = shown(page, 'boltzmann-best')
    if len(found) == 2:
        assert best == pytest.approx(left if found[0][0] == 0 else 1 - left, abs=0.01)
        assert best + shown(page, 'boltzmann-worse') == pytest.approx(1)
    else:
        assert best == pytest.approx(1)


def test_cooling_finds_the_greedy_action_and_heating_spreads(page, run):
    part = boltzmann(run)
    state, joint = part['first']
    drawn = "document.getElementById('boltzmann-plot').data"
    move(page, '#temperature', -5)
    density = page.evaluate(f'Array.from({drawn}[0].y)')
    greedy = page.evaluate(f'{drawn}[3].x[0]')
    assert greedy == pytest.approx(-1 + density.index(max(density)) / 60)
    assert shown(page, 'boltzmann-value') == pytest.approx(shown(page, 'boltzmann-max'), abs=1e-3)
    cold = shown(page, 'boltzmann-entropy')
    move(page, '#temperature', 2)
    assert cold < shown(page, 'boltzmann-entropy') == pytest.approx(math.log(2), abs=1e-3)
    q_max = np.frombuffer(base64.b64decode(part['q_max']['f32']), '<f4')
    top = q_max.reshape(part['q_max']['shape'])[state, joint]
    assert shown(page, 'boltzmann-max') == pytest.approx(top)


def test_exact_integrals_hold_for_very_narrow_policies(page):
    """A tent of slope 1 / alpha has Z, H and V in closed form at any temperature."""
    for alpha in (1e-5, 1e-3, 1.0, 100.0):
        soft = page.evaluate(
            """alpha => softPolicy(Array.from({ length: 121 }, (_, i) => -Math.abs(-1 + i / 60)),
            1 / 60, alpha, [[0, 60], [60, 120]])""",
            alpha,
        )
        z = 2 * alpha * -math.expm1(-1 / alpha)
        mean = -alpha + math.exp(-1 / alpha) / -math.expm1(-1 / alpha)  # of Q
        assert soft['value'] == pytest.approx(alpha * math.log(z), rel=1e-6)
        assert soft['entropy'] == pytest.approx(math.log(z) - mean / alpha, rel=1e-6, abs=1e-9)
        assert soft['probability'] == pytest.approx([0.5, 0.5])


def test_another_state_and_joint_show_their_own_curve(page, run):
    part = boltzmann(run)
    buttons = page.locator('#boltzmann .thumbnails button')
    buttons.nth(1).click()
    page.locator('#boltzmann .controls button').nth(1).click()
    first = part['states'][part['first'][0]]['episode']
    state = [i for i, s in enumerate(part['states']) if s['episode'] == first][1]
    _, q = fine_curve(run, state, 1)
    assert shown(page, 'boltzmann-max') == pytest.approx(q.max(), abs=1e-4)


def test_the_clean_case_settles_on_its_closed_form(page):
    move(page, '#noise', 2)
    for _ in range(19):
        page.click('#more-draws')
    draws = shown(page, 'clean-draws')
    assert draws == 20_000
    assert shown(page, 'clean-limit') == pytest.approx(-2 / 3)
    # Four standard errors; the generator has a fixed seed.
    assert shown(page, 'clean-single') == pytest.approx(0, abs=4 * 2 / math.sqrt(3 * draws))
    assert shown(page, 'clean-minimum') == pytest.approx(
        -2 / 3, abs=4 * 2 * math.sqrt(2 / 9 / draws)
    )


def test_the_playback_moves_and_the_theme_changes(page):
    last = int(page.locator('#playback-frame').get_attribute('max'))
    before = page.locator('#playback-time').inner_text()
    move(page, '#playback-frame', last)
    assert page.locator('#playback-time').inner_text() != before
    page.click('#play')
    page.wait_for_function("Number(document.getElementById('playback-frame').value) > 2")
    page.click('#play')
    before = page.evaluate('getComputedStyle(document.body).backgroundColor')
    page.click('#theme')
    assert page.evaluate('getComputedStyle(document.body).backgroundColor') != before
    page.click('#theme')


def test_names_in_files_stay_text(page):
    assert page.evaluate('window.hacked') is None
    assert '<b>one & only' in page.locator('#title').inner_text()
    buttons = page.locator('#boltzmann .controls button')
    assert buttons.nth(0).inner_text() == JOINTS[0]
    labels = page.locator('#arm .ytick').all_text_contents()
    assert any(JOINTS[0] in text for text in labels)


def test_the_other_run_is_shown_when_it_is_chosen(page):
    page.select_option('#run', '1')
    facts = page.locator('#overview').inner_text()
    page.select_option('#run', '0')
    assert facts != page.locator('#overview').inner_text()
    assert 'mean of 2 runs' in page.locator('#curves').inner_text()
