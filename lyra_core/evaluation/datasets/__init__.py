# SPDX-License-Identifier: Apache-2.0
"""Readers of evaluation data: one per format, each turning a folder into clips."""
