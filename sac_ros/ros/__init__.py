"""Everything that knows ROS 2: the nodes and the three things they share."""
