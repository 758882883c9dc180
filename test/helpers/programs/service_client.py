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

"""Call services of policy_node once a line is read: vanish|flood SERVICE..."""

import sys
import time

import rclpy
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from std_srvs.srv import Trigger

rclpy.init()
node = rclpy.create_node('client', start_parameter_services=False)
kinds = {
    'get_parameters': GetParameters,
    'list_parameters': ListParameters,
    'describe_parameters': DescribeParameters,
    'reload': Trigger,
}
names = sys.argv[2:]
clients = [node.create_client(kinds[name], '/policy_node/' + name) for name in names]
for client in clients:
    client.wait_for_service()
    rclpy.spin_until_future_complete(node, client.call_async(client.srv_type.Request()))
print('ready', flush=True)
sys.stdin.readline()
if sys.argv[1] == 'vanish':
    for client in clients:
        for _ in range(10):
            client.call_async(client.srv_type.Request())
        node.destroy_client(client)
while sys.argv[1] == 'flood':
    for client in clients:
        client.call_async(client.srv_type.Request())
    time.sleep(0.0002)
sys.stdin.read()
