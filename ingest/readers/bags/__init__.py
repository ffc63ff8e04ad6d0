"""Containers of recordings (MCAP, ROS 1 bags, SQLite files of rosbag2), each given out as the same records, those of MCAP."""
