"""The floors of the design: imports go downwards only, and light nodes stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / 'sac_ros'
# A module imports from floors below it, or from its own.
FLOORS = {
    0: (
        '__init__',
        'spec',
        'config',
        'settings',
        'errors',
        'disk',
        'interrupts',
        'strict_json',
        'seeds',
        'limit_overrides',
    ),
    1: (
        'event_log',
        'video',
        'categorical',
        'networks',
        'layers',
        'features',
        'base_controller',
        'clearance',
        'replay',
        'policy',
        'policy_file',
        'policy_check',
        'onnx_structure',
        'safety',
        'effort_guard',
        'joint_motion',
        'supervisor',
        'envs',
    ),
    2: (
        'training_log',
        'sac',
        'sac_state',
        'adam',
        'compiling',
        'products',
        'exploration',
        'hindsight',
        'export',
        'onnx_graph',
        'checkpoint',
        'controller',
        'simulator',
        'evaluation',
        'acceptance',
        'acceptance_figures',
        'baseline',
        'experience',
        'episode',
    ),
    3: ('trainer', 'console', 'report', 'best_checkpoint', 'training_result'),
    4: (
        'arguments',
        'cli',
        'evaluate_cli',
        'node_cli',
        'programs',
        'report_cli',
        'request_cli',
        'robot_cli',
        '__main__',
        'ros',
    ),
}
ROS = {
    'rclpy',
    'ament_index_python',
    'launch',
    'launch_ros',
    'builtin_interfaces',
    'rcl_interfaces',
}


def modules():
    return sorted(PACKAGE.rglob('*.py'))


def part_of(module):
    """`envs` for sac_ros.envs.arm."""
    return module.split('.')[1] if '.' in module else '__init__'


def floor_of(part):
    found = [floor for floor, parts in FLOORS.items() if part in parts]
    assert found, f'sac_ros/{part} stands on no floor: name it in test_floors.py'
    return found[0]


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            yield node.module
            if node.module == 'sac_ros':
                yield from (
                    f'sac_ros.{a.name}' for a in node.names if (PACKAGE / f'{a.name}.py').exists()
                )


def name_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
    return '.'.join(parts)


@pytest.mark.parametrize('path', modules(), ids=name_of)
def test_imports_go_downwards(path):
    part = part_of(name_of(path))
    for imported in imports_of(path):
        if imported.split('.')[0] == 'sac_ros':
            below = part_of(imported)
            assert floor_of(below) <= floor_of(part), f'{path} imports {imported} from above'


@pytest.mark.parametrize('path', modules(), ids=name_of)
def test_ros_stays_under_ros_and_nothing_is_pickled(path):
    roots = {imported.split('.')[0] for imported in imports_of(path)}
    messages = {root for root in roots if root.endswith(('_msgs', '_srvs'))}
    if path.parent.name != 'ros':
        assert not roots & ROS and not messages
    assert not roots & {'pickle', 'cloudpickle', 'dill', 'joblib', 'shelve', 'marshal'}


@pytest.mark.parametrize(
    ('module', 'absent'),
    [
        ('sac_ros.ros.policy_node', {'torch', 'mujoco', 'gymnasium', 'onnx'}),
        ('sac_ros.ros.guard_node', {'torch', 'mujoco', 'gymnasium', 'onnx', 'onnxruntime'}),
        ('sac_ros.ros.sim_node', {'torch', 'onnx'}),
    ],
)
def test_light_nodes_import_nothing_heavy(module, absent):
    # numpy and asyncio import pickle themselves, so its absence cannot be asked for here: that no
    # module of ours imports it is what the test above shows.
    script = f'import sys, {module}; print(*sorted(sys.modules))'
    command = [sys.executable, '-c', script]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert not absent & set(result.stdout.split())
