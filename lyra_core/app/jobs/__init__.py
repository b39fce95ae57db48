# SPDX-License-Identifier: Apache-2.0
"""The parts of the worker: messages, who may stop it, one job from request to manifest, failures, the probe."""
