# SPDX-License-Identifier: Apache-2.0
"""Names of layers and prims in a scene of ours: the only place that knows them."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["particlefield", "nurec", "universal"]
"""How Gaussians are stored: for Isaac Sim 6 and later, for Isaac Sim 5, or for both in one folder."""

ROOT_LAYER = "scene.usda"
ISAAC5_LAYER = "scene_isaac5.usda"
GAUSSIANS_LAYER = "gaussians.usdc"
NUREC_LAYER = "gaussians_nurec.usda"
DYNAMIC_LAYER = "dynamic.usda"
MOVING_LAYER = "moving.usdc"
BODIES_LAYER = "bodies.usdc"
COLLISION_LAYER = "collision.usdc"
ROBOTICS_LAYER = "robotics.usdc"
CAMERAS_LAYER = "cameras.usdc"
SHADOW_PROXY_LAYER = "shadow_proxy.usdc"

WORLD = "/World"
SCENE = "/World/Scene"
GAUSSIANS = "/World/Scene/Gaussians"
COLLISION = "/World/Scene/Collision"
BODIES = "/World/Scene/Bodies"
SHADOW_PROXY = "/World/Scene/ShadowProxy"
ROBOTICS = "/World/Scene/Robotics"
CAMERAS = "/World/Scene/Cameras"
MATERIALS = "/World/PhysicsMaterials"
PHYSICS_SCENE = "/World/PhysicsScene"
