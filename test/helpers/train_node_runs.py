"""Parameter files for short runs of train_node."""

import yaml
from paths import TWO_JOINTS


def settings_file(path, **settings):
    path.write_text(yaml.safe_dump({'train_node': {'ros__parameters': settings}}))
    return ('--ros-args', '--params-file', str(path))


def small_run(tmp_path, **changes):
    settings = {
        'run_dir': str(tmp_path / 'run'),
        'compile': False,
        'arm.model': TWO_JOINTS,
        'sac.hidden': 16,
        'sac.batch_size': 16,
        'controller.name': 'none',
        'final_eval_episodes': 2,
    }
    return settings_file(tmp_path / 'train.yaml', **(settings | changes))
