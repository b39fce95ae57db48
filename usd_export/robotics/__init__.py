# SPDX-License-Identifier: Apache-2.0
"""What robots need to know about a scene: spawn poses, an occupancy map and a navigable region.

All of it is derived from the collider alone, in world metres, so that it cannot disagree with the physics: the collider
is raster-scanned into a map (`raster`, `occupancy`), free cells are shrunk by the robot's radius (`region`), poses are
spread over them (`spawn`), verified by independent rays (`ground`) and written (`author`, `ros_map`).
"""

from usd_export.robotics.author import write_robotics
from usd_export.robotics.build import Robotics, build_robotics
from usd_export.robotics.ground import GroundReport, check_ground
from usd_export.robotics.occupancy import OccupancyMap

__all__ = ["GroundReport", "OccupancyMap", "Robotics", "build_robotics", "check_ground", "write_robotics"]
