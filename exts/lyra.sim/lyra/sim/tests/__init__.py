# SPDX-License-Identifier: Apache-2.0
"""Tests that run inside Kit only; docs/isaac-sim.md of the repository has the command."""

scan_for_test_modules = True
"""Kit looks for the test modules itself when tests are asked for."""
