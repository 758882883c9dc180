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

"""The command line: `sac_ros train`, `evaluate`, `export` and `replay`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, get_type_hints

from sac_ros import __version__
from sac_ros.cli.arguments import Parser, config_from
from sac_ros.cli.evaluate import add_evaluate_parser
from sac_ros.cli.node import add_node_parser
from sac_ros.cli.replay import add_replay_parser
from sac_ros.cli.report import REPORT_NAME, add_report_parser, write_report
from sac_ros.cli.request import add_request_parsers
from sac_ros.cli.robot import add_robot_parser
from sac_ros.cli.watch import add_watch_parser
from sac_ros.config.base import Config, Setting, settings, warn_renamed
from sac_ros.config.training import TrainConfig
from sac_ros.errors import EXTRAS, ConfigError, SacRosError, install_hint

if TYPE_CHECKING:
    from sac_ros.training.trainer import Trainer

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; bad input gives one line on standard error and status 2."""
    logging.basicConfig(format='%(message)s')
    logging.getLogger('sac_ros').setLevel(logging.INFO)
    try:
        options = _parser().parse_args(arguments)
        status: int = options.run(options)
        return status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INTERRUPTED
    except SacRosError as error:
        print(f'sac_ros: {type(error).__name__}: {error}', file=sys.stderr)
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] not in EXTRAS:
            raise
        print(f'sac_ros: {install_hint(error)}', file=sys.stderr)
    except OSError as error:
        where = f'{error.filename}: ' if error.filename else ''
        print(f'sac_ros: {where}{error.strerror or error}', file=sys.stderr)
    return EXIT_BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog='sac_ros', description='Soft Actor-Critic for torque-controlled arms.')
    parser.add_argument('--version', action='version', version=__version__)
    commands: Any = parser.add_subparsers(required=True, metavar='COMMAND')

    train = commands.add_parser(
        'train',
        help='train a policy, or resume a run',
        description='Train until --steps, evaluate, export the policy. '
        'Ctrl-C saves at any moment; the same command resumes.',
        formatter_class=_Help,
    )
    add_settings(train, TrainConfig)
    train.add_argument(
        '--report',
        action='store_true',
        help='write RUN_DIR/report.html at the end (sac_ros report)',
    )
    train.add_argument(
        '--async',
        dest='asynchronous',
        action='store_true',
        help='collect and learn in two processes; a run may switch between both modes',
    )
    train.set_defaults(run=_train)

    add_evaluate_parser(commands, add_arm_settings, _Help)
    export = commands.add_parser(
        'export',
        help='write the policy of a run as ONNX',
        description='Write RUN_DIR/policy_last.onnx, policy_best.onnx and policy_untrained.onnx, '
        'and the one to deploy as policy.onnx.',
    )
    export.add_argument('run_dir', type=Path, help='directory of the run')
    export.set_defaults(run=_export)
    add_replay_parser(commands)
    add_robot_parser(commands, add_settings)
    add_watch_parser(commands, add_arm_settings)
    add_report_parser(commands)
    add_node_parser(commands, add_settings)
    add_request_parsers(commands)
    return parser


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=99)


def add_settings(
    parser: argparse.ArgumentParser,
    cls: type[Config],
    prefix: str = '',
    earlier: tuple[str, ...] = (),
) -> None:
    """Add an option for every setting, one group of options per configuration class."""
    group = parser.add_argument_group((cls.__doc__ or '').splitlines()[0].rstrip('.'))
    nested = {
        name: kind
        for name, kind in get_type_hints(cls).items()
        if isinstance(kind, type) and issubclass(kind, Config)
    }
    for item in settings(cls, prefix, earlier):
        if item.name.removeprefix(prefix).partition('.')[0] not in nested:
            _add_setting(group, item)
    for name in nested:
        _add_group(parser, cls, name, prefix)


def _add_group(
    parser: argparse.ArgumentParser, cls: type[Config], name: str, prefix: str = ''
) -> None:
    old = tuple(f'{k}.' for k, v in cls.renamed.items() if v == name)
    add_settings(parser, get_type_hints(cls)[name], f'{prefix}{name}.', old)


def add_arm_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of a simulated arm and its task: three groups of those of training."""
    for name in ('arm', 'task', 'randomization'):
        _add_group(parser, TrainConfig, name)


def _add_setting(group: argparse._ArgumentGroup, item: Setting) -> None:
    default = item.default if item.default != '' else 'none'
    text = f'{item.text} (default: {default})'.replace('%', '%%')
    options: dict[str, Any] = {'dest': item.name, 'default': argparse.SUPPRESS, 'help': text}
    if item.type is bool:
        group.add_argument(f'--{item.name}', action=argparse.BooleanOptionalAction, **options)
        return
    options['metavar'] = {int: 'N', float: 'X'}.get(item.type, 'TEXT')
    if item.choices:
        options['metavar'] = '{' + ','.join(item.choices) + '}'
    names = [f'--{item.name}']
    if item.name in ('task.name', 'controller.name'):
        names.insert(0, f'--{item.name.removesuffix(".name")}')
    group.add_argument(*names, type=item.type, **options)
    for old in item.earlier:
        options['help'] = argparse.SUPPRESS
        group.add_argument(f'--{old}', type=item.type, action=_EarlierName, **options)


class _EarlierName(argparse.Action):
    """Store the value of an option that was given by an earlier name, with a warning."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        warn_renamed(self.option_strings[0], f'--{self.dest}')
        setattr(namespace, self.dest, values)


def _train(options: argparse.Namespace) -> int:
    config = config_from(options)
    if options.report:
        from sac_ros.report.page import plotly_source

        plotly_source()  # fails now where it is missing, not after hours of training
    if options.asynchronous:
        from sac_ros.cli.asynchronous import Processes

        return Processes(config, report=options.report).run()
    if config.n_envs > 1:
        raise ConfigError('n_envs above 1 needs --async')
    from sac_ros.training.trainer import Trainer

    return run_training(Trainer(config), report_at_end=options.report)


def run_training(trainer: Trainer, *, report_at_end: bool) -> int:
    """Train to the end with a display, measure and export; return the exit status.

    Args:
        trainer: of the run.
        report_at_end: write the interactive report as well.

    Raises:
        SacRosError: the run fails.
    """
    from sac_ros.training.console import TrainingReport
    from sac_ros.training.result import final_episodes, finish

    trainer.check_export()
    report = TrainingReport(trainer)

    def interrupt(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        trainer.request_stop()
        report.say('saving; Ctrl-C once more quits at once')

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        with report:
            finished = trainer.run(report.step)
    finally:
        signal.signal(signal.SIGINT, previous)
    if not finished:
        report.stopped()
        return EXIT_INTERRUPTED
    with report.measuring(final_episodes(trainer)) as on_episode:
        result = finish(trainer, on_episode)
    report.finished(result)
    if report_at_end:
        write_report([trainer.run_dir], trainer.run_dir / REPORT_NAME)
    return 0


def _export(options: argparse.Namespace) -> int:
    from sac_ros.training.checkpoint import config_of, load_notes
    from sac_ros.training.result import export_chosen
    from sac_ros.training.trainer import Trainer

    notes = load_notes(options.run_dir / 'checkpoint.npz')
    config = config_of(notes)
    trainer = Trainer(dataclasses.replace(config, run_dir=str(options.run_dir), compile=False))
    name, parity = export_chosen(trainer)
    print(f'{trainer.policy_path} is the {name} policy')
    print(f'{trainer.policy_path} agrees with the network to {parity:.1e} of the torque limit')
    return 0
